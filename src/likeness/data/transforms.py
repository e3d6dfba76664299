"""A picture made ready for training: cropped, resized once, mirrored with its words; all drawn from one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..grammar import mirror


@dataclass(frozen=True)
class Transform:
    """`crop`: "center", "random" (anywhere that fits), or "none" (squeezed to the shape). `zoom`: the least part of the
    largest possible crop that a random crop takes. `flip`: how often a picture is mirrored, left and right in its text
    too.
    """

    crop: str = "center"
    zoom: float = 1.0
    flip: float = 0.0

    def __post_init__(self) -> None:
        if self.crop not in ("center", "random", "none"):
            raise UsageError(f"crop {self.crop!r}: choose from center, random, none")
        if not 0 < self.zoom <= 1 or not 0 <= self.flip <= 1:
            raise UsageError("zoom lies above 0 and up to 1, flip between 0 and 1")
        if self.zoom < 1 and self.crop != "random":
            raise UsageError("zoom needs crop 'random'")

    def __call__(
        self, picture: Any, text: str, shape: tuple[int, int], random: np.random.Generator
    ) -> tuple[Tensor, str]:
        """A PIL picture and its text -> (3, H, W) float32 in [-1, 1] of `shape` (width, height), and the text.

        Always draws the same numbers from `random`, whatever the picture: a pure function of its seed.
        """
        across, down, zoom, flip = random.random(4)
        box = self.box(picture.size, shape, across, down, zoom)
        pixels = as_pixels(resized(picture, box, shape))
        if flip < self.flip:
            pixels, text = pixels.flip(-1), mirror(text)
        return pixels, text

    def box(
        self, size: tuple[int, int], shape: tuple[int, int], across: float = 0.5, down: float = 0.5, zoom: float = 0.0
    ) -> tuple[float, float, float, float]:
        """The part of a picture of `size` that is shown, in its pixels; the last three lie in [0, 1) and choose it."""
        width, height = size
        if self.crop == "none":
            return (0, 0, width, height)
        scale = min(width / shape[0], height / shape[1])
        if self.crop == "center":
            across = down = 0.5
        else:
            scale *= self.zoom + (1 - self.zoom) * (1 - zoom)
        # whole pixels, so that a picture that only needs cropping is not resampled
        crop = (min(width, round(shape[0] * scale)), min(height, round(shape[1] * scale)))
        left, top = (int((whole - part + 1) * at) for whole, part, at in zip(size, crop, (across, down), strict=True))
        left, top = min(left, width - crop[0]), min(top, height - crop[1])
        return (left, top, left + crop[0], top + crop[1])


def resized(picture: Any, box: tuple[float, float, float, float], shape: tuple[int, int]) -> Any:
    """That part of a picture at that size, by the package's one resize (`models.pixels.RESIZE`)."""
    from PIL import Image

    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    if (box[2] - box[0], box[3] - box[1]) == shape:
        return picture if picture.size == shape else picture.crop(tuple(int(v) for v in box))
    return picture.resize(shape, Image.Resampling.LANCZOS, box)


def as_pixels(picture: Any) -> Tensor:
    """A PIL RGB picture as (3, H, W) float32 in [-1, 1]."""
    array = np.asarray(picture, np.uint8).copy()
    return torch.from_numpy(array).permute(2, 0, 1).contiguous().float() / 127.5 - 1  # (H, W, 3) -> (3, H, W)


def generator(seed: int, position: int) -> np.random.Generator:
    """Everything that is drawn for one sample, a pure function of (seed, position)."""
    return np.random.default_rng([seed, position])
