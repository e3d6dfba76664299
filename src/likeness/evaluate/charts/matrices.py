"""Confusion tables as a picture: rows what was asked, columns what was answered, drawn faces beside real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...data.sheet import fitting
from ..formulas.confusion import UNSAID, Confusion

CELL, WORDS, HEAD, MARGIN = 34, 120, 96, 16
INK, FAINT, LOW, HIGH = "#222222", "#777777", (255, 255, 255), (40, 90, 150)


def draw(confusions: Sequence[Confusion]) -> Any:
    """A PIL image: one line of panels for each field and judge, drawn faces first. Counts as per cents of a row."""
    from PIL import Image

    lines: dict[tuple[str, str], list[Any]] = {}
    for one in confusions:
        if one.count:
            lines.setdefault((one.by, one.field), []).append(panel(one))
    if not lines:
        raise ValueError("nothing was counted")
    width = max(sum(p.width + MARGIN for p in panels) for panels in lines.values()) + MARGIN
    height = sum(max(p.height for p in panels) + MARGIN for panels in lines.values()) + MARGIN
    page, y = Image.new("RGB", (width, height), "white"), MARGIN
    for panels in lines.values():
        x = MARGIN
        for one in panels:
            page.paste(one, (x, y))
            x += one.width + MARGIN
        y += max(p.height for p in panels) + MARGIN
    return page


def panel(one: Confusion) -> Any:
    """One table, shaded by the share of its row."""
    from PIL import Image, ImageDraw, ImageFont

    rows = [i for i, row in enumerate(one.counts) if sum(row)]
    columns = [j for j in range(len(one.values) + 1) if j < len(one.values) or any(row[j] for row in one.counts)]
    names = (*one.values, UNSAID)
    size = (WORDS + len(columns) * CELL + 40, HEAD + len(rows) * CELL)
    image = Image.new("RGB", size, "white")
    pen, font, bold = ImageDraw.Draw(image), ImageFont.load_default(12), ImageFont.load_default(14)
    pen.text((0, 0), f"{one.field.replace('_', ' ')}, {one.faces} faces, by {one.by}", INK, bold)
    for n, j in enumerate(columns):
        _upright(image, names[j], (WORDS + n * CELL + CELL // 2, HEAD - 4), font)
    for n, i in enumerate(rows):
        y, total = HEAD + n * CELL, sum(one.counts[i])
        pen.text((0, y + 4), fitting(pen, names[i], WORDS - 8, font), INK, font)
        pen.text((0, y + 18), f"n {total}", FAINT, font)
        for m, j in enumerate(columns):
            share = one.counts[i][j] / total
            x, shade = WORDS + m * CELL, tuple(round(a + (b - a) * share) for a, b in zip(LOW, HIGH, strict=True))
            pen.rectangle((x, y, x + CELL - 2, y + CELL - 2), shade, "#cc7722" if i == j else "#dddddd")
            if share:
                ink = "white" if share > 0.5 else INK
                pen.text((x + CELL // 2, y + CELL // 2), f"{share:.0%}"[:-1], ink, font, anchor="mm")
    return image


def _upright(image: Any, text: str, foot: tuple[int, int], font: Any) -> None:
    """Words that climb from their foot: columns are narrower than their names."""
    from PIL import Image, ImageDraw

    room = HEAD - 26
    strip = Image.new("RGB", (room, 16), "white")
    pen = ImageDraw.Draw(strip)
    pen.text((0, 0), fitting(pen, text, room, font), INK, font)
    image.paste(strip.rotate(90, expand=True), (foot[0] - 8, foot[1] - room))
