"""Pictures in memory and the small changes that keep a network from learning them by heart."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.pixels import to_pixels


class Pictures:
    """Faces as uint8 in memory (49 KB each at 128 px); indexing by a list gives (B, 3, H, W) float32 in [-1, 1]."""

    def __init__(self, files: Sequence[Path], size: int, progress: Callable[[str, int, int], None]) -> None:
        self.pixels = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
        for start in range(0, len(files), 64):
            part = to_pixels(files[start : start + 64], size)
            self.pixels[start : start + 64] = ((part + 1) * 127.5).round().to(torch.uint8)
            progress("reading", min(start + 64, len(files)), len(files))

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, indices: list[int]) -> Tensor:
        return self.pixels[indices].float() / 127.5 - 1


def jittered(pixels: Tensor, seeds: Sequence[int], shift: int = 6, light: float = 0.15) -> Tensor:
    """Each picture mirrored or not, shifted, zoomed, and in other light, by its own seed. Same shape."""
    out = []
    for picture, seed in zip(pixels, seeds, strict=True):
        random_ = random.Random(seed ^ 0x5EED)
        zoom, angle = random_.uniform(0.92, 1.08), random_.uniform(-0.06, 0.06)
        across, down = (random_.uniform(-shift, shift) * 2 / picture.shape[-1] for _ in range(2))
        mirror = -1.0 if random_.random() < 0.5 else 1.0
        out.append([[mirror * zoom, angle, across], [-angle, zoom, down]])
    grid = F.affine_grid(torch.tensor(out), list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    strengths = torch.tensor([[random.Random(s ^ i).uniform(-light, light) for i in (1, 2)] for s in seeds]).view(
        -1, 2, 1, 1, 1
    )
    return (moved * (1 + strengths[:, 0]) + strengths[:, 1]).clamp(-1, 1)
