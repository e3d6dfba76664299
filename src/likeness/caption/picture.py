"""A picture as it is sent: made small, encoded once more, without its metadata."""

from __future__ import annotations

import base64
import math
from io import BytesIO
from pathlib import Path

from ..data.decode import SPARE, read_picture

PATCH = 28  # pixels: what one token covers in the vision models whose rule is known (Qwen2-VL, arXiv 2409.12191)


def data_url(path: Path, max_side: int = 512, quality: int = 85) -> str:
    """The picture as a JPEG whose longer side has at most `max_side` pixels, in a `data:` address.

    Raises `BadImage` for a file that is no picture.
    """
    from PIL import Image

    found = read_picture(path)
    scale = min(1.0, max_side / max(found.size))
    image = found.draw(min(1.0, SPARE * scale))
    size = max(1, round(found.size[0] * scale)), max(1, round(found.size[1] * scale))
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=False)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def image_tokens(max_side: int) -> int:
    """About how many tokens a square picture of that side is; servers count by rules of their own."""
    return math.ceil(max_side / PATCH) ** 2
