"""The numbers of a folder as one picture: bars for attributes, curves of caption lengths. Drawn with Pillow alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files import atomic_path
from .stats import LIMIT, Stats

WIDTH, COLUMN, MARGIN = 1200, 380, 20
ROW, TITLE = 20, 30
INK, FAINT, BAR, LATE = "#222222", "#888888", "#4c78a8", "#e45756"
SHOWN = (
    "age",
    "gender",
    "ethnicity",
    "skin_tone",
    "hair_color",
    "hair_length",
    "expression",
    "glasses",
    "headwear",
    "pose",
)
VALUES = 10


def draw(stats: Stats) -> Any:
    """A PIL image, 1200 px wide and as high as it must be."""
    from PIL import Image, ImageDraw, ImageFont

    panels = [("split", stats.splits), ("source", stats.sources), ("licence", stats.licenses)]
    panels += [(name.replace("_", " "), stats.attributes[name]) for name in SHOWN if name in stats.attributes]
    charts = [
        (title, dict(sorted(counts.items(), key=lambda row: -row[1])[:VALUES]) if len(counts) > VALUES else counts)
        for title, counts in panels
        if counts
    ]
    heights = [0] * 3
    places = []
    for title, counts in charts:
        column = heights.index(min(heights))
        places.append((column, heights[column], title, counts))
        heights[column] += TITLE + ROW * len(counts) + 14
    top = 60 + 190
    picture = Image.new("RGB", (WIDTH, top + max(heights) + MARGIN), "white")
    pen = ImageDraw.Draw(picture)
    big, plain = ImageFont.load_default(22), ImageFont.load_default(13)
    name = _drawable(Path(stats.folder).resolve().name)
    pen.text((MARGIN, 16), f"{name}: {stats.pictures:,} pictures, {stats.with_text:,} with a caption", INK, big)
    _histogram(pen, (MARGIN, 60), f"words a caption, median {stats.words.median}", stats.words.counts, None, plain)
    cut = f"tokens a caption ({_drawable(stats.tokenizer)}), median {stats.tokens.median}"
    cut += f"; {stats.share_over:.1%} over {LIMIT}"
    _histogram(pen, (WIDTH // 2 + 10, 60), cut, stats.tokens.counts, LIMIT, plain)
    for column, y, title, counts in places:
        _bars(pen, (MARGIN + column * (COLUMN + MARGIN // 2), top + y), title, counts, stats.pictures, plain)
    return picture


def save(stats: Stats, target: str | Path) -> Path:
    """Draw into a PNG."""
    target = Path(target)
    with atomic_path(target) as temporary:
        draw(stats).save(temporary, format="PNG")
    return target


def _bars(pen: Any, at: tuple[int, int], title: str, counts: dict[str, int], total: int, font: Any) -> None:
    x, y = at
    pen.text((x, y), title, INK, font)
    most, left, room = max(counts.values()), x + 130, COLUMN - 130 - 90
    for i, (value, n) in enumerate(counts.items()):
        line = y + TITLE - 8 + i * ROW
        pen.text((x, line), _fitting(pen, _drawable(value), 124, font), FAINT, font)
        pen.rectangle((left, line + 2, left + max(1, room * n // most), line + 14), BAR)
        pen.text((left + max(1, room * n // most) + 5, line), f"{n:,}  {n / max(1, total):.0%}", INK, font)


def _histogram(pen: Any, at: tuple[int, int], title: str, counts: dict[int, int], limit: int | None, font: Any) -> None:
    x, y = at
    pen.text((x, y), title, INK, font)
    if not counts:
        return
    width, height, most = WIDTH // 2 - 40, 120, max(counts)
    bins = min(60, most + 1)
    step = -(-(most + 1) // bins)
    bars = [0] * (most // step + 1)
    for length, n in counts.items():
        bars[length // step] += n
    wide = width / len(bars)
    for i, n in enumerate(bars):
        colour = LATE if limit and i * step > limit else BAR
        top = y + 30 + height - height * n / max(bars)
        pen.rectangle((x + i * wide, top, x + max(i * wide + 1, (i + 1) * wide - 2), y + 30 + height), colour)
    pen.text((x, y + 34 + height), "0", FAINT, font)
    pen.text((x + width, y + 34 + height), f"{most}", FAINT, font, anchor="ra")


def _fitting(pen: Any, text: str, width: int, font: Any) -> str:
    while len(text) > 1 and pen.textlength(text, font) > width:
        text = text[:-2] + "…"
    return text


def _drawable(text: str) -> str:
    """One line, and nothing that the built-in font has no signs for."""
    return " ".join("".join(c if c.isprintable() and ord(c) < 0x250 or c.isspace() else "?" for c in text).split())
