"""Values with their intervals as dots on lines, by group, with what they are held against; drawn with Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...data.sheet import fitting

WORDS, LINE, ROW, TITLE, NOTE, MARGIN = 150, 330, 20, 26, 120, 18
INK, FAINT, DOT, OTHER, MARK = "#222222", "#888888", "#2b5f9e", "#e08214", "#c0392b"


@dataclass(frozen=True)
class Dot:
    """One row: a value with its interval; `reference` is drawn as a mark, `beside` as a second, hollow dot."""

    label: str
    value: float
    low: float
    high: float
    note: str = ""
    reference: float | None = None
    beside: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Panel:
    """Rows on one scale, from `start` to `end`; None takes in all that is shown."""

    title: str
    rows: Sequence[Dot]
    start: float | None = None
    end: float | None = None

    def scale(self) -> tuple[float, float]:
        shown = [x for r in self.rows for x in (r.low, r.high, r.reference, *(r.beside or ())) if x is not None]
        start = min(shown) if self.start is None else self.start
        end = max(shown) if self.end is None else self.end
        return start, end if end > start else start + 1


def draw(panels: Sequence[Panel], columns: int = 2, legend: str = "") -> Any:
    """A PIL image of the panels, each in the shortest column so far."""
    from PIL import Image, ImageDraw, ImageFont

    panels = [panel for panel in panels if panel.rows]
    if not panels:
        raise ValueError("nothing to draw")
    columns = min(columns, len(panels))
    width, top = WORDS + LINE + NOTE + MARGIN, MARGIN + (22 if legend else 0)
    heights, places = [top] * columns, []
    for panel in panels:
        column = heights.index(min(heights))
        places.append((MARGIN + column * width, heights[column], panel))
        heights[column] += TITLE + (len(panel.rows) + 1) * ROW + MARGIN
    page = Image.new("RGB", (MARGIN + columns * width, max(heights)), "white")
    pen, font, bold = ImageDraw.Draw(page), ImageFont.load_default(12), ImageFont.load_default(14)
    pen.text((MARGIN, MARGIN - 6), legend, FAINT, font)
    for x, y, panel in places:
        pen.text((x, y), panel.title, INK, bold)
        _panel(pen, (x, y + TITLE), panel, font)
    return page


def _panel(pen: Any, at: tuple[int, int], panel: Panel, font: Any) -> None:
    x, y = at
    start, end = panel.scale()
    left = x + WORDS

    def place(value: float) -> float:
        return left + LINE * min(1.0, max(0.0, (value - start) / (end - start)))

    bottom = y + len(panel.rows) * ROW
    for share in (0, 0.25, 0.5, 0.75, 1):
        value = start + share * (end - start)
        pen.line((place(value), y, place(value), bottom), "#eeeeee")
        pen.text((place(value), bottom + 2), f"{value:.3g}", FAINT, font, anchor="mt")
    for i, row in enumerate(panel.rows):
        middle = y + i * ROW + ROW // 2
        pen.text((x, middle), fitting(pen, row.label, WORDS - 10, font), INK, font, anchor="lm")
        if row.reference is not None:
            pen.line((place(row.reference), middle - 8, place(row.reference), middle + 8), MARK, 2)
        if row.beside is not None:
            value, low, high = row.beside
            pen.line((place(low), middle + 5, place(high), middle + 5), OTHER, 1)
            _dot(pen, place(value), middle + 5, 3, "white", OTHER)
        pen.line((place(row.low), middle, place(row.high), middle), DOT, 2)
        _dot(pen, place(row.value), middle, 4, DOT, DOT)
        pen.text((left + LINE + 10, middle), fitting(pen, row.note, NOTE - 12, font), FAINT, font, anchor="lm")


def _dot(pen: Any, x: float, y: float, radius: int, fill: str, line: str) -> None:
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill, line)
