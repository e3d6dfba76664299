"""What the page shows besides text: intervals as small SVG drawings, pictures as data in the page itself. Pure."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ..charts.strips import small
from .measures import Measure

SIDE = 160  # pixels of a picture in the page, about 5 KB each
WIDTH, ROW, MARGIN = 220, 14, 8
SHARES = ("words/", "groups/", "precision/", "recall/", "coverage/")  # numbers that live in 0 to 1
COLOURS = 6


@cache
def picture(path: Path, alt: str) -> str:
    """A small copy of a picture as an <img> that needs no file."""
    kept = io.BytesIO()
    small(path, SIDE).save(kept, "WEBP", quality=84)
    data = base64.b64encode(kept.getvalue()).decode()
    return f'<img src="data:image/webp;base64,{data}" alt="{html.escape(alt)}" loading="lazy">'


def mark(side: int) -> str:
    """The dot of a side, for legends and headings."""
    return f'<svg class="key" viewBox="-6 -6 12 12" aria-hidden="true">{_dot(side, 0, 0)}</svg>'


def intervals(measure: Measure, names: Sequence[str]) -> str:
    """The values of all sides with their intervals on one line each, on a scale of their own."""
    limits = [(s.value, s.low, s.high) for s in measure.scores]
    low, high = scale(measure)
    height = ROW * len(limits) + 4

    def x(value: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (min(max(value, low), high) - low) / (high - low)

    told = "; ".join(f"{name} {number(v)}" for name, (v, _, _) in zip(names, limits, strict=True))
    ends = f'<line class="axis" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{height - 1}" y2="{height - 1}"/>'
    base = f'<line class="base" x1="{x(limits[0][0]):.1f}" x2="{x(limits[0][0]):.1f}" y1="0" y2="{height}"/>'
    rows = []
    for i, (value, left, right) in enumerate(limits):
        y = ROW * i + ROW / 2
        if not math.isnan(left):
            rows.append(f'<line class="c{i % COLOURS} bar" x1="{x(left):.1f}" x2="{x(right):.1f}" y1="{y}" y2="{y}"/>')
        rows.append(_dot(i, x(value), y))
    drawing = f'<svg class="dots" viewBox="0 0 {WIDTH} {height}" role="img">'
    ticks = f'<span class="ends"><span>{number(low)}</span><span>{number(high)}</span></span>'
    return f"{drawing}<title>{html.escape(told)}</title>{ends}{base}{''.join(rows)}</svg>{ticks}"


def shares(values: Sequence[tuple[float, float, float]]) -> str:
    """The share of one answer by side, as bars with intervals from 0 to 1."""
    height, parts = ROW * len(values) + 2, []
    for i, (value, low, high) in enumerate(values):
        y = ROW * i + 2
        parts.append(
            f'<rect class="c{i % COLOURS} fill" x="0" y="{y}" width="{WIDTH * value:.1f}" height="{ROW - 4}"/>'
        )
        middle = y + (ROW - 4) / 2
        parts.append(f'<line class="ink" x1="{WIDTH * low:.1f}" x2="{WIDTH * high:.1f}" y1="{middle}" y2="{middle}"/>')
    return f'<svg class="dots" viewBox="0 0 {WIDTH} {height}" aria-hidden="true">{"".join(parts)}</svg>'


def scale(measure: Measure) -> tuple[float, float]:
    """From where to where a drawing goes: 0 to 1 for shares, else what values and intervals need."""
    if measure.key.startswith(SHARES) and not measure.key.startswith("words/text/"):
        return 0.0, 1.0
    ends = [v for s in measure.scores for v in (s.value, s.low, s.high) if not math.isnan(v)]
    low, high = min(ends), max(ends)
    pad = 0.06 * (high - low) or abs(high) or 1.0
    return low - pad, high + pad


def number(value: float) -> str:
    """Two digits behind the point, or two that count."""
    if math.isnan(value):
        return "–"
    return f"{value:.2f}" if 0.01 <= abs(value) < 10 or value == 0 else f"{value:.2g}"


def _dot(side: int, x: float, y: float) -> str:
    """The base is hollow, so that the sides differ in print too."""
    hollow = " hollow" if side == 0 else ""
    return f'<circle class="c{side % COLOURS} dot{hollow}" cx="{x:.1f}" cy="{y}" r="4"/>'
