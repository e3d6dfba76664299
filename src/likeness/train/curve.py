"""The loss of a run as a table and as a picture: loss.csv and training_loss.png, from its metrics. Pillow alone."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from typing import Any

from ..files import atomic_path
from ..runs import RunFolder

TABLE, PICTURE = "loss.csv", "training_loss.png"
WIDTH, HEIGHT, FINE = 1200, 700, 2  # drawn FINE times as large and made smaller: smooth lines
LEFT, RIGHT, TOP, BOTTOM = 90, 45, 60, 60
INK, FAINT, GRID = "#222222", "#777777", "#e4e4e4"
COLOURS = {"loss": "#9db8dc", "epoch_loss": "#1f4e8c"}  # each logged step pale, the mean of each epoch strong
OTHERS = ("#e45756", "#54a24b", "#b279a2", "#f58518")  # what a recipe has measured beside them

Curve = list[tuple[float, float]]  # (images, loss), in order


def write_curve(run: RunFolder) -> None:
    """Write loss.csv, a row for each number of images that something was logged at, and training_loss.png.

    The picture shows every column that is a loss; without one, only the table is written. The main process writes.
    """
    rows = merged(run.metrics())
    if not (run.writes and rows):
        return
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with atomic_path(run.path / TABLE) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    if curves := losses(rows):
        with atomic_path(run.path / PICTURE) as temporary:
            draw(curves).save(temporary, format="PNG")


def merged(metrics: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each count of images, in order, with all that was logged at it."""
    rows: dict[int, dict[str, Any]] = {}
    for row in metrics:
        rows.setdefault(row["images"], {}).update(row)
    return [rows[images] for images in sorted(rows)]


def losses(rows: Sequence[dict[str, Any]]) -> dict[str, Curve]:
    """Column -> its finite points, of the columns whose name ends in "loss"."""
    names = dict.fromkeys(key for row in rows for key in row if key.endswith("loss"))
    found = {n: [(row["images"], row[n]) for row in rows if n in row and math.isfinite(row[n])] for n in names}
    return {name: curve for name, curve in found.items() if curve}


def draw(curves: dict[str, Curve]) -> Any:
    """A PIL image; the losses are on a logarithmic axis where all are positive."""
    from PIL import Image, ImageDraw, ImageFont

    page = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(17 * FINE)
    points = [point for curve in curves.values() for point in curve]
    most = max(x for x, _ in points)
    logarithmic = min(y for _, y in points) > 0
    low, high = _ends([y for _, y in points], logarithmic)

    def place(x: float, y: float) -> tuple[float, float]:
        up = math.log(y / low) / math.log(high / low) if logarithmic else (y - low) / (high - low)
        right = LEFT + (WIDTH - LEFT - RIGHT) * x / max(1, most)
        return right * FINE, (HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * up) * FINE

    for y in ticks(low, high, logarithmic):
        pen.line([place(0, y), place(most, y)], GRID, FINE)
        pen.text((place(0, y)[0] - 8 * FINE, place(0, y)[1]), f"{y:g}", FAINT, font, anchor="rm")
    for x in ticks(0, most, False):
        pen.line([place(x, low), place(x, high)], GRID, FINE)
        pen.text((place(x, low)[0], (HEIGHT - BOTTOM + 8) * FINE), f"{x:,.0f}", FAINT, font, anchor="ma")
    pen.text((WIDTH * FINE / 2, (HEIGHT - 12) * FINE), "images seen", FAINT, font, anchor="ms")
    others, left = iter(OTHERS * len(curves)), float(LEFT * FINE)
    for name, curve in curves.items():
        colour, said = COLOURS.get(name) or next(others), name.replace("_", " ")
        _line(pen, [place(x, y) for x, y in curve], colour)
        pen.text((left, TOP / 2 * FINE), f"{said}, last {curve[-1][1]:.4g}", colour, font, anchor="lm")
        left += pen.textlength(f"{said}, last {curve[-1][1]:.4g}    ", font)
    pen.rectangle([place(0, high), place(most, low)], outline=INK, width=FINE)
    return page.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def ticks(low: float, high: float, logarithmic: bool, most: int = 8) -> list[float]:
    """Round numbers between `low` and `high`: 1, 2, 5 times a power of ten, or only its powers where that is many."""
    if logarithmic:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digits in ((1, 2, 5), (1,)):
            found = [d * 10.0**p for p in powers for d in digits if low <= d * 10.0**p <= high]
            if len(found) <= most:
                break
        return found
    rough = (high - low) / most or 1.0
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * d for d in (1, 2, 5, 10) if size * d >= rough)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _ends(values: Sequence[float], logarithmic: bool) -> tuple[float, float]:
    """A little below the least and above the greatest."""
    low, high = min(values), max(values)
    if logarithmic:
        return low / 1.1, high * 1.1
    room = (high - low or 1.0) * 0.05
    return low - room, high + room


def _line(pen: Any, places: list[tuple[float, float]], colour: str) -> None:
    pen.line(places, colour, 2 * FINE, joint="curve")
    if len(places) == 1:  # the run has only begun
        (x, y), r = places[0], 4 * FINE
        pen.ellipse((x - r, y - r, x + r, y + r), colour)
