"""Families of diffusion models: the defaults each is drawn with, and how its pipeline is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .sdxl import SDXL
from .stable_diffusion import StableDiffusion

if TYPE_CHECKING:  # runtime loads torch, and the defaults are asked for before a command knows that it will draw
    from ..runtime import Runtime


class Family(Protocol):
    """What the generator needs to know of a model family. The pipelines are diffusers' own."""

    @property
    def name(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def guidance(self) -> float: ...
    @property
    def scheduler(self) -> str: ...
    @property
    def multiple_of(self) -> int: ...
    @property
    def largest(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def half_on_gpu(self) -> bool: ...
    @property
    def sized(self) -> bool: ...

    def load(self, path: Path, runtime: Runtime, place: bool = True) -> Any: ...
    def image_to_image(self, pipeline: Any) -> Any: ...
    def size_settings(self, original: tuple[int, int] | None) -> dict[str, Any]: ...
    def decode(self, pipeline: Any, latents: Any) -> Any: ...


FAMILIES: dict[str, Family] = {
    row.name: row
    for row in (
        # Guidance of `mini` is the best found on its own captions; SD families keep the values that their users expect.
        StableDiffusion("mini", steps=30, guidance=3.0, scheduler="dpm++2m", largest=512, batch=16, half_on_gpu=False),
        StableDiffusion("sd15", steps=50, guidance=7.5, scheduler="pndm", largest=2048, batch=4),
        StableDiffusion("sd21", steps=50, guidance=7.5, scheduler="ddim", largest=2048, batch=2),
        SDXL("sdxl", steps=50, guidance=7.5, scheduler="euler", largest=2048, batch=1),
    )
}
