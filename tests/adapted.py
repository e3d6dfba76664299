"""Tiny pipelines with LoRA adapters that do something, and the picture that they draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from likeness.models import lora
from likeness.models.lora_names import PARTS

SHAPE = lora.LoraShape(rank=3, alpha=7, text_rank=2, text_alpha=5, text_encoder=True)  # alpha is no rank anywhere


def load(folder: Path) -> Any:
    """The stock pipeline."""
    from diffusers import DiffusionPipeline

    from likeness.models.stable_diffusion import quiet

    with quiet():
        pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def parts(pipeline: Any) -> dict[str, Any]:
    return {name: part for name in PARTS if (part := getattr(pipeline, name, None)) is not None}


def adapt(pipeline: Any, shape: lora.LoraShape = SHAPE, strength: float = 0.3) -> dict[str, torch.nn.Parameter]:
    """Adapters whose B is random, so that they change the picture."""
    parameters = lora.inject(parts(pipeline), shape, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for key, parameter in parameters.items():
            if "lora_A" not in key:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * strength)
    return parameters


def draw(pipeline: Any, output: str = "latent") -> Any:
    """Latents (1, C, h, w), or a picture (1, H, W, 3) in [0, 1], of one step with guidance."""
    generator = torch.Generator().manual_seed(0)
    made = pipeline("a man", num_inference_steps=1, height=64, width=64, output_type=output, generator=generator)
    return made.images
