"""Pictures as tensors: the one resize of this package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

RESIZE = "PIL Lanczos, antialiased"  # named in every protocol that goes through here


def to_pixels(images: Sequence[Any], size: int) -> Tensor:
    """PIL images or paths -> (B, 3, size, size) float32 in [-1, 1]; resized only if they are not that size already."""
    from PIL import Image

    arrays = []
    for image in images:
        picture = Image.open(image) if isinstance(image, str | Path) else image
        picture = picture.convert("RGB")
        if picture.size != (size, size):
            picture = picture.resize((size, size), Image.Resampling.LANCZOS)
        arrays.append(np.asarray(picture))
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1  # (B, H, W, 3) -> (B, 3, H, W)
