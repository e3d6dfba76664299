"""One generator per image, always on the CPU: a seed draws the same face alone, in a batch, or served."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ..records import ImageRequest

if TYPE_CHECKING:  # a request is checked before torch is loaded
    import torch

LARGEST = 2**64 - 1  # what torch takes


def fresh() -> int:
    """A seed from the operating system's entropy; 32 bits, so that every tool can take it."""
    return secrets.randbits(32)


def of(request: ImageRequest) -> list[int]:
    """The seeds of a request's images: image i has `request.seed + i`."""
    first = fresh() if request.seed is None else request.seed
    return [first + i for i in range(request.count)]


def generators(seeds: list[int]) -> list[torch.Generator]:
    import torch

    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
