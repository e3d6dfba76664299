"""Rows of pictures with a few words before each, on one page: what a table's numbers were counted on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...data.sheet import fitting

GAP, MARGIN, WORDS, LINE = 3, 8, 230, 16
INK, FAINT = "#222222", "#777777"


def strips(rows: Sequence[tuple[Sequence[str], Sequence[Any]]], size: int = 72, most: int = 12) -> Any:
    """A PIL image: each row its lines of words, then up to `most` pictures (paths or PIL) of `size` px."""
    from PIL import Image, ImageDraw, ImageFont

    if not rows:
        raise ValueError("a page needs at least one row")
    longest = min(most, max(len(pictures) for _, pictures in rows))
    page = Image.new(
        "RGB", (WORDS + longest * (size + GAP) + 2 * MARGIN, len(rows) * (size + GAP) + 2 * MARGIN), "white"
    )
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for i, (words, pictures) in enumerate(rows):
        y = MARGIN + i * (size + GAP)
        for n, line in enumerate(words[: size // LINE]):
            pen.text((MARGIN, y + 4 + n * LINE), fitting(pen, line, WORDS - 10, font), FAINT if n else INK, font)
        for n, picture in enumerate(pictures[:most]):
            page.paste(small(picture, size), (MARGIN + WORDS + n * (size + GAP), y))
    return page


def small(picture: Any, size: int) -> Any:
    """A picture, or the picture at a path, in RGB within `size` px."""
    from PIL import Image

    if isinstance(picture, Image.Image):
        image = picture.convert("RGB")
    else:
        with Image.open(picture) as opened:
            image = opened.convert("RGB")
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return image
