"""A contact sheet: many pictures on one, with what was asked for under each."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

GAP = 4
LINES = 3


def sheet(
    images: Sequence[Any],
    columns: int | None = None,
    labels: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
) -> Any:
    """PIL images on one white sheet, row by row, as square as it gets unless `columns` says otherwise.

    Pictures of unlike size are centred in their cells. A label is wrapped to the cell, three lines at most.
    A title stands left of its row.
    """
    from PIL import Image, ImageDraw, ImageFont

    if not images:
        raise ValueError("a sheet needs at least one picture")
    columns = columns or math.ceil(math.sqrt(len(images)))
    width, height = (max(image.size[axis] for image in images) for axis in (0, 1))
    font = ImageFont.load_default(size=max(9, width // 14))
    letters = max(4, int(10 * width / font.getlength("abcdefghij")))
    texts = [textwrap.wrap(" ".join(t.split()), letters, max_lines=LINES, placeholder=" …") for t in labels or ()]
    line = math.ceil(max(9, width // 14) * 1.25)
    wide, high = width + GAP, height + GAP + line * max(map(len, texts), default=0)
    margin = max(2 * width, 120) if titles else 0
    page = Image.new("RGB", (margin + columns * wide + GAP, math.ceil(len(images) / columns) * high + GAP), "white")
    pen = ImageDraw.Draw(page)
    for i, image in enumerate(images):
        left, top = margin + GAP + i % columns * wide, GAP + i // columns * high
        page.paste(image.convert("RGB"), (left + (width - image.width) // 2, top + (height - image.height) // 2))
        for n, text in enumerate(texts[i] if i < len(texts) else ()):
            pen.text((left, top + height + n * line), text, fill="black", font=font)
    for row, title in enumerate(titles or ()):
        large = ImageFont.load_default(size=max(12, width // 9))
        lines = textwrap.wrap(title, max(6, int(10 * (margin - 2 * GAP) / large.getlength("abcdefghij"))))
        middle = GAP + row * high + height // 2
        pen.multiline_text((2 * GAP, middle), "\n".join(lines), fill="black", font=large, anchor="lm")
    return page
