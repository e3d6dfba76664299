"""Drawing anew inside of a mask: what lies outside stays as it is in the start picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..records import ImageRequest

EDGE = 1 / 16  # of the picture's shorter side: how far the edge of a mask is soft at most


class Kept:
    """Puts the start picture, as noisy as the step is, back where the mask is black, behind each step.

    That is what diffusers' inpainting does with a network that was not made for it (the idea of RePaint, Lugmayr et al.
    2022, without resampling); its pipeline takes networks of 4 and 9 channels only, this one any. It looks on at the
    solver's `add_noise`, by which image-to-image makes its start.
    """

    def __init__(self, scheduler: Any, masks: Tensor) -> None:
        self.masks = masks  # (B, 1, h, w): 1 where it is drawn anew
        self.start: Tensor | None = None
        self.noise: Tensor | None = None
        self._add = scheduler.add_noise
        scheduler.add_noise = self._first

    def _first(self, start: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        self.start, self.noise = start, noise
        return self._add(start, noise, timesteps)

    def __call__(self, pipe: Any, index: int, latents: Tensor) -> Tensor:
        assert self.start is not None and self.noise is not None
        left = pipe.scheduler.timesteps[-pipe.num_timesteps :][index + 1 : index + 2]
        start = self._add(self.start, self.noise, left) if len(left) else self.start
        masks = self.masks.to(latents)
        return (1 - masks) * start + masks * latents


def cells(masks: Sequence[Any]) -> Tensor:
    """Masks as PIL images -> (B, 1, H / 8, W / 8): a cell of the latents is drawn anew where any of its pixels is."""
    pixels = torch.stack([torch.from_numpy(np.array(mask, dtype=np.float32))[None] / 255 for mask in masks])
    return torch.nn.functional.max_pool2d(pixels, 8)  # (B, 1, H, W) -> (B, 1, H / 8, W / 8)


def paste(picture: Any, start: Any, mask: Any) -> Any:
    """The drawn picture inside of the mask, the start picture outside, to the bit."""
    from PIL import Image

    return Image.composite(picture, start, soft(mask))


def soft(mask: Any) -> Any:
    """A mask of 0 and 255 whose edge rises inwards, so that no seam shows; what was 0 stays 0.

    The edge takes a third of the way to the middle at most: a thin stroke is full.
    """
    from PIL import Image

    inner = np.asarray(mask) > 0  # (H, W)
    depth = inner.astype(np.float32)  # pixels to what is kept
    for _ in range(3 * round(EDGE * min(mask.size)) - 1):
        inner = _shrunk(inner)
        depth += inner
    return Image.fromarray((255 * (3 * depth / depth.max()).clip(0, 1)).round().astype(np.uint8))


def _shrunk(inside: Any) -> Any:
    """(H, W) without the outermost pixels of what is true; the picture's own edge is none."""
    wide = np.pad(inside, 1, mode="edge")
    rows = wide[:-2] & wide[1:-1] & wide[2:]
    return rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]


def without_watermark(picture: Any, request: ImageRequest) -> Any:
    """A masked picture as it is to be marked: a watermark that was kept with the start picture is taken off.

    Marked once more, what is kept would show the pattern, and clearer with each change.
    """
    from PIL import Image

    from ..provenance.watermark import erase
    from .resolve import mask_image, start_image

    if request.image is None or request.mask is None:
        return picture
    start = start_image(request.image, *picture.size)
    mask = soft(mask_image(request.mask, request.image, *picture.size))
    change = np.asarray(erase(start), np.float32) - np.asarray(start, np.float32)  # (H, W, 3)
    kept = 1 - np.asarray(mask, np.float32)[..., None] / 255
    return Image.fromarray((np.asarray(picture) + change * kept).round().clip(0, 255).astype(np.uint8))
