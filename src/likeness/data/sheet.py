"""A contact sheet: pictures from all over a prepared folder on one page, with what is said of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import atomic_path
from ..records import FaceRecord
from .decode import open_image
from .manifest import Manifest
from .paths import existing

COUNT, COLUMNS, CELL, LINE, MARGIN = 60, 10, 144, 14, 6
INK, FAINT = "#222222", "#888888"


def save(folder: str | Path, target: str | Path, count: int = COUNT) -> Path | None:
    """Draw up to `count` pictures, evenly spaced over the table, into a PNG; None for an empty folder."""
    chosen = spread(Manifest(folder), count)
    if not chosen:
        return None
    with atomic_path(target) as temporary:
        draw(Path(folder), chosen).save(temporary, format="PNG")
    return Path(target)


def spread(manifest: Manifest, count: int) -> list[FaceRecord]:
    """The first row, the last, and as many between them, evenly spaced."""
    total = manifest.count() if manifest.exists() else 0
    if total <= count:
        return list(manifest.records()) if total else []
    wanted = {round(i * (total - 1) / (count - 1)) for i in range(count)} if count > 1 else {0}
    return [record for position, record in enumerate(manifest.records()) if position in wanted]


def draw(folder: Path, records: list[FaceRecord]) -> Any:
    """A PIL image of the records' pictures, `COLUMNS` a row."""
    from PIL import Image, ImageDraw, ImageFont

    columns = min(COLUMNS, len(records))
    rows = -(-len(records) // columns)
    width, height = CELL + MARGIN, CELL + 2 * LINE + MARGIN
    page = Image.new("RGB", (MARGIN + columns * width, MARGIN + rows * height), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    for position, record in enumerate(records):
        x, y = MARGIN + position % columns * width, MARGIN + position // columns * height
        try:
            image = open_image(existing(folder, record.file_name), CELL)
            image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
            page.paste(image, (x + (CELL - image.width) // 2, y + (CELL - image.height) // 2))
        except UsageError:
            pen.text((x + 4, y + CELL // 2), "cannot be read", INK, font)
        pen.text((x, y + CELL + 1), fitting(pen, Path(record.file_name).stem, CELL, font), INK, font)
        pen.text((x, y + CELL + LINE), fitting(pen, said(record), CELL, font), FAINT, font)
    return page


def said(record: FaceRecord) -> str:
    """Sex, age and ethnicity if known, else the caption's beginning."""
    known = record.attributes
    if known is not None and (parts := [known.gender, known.age and str(known.age), *known.ethnicity[:1]]):
        if text := " ".join(p for p in parts if p):
            return text
    return record.text[:60]


def fitting(pen: Any, text: str, width: int, font: Any) -> str:
    """As much of a text as `width` pixels hold, in signs that the built-in font has."""
    text = " ".join("".join(c if c.isprintable() and ord(c) < 0x250 or c.isspace() else "?" for c in text).split())
    while len(text) > 1 and pen.textlength(text, font) > width:
        text = text[:-2] + "…"
    return text
