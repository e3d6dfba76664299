"""Drawing anew inside of a mask: what lies outside stays as it is in the start picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


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

    return Image.composite(picture, start, mask)
