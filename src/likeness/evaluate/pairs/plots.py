"""A comparison by pairs as pictures: means, distributions, curves over epochs, and the pairs themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...data.decode import open_image
from ...files import atomic_path
from ...generate.grid import sheet
from ..charts.axes import Page, ends
from ..charts.dots import Dot, Panel, draw
from .report import better, rule, title
from .run import Comparison, Row, Summary

BLUE, PALE, GREY, RED = "#4c78a8", "#dbe5f1", "#8a8a8a", "#c0392b"
BINS, EPOCHS, ACROSS, CELL = 30, 6, 5, 128
LEGEND = "blue: the pairs; grey: by chance, with the next pair's real picture; red: the field's rule of thumb"


def write(found: Comparison, output: str | Path) -> list[Path]:
    """`mean_metrics.png`, `distributions.png`, `pairs.png` and, of several epochs, `curves_by_epoch.png`."""
    pictures = {"mean_metrics.png": means(found), "distributions.png": distributions(found), "pairs.png": pairs(found)}
    if len(found.epochs) > 1:
        pictures["curves_by_epoch.png"] = curves(found)
    for name, picture in pictures.items():
        with atomic_path(Path(output) / name) as temporary:
            picture.save(temporary, format="PNG")
    return [Path(output) / name for name in pictures]


def means(found: Comparison) -> Any:
    """Means with their intervals, by chance beside them: a panel for each epoch."""
    panels = []
    for epoch in found.epochs:
        rows = [_dot(one) for one in found.summaries if one.epoch == epoch]
        low = min([0.0, *(end for row in rows for end in (row.low, *(row.beside or ())))])
        panels.append(Panel("mean of the pairs" if epoch is None else f"epoch {epoch}", rows, low, 1.0))
    return draw(panels, legend="full: mean with 95 % interval; hollow: by chance; red: the field's rule of thumb")


def distributions(found: Comparison) -> Any:
    """A histogram for each measure; of at most six epochs, the first and the last with them."""
    shown = found.epochs
    if len(shown) > EPOCHS:
        shown = [shown[round(i * (len(shown) - 1) / (EPOCHS - 1))] for i in range(EPOCHS)]
    page = Page(len(found.measured), len(shown), LEGEND)
    for column, measure in enumerate(found.measured):
        edges = np.linspace(
            *ends(_values(found.rows, measure, "values") + _values(found.rows, measure, "by_chance")), BINS + 1
        )
        limit = _limit(found, measure)
        for line, epoch in enumerate(shown):
            rows = [row for row in found.rows if row.epoch == epoch]
            own, chance = (_shares(_values(rows, measure, side), edges) for side in ("values", "by_chance"))
            name = title(measure) if epoch is None else f"{title(measure)}, epoch {epoch}"
            top = max(own.max(), chance.max()) * 1.08 or 1.0
            axes = page.axes(column, line, (edges[0], edges[-1]), (0, top), name, "share of pairs in a bin")
            axes.bars(edges.tolist(), own.tolist(), BLUE)
            if chance.any():
                axes.steps(edges.tolist(), chance.tolist(), GREY)
            if limit is not None:
                axes.upright(limit, RED, rule(measure, limit))
    return page.picture


def curves(found: Comparison) -> Any:
    """Means over epochs, each with the band of its intervals."""
    page = Page(min(3, len(found.measured)), -(-len(found.measured) // 3), LEGEND)
    for place, measure in enumerate(found.measured):
        mine = [one for one in found.summaries if one.column == measure]
        chance = [(float(one.epoch or 0), one.by_chance) for one in mine if one.by_chance is not None]
        limit = _limit(found, measure)
        every = [end for one in mine for end in _interval(one)] + [y for _, y in chance]
        xs = [float(one.epoch or 0) for one in mine]
        axes = page.axes(place % 3, place // 3, ends(xs), ends(every), title(measure), "epoch")
        axes.band(xs, [_interval(one) for one in mine], PALE)
        axes.line(chance, GREY)
        axes.line([(x, one.mean) for x, one in zip(xs, mine, strict=True)], BLUE)
        if limit is not None:
            axes.level(limit, RED, rule(measure, limit))
    return page.picture


def pairs(found: Comparison) -> Any:
    """The best, the middle and the worst pairs of the last epoch, a generated picture left of its real one."""
    measure = next(m for m in (found.columns[-1], *found.columns) if m in found.measured)
    last = [row for row in found.rows if row.epoch == found.epochs[-1] and measure in row.values]
    if not last:  # nothing of the last epoch could be read
        last = [row for row in found.rows if measure in row.values]
    last.sort(key=lambda row: row.values[measure], reverse=better(measure) == "higher")
    middle = max(0, (len(last) - ACROSS) // 2)
    rows = {"best": last[:ACROSS], "middle": last[middle : middle + ACROSS], "worst": last[-ACROSS:]}
    if len(last) <= ACROSS:
        rows = {"all": last}
    images = [image for row in rows.values() for one in row for image in _two(one)]
    told = [text for row in rows.values() for one in row for text in (_numbers(one, found.measured), one.pair.name)]
    return sheet(images, 2 * min(ACROSS, len(last)), told, [f"{name} by {title(measure)}" for name in rows])


def _two(row: Row) -> list[Any]:
    from PIL import Image

    found = []
    for path in (row.pair.generated, row.pair.real):
        picture = open_image(path, CELL)
        picture.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
        found.append(picture)
    return found


def _numbers(row: Row, measured: Sequence[str]) -> str:
    return ", ".join(
        f"{column.replace('_', ' ')} {row.values[column]:.2f}" for column in measured if column in row.values
    )


def _dot(one: Summary) -> Dot:
    low, high = _interval(one)
    chance = None if one.by_chance is None else (one.by_chance,) * 3
    label = one.column.replace("_", " ") + (", offline" if "offline" in title(one.column) else "")
    return Dot(label, one.mean, low, high, f"{one.mean:.3f}, n {one.count:,}", one.rule, chance)


def _interval(one: Summary) -> tuple[float, float]:
    """The mean itself where one pair has none."""
    return (one.mean, one.mean) if one.low != one.low else (one.low, one.high)


def _limit(found: Comparison, measure: str) -> float | None:
    return next((one.rule for one in found.summaries if one.column == measure), None)


def _values(rows: Sequence[Row], measure: str, side: str) -> list[float]:
    return [value for row in rows if (value := getattr(row, side).get(measure)) is not None]


def _shares(values: Sequence[float], edges: np.ndarray) -> np.ndarray:
    return np.histogram(values, edges)[0] / max(1, len(values))
