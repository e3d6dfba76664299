"""Stable Diffusion pipelines of any size: `mini`, SD 1.5 and SD 2.1.

The pipelines are diffusers' own, so that a seed draws here what it draws there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelNotFound
from . import single_file

if TYPE_CHECKING:  # runtime loads torch
    from ..runtime import Runtime


@dataclass(frozen=True)
class StableDiffusion:
    """A family: what its models are drawn with when nobody says otherwise."""

    name: str
    steps: int
    guidance: float
    scheduler: str
    largest: int  # pixels of a side; a bigger picture would only repeat faces or exhaust the memory
    batch: int  # pictures in one pass at most
    half_on_gpu: bool = True  # mixed precision on a GPU by default
    multiple_of: int = 8
    sized: bool = False  # whether it can be told an original size

    def load(self, path: Path, runtime: Runtime, place: bool = True) -> Any:
        """The pipeline on its device (unless not to be placed), silent, without the checker that paints pictures black.

        `path` is a folder, or a single-file checkpoint. Weights are fp32; on a GPU those of a large model come in half
        precision where that was chosen, but for the autoencoder, which overflows in it. Raises `ModelNotFound` when
        the place holds something else or is damaged.
        """
        import torch

        half = self.half_on_gpu and runtime.device.type == "cuda" and runtime.precision != "fp32"
        with quiet():
            try:
                pipeline = self._read(path, runtime.dtype if half else torch.float32, half)
            except (OSError, ValueError, KeyError, AttributeError, RuntimeError, TypeError) as error:
                reason = " ".join(str(error).split())[:200]
                raise ModelNotFound(f"{path} cannot be loaded as {self.name} ({reason}): download it again") from None
        _widen(pipeline.vae)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline.to(runtime.device) if place else pipeline

    def _read(self, path: Path, dtype: Any, half: bool) -> Any:
        if path.is_file():
            config = single_file.config_for(path, self.name)
            return self._pipeline_class().from_single_file(
                str(path), config=str(config), torch_dtype=dtype, local_files_only=True, **self._without()
            )
        variant = "fp16" if single_file.has_variant(path, half) else None
        return self._pipeline_class().from_pretrained(path, dtype=dtype, variant=variant, **self._without())

    def image_to_image(self, pipeline: Any) -> Any:
        """The same parts behind diffusers' image-to-image pipeline; no weight is copied."""
        from diffusers import StableDiffusionImg2ImgPipeline

        with quiet():
            other = StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
        other.set_progress_bar_config(disable=True)
        return other

    def size_settings(self, original: tuple[int, int] | None) -> dict[str, Any]:
        """What the pipeline's call takes for the size that a picture is to look resized from: nothing here."""
        return {}

    def decode(self, pipeline: Any, latents: Any) -> Any:
        """(B, C, h, w) -> pixels (B, 3, H, W) in [-1, 1], always in fp32: half-precision decoders overflow to black."""
        vae = pipeline.vae
        _widen(vae)  # SDXL's image-to-image leaves it in half precision
        return vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]

    def _pipeline_class(self) -> Any:
        from diffusers import StableDiffusionPipeline

        return StableDiffusionPipeline

    def _without(self) -> dict[str, Any]:
        return {"safety_checker": None, "requires_safety_checker": False}


def _widen(vae: Any) -> None:
    import torch

    if vae.dtype != torch.float32:
        vae.to(dtype=torch.float32)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hush the libraries while they load and draw: what they warn about is by design or said better by our notes."""
    from transformers.utils import logging as transformers_logging

    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # importing diffusers makes transformers speak, so hush one before importing the other
    from diffusers.utils import logging as diffusers_logging

    speaking = diffusers_logging.get_verbosity(), diffusers_logging.is_progress_bar_enabled()
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before[0])
        diffusers_logging.set_verbosity(speaking[0])
        if before[1]:
            transformers_logging.enable_progress_bar()
        if speaking[1]:
            diffusers_logging.enable_progress_bar()
