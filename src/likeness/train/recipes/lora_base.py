"""The model that a LoRA is trained for: its networks, its noise schedule, and drawing with it on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...models.conditioning import Conditioner, Conditioning
from ...models.family import FAMILIES, Family
from ...models.registry import ModelSpec, find, locate
from ...runtime import Runtime
from .. import objective
from .lora_config import LoraConfig

ENCODERS = ("text_encoder", "text_encoder_2")


@dataclass
class Base:
    """diffusers' pipeline and the model's row in the registry; what its scheduler says of noise, (T,), and its
    autoencoder of the scale of latents.
    """

    spec: ModelSpec
    pipeline: Any
    alpha_bar: Tensor
    prediction: str
    scaling: float
    runtime: Runtime

    @property
    def family(self) -> Family:
        return FAMILIES[self.spec.family]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """UNet and text encoders by their names in the pipeline."""
        found = {name: getattr(self.pipeline, name, None) for name in ("unet", *ENCODERS)}
        return {name: network for name, network in found.items() if network is not None}

    def conditioner(self) -> Conditioner:
        return Conditioner(self.pipeline.components, self.spec.family)

    def drop_encoders(self) -> None:
        """Free the text encoders: what they have to say is known."""
        for name in ENCODERS:
            if hasattr(self.pipeline, name):
                setattr(self.pipeline, name, None)

    def draw(
        self, words: Conditioning, nothing: Conditioning, size: int, steps: int, seeds: Sequence[int]
    ) -> list[Any]:
        """PIL pictures of one prompt (1, L, D), guided away from `nothing`, one a seed."""
        rows: dict[str, Tensor | None] = {"prompt_embeds": words.hidden, "negative_prompt_embeds": nothing.hidden}
        if words.pooled is not None:
            rows |= {"pooled_prompt_embeds": words.pooled, "negative_pooled_prompt_embeds": nothing.pooled}
        latents = self.pipeline(
            **rows, num_images_per_prompt=len(seeds), num_inference_steps=steps, guidance_scale=self.family.guidance,
            height=size, width=size, generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            output_type="latent",
        ).images  # fmt: skip
        with torch.autocast(self.runtime.device.type, enabled=False), visiting(self.pipeline.vae, self.runtime.device):
            pixels = self.family.decode(self.pipeline, latents)
        return list(self.pipeline.image_processor.postprocess(pixels.float(), output_type="pil"))


def load(config: LoraConfig, runtime: Runtime) -> Base:
    """Raises `ModelNotFound`, and `ConfigError` for an objective that this base would be trained badly with."""
    from diffusers import DDPMScheduler

    spec = find(config.model)
    pipeline = FAMILIES[spec.family].load(locate(spec), runtime)
    settings = pipeline.scheduler.config
    scheduler = DDPMScheduler.from_config(settings)
    prediction = config.prediction or scheduler.config.prediction_type
    objective.check(prediction, bool(settings.get("rescale_betas_zero_snr")), config.min_snr)
    scaling = pipeline.vae.config.scaling_factor
    return Base(spec, pipeline, scheduler.alphas_cumprod, prediction, scaling, runtime)


@contextlib.contextmanager
def visiting(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Within the block the module is on that device; then it goes back to where it was parked."""
    before = next(module.parameters()).device
    module.to(device)
    try:
        yield
    finally:
        module.to(before)
