"""SDXL and its descendants, RealVisXL among them: two text encoders, and pictures told how large they are to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .stable_diffusion import StableDiffusion


@dataclass(frozen=True)
class SDXL(StableDiffusion):
    """The base model; a refiner is not used."""

    sized: bool = True

    def size_settings(self, original: tuple[int, int] | None) -> dict[str, Any]:
        """What the pipeline's call takes for an original (width, height); without one it takes the picture's own.

        SDXL saw in training how large each picture had been before it was resized (Podell et al. 2023, section 2.2):
        a large original makes a small picture crisp, a small one soft.
        """
        return {} if original is None else {"original_size": (original[1], original[0])}

    def image_to_image(self, pipeline: Any) -> Any:
        from diffusers import StableDiffusionXLImg2ImgPipeline

        # not from_pipe, which turns the shared weights to fp32
        zeros = pipeline.config.force_zeros_for_empty_prompt
        other = StableDiffusionXLImg2ImgPipeline(**pipeline.components, force_zeros_for_empty_prompt=zeros)
        other.set_progress_bar_config(disable=True)
        return other

    def _pipeline_class(self) -> Any:
        from diffusers import StableDiffusionXLPipeline

        return StableDiffusionXLPipeline

    def _without(self) -> dict[str, Any]:
        return {}
