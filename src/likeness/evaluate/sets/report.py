"""What `likeness evaluate sets` writes: sets.json, the table, a chart of the intervals, and a sheet of extremes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...files import atomic_path, write_json, write_text
from ...records import Score
from ..charts.dots import Dot, Panel, draw
from ..charts.strips import strips
from .run import Sets

TITLES = {
    "frechet": "Frechet distance at these counts", "frechet_infinity": "Frechet distance, bias taken away",
    "kid": "kernel distance (KID)", "cmmd": "kernel distance (CMMD)", "precision": "precision", "recall": "recall",
    "density": "density", "coverage": "coverage",
}  # fmt: skip
SHARES = ("precision", "recall", "density", "coverage")  # higher is better, on one scale


def table(found: Sets) -> str:
    """Every number of drawn pictures beside that of two halves of the real ones, and what to know about them."""
    lines = []
    for network in dict.fromkeys(c.network for c in found.comparisons):
        scores = {tuple(s.metric.split("/")): s for s in found.scores()}
        rows = [("in `" + network + "` features", "drawn", "n", "halves of the real set", "n")]
        for metric, title in TITLES.items():
            drawn, floor = (scores.get((metric, network, faces)) for faces in ("drawn", "floor"))
            if drawn or floor:
                rows.append((title, *_cells(drawn), *_cells(floor)))
        told = next(c.told for c in found.comparisons if c.network == network)
        lines += [_columns(rows), "", f"Network: {told}.", ""]
    notes = found.plain()["notes"]
    return "\n".join([*lines, *(f"- {note}" for note in notes)]).rstrip() + "\n"


def _cells(score: Score | None) -> tuple[str, str]:
    if score is None:
        return "-", "0"
    return f"{score.value:.4g} [{score.low:.4g}, {score.high:.4g}]", str(score.count)


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def write(found: Sets, output: Path) -> list[Path]:
    """sets.json, sets.txt, extremes.png and, where there are numbers, sets.png; the files that were written."""
    written = [output / name for name in ("sets.json", "sets.txt", "sets.png", "extremes.png")]
    write_json(written[0], found.plain())
    write_text(written[1], table(found))
    if found.scores():
        with atomic_path(written[2]) as temporary:
            draw(_panels(found), legend="dot: drawn; hollow: halves of the real set; 95 % intervals").save(temporary)
    rows = [
        (("drawn, furthest from any real face",), found.least),
        (("real, furthest from any drawn face",), found.missed),
    ]
    with atomic_path(written[3]) as temporary:
        strips(rows, size=96).save(temporary)
    return [path for path in written if path.exists()]


def _panels(found: Sets) -> list[Panel]:
    """A scale for each distance, and one for the four shares."""
    scores = {tuple(s.metric.split("/")): s for s in found.scores()}
    networks = list(dict.fromkeys(c.network for c in found.comparisons))

    def row(metric: str, network: str, label: str) -> list[Dot]:
        drawn, floor = (scores.get((metric, network, faces)) for faces in ("drawn", "floor"))
        if drawn is None:
            return []
        beside = (floor.value, floor.low, floor.high) if floor else None
        return [Dot(label, drawn.value, drawn.low, drawn.high, f"{drawn.value:.4g}", beside=beside)]

    panels = [
        Panel(f"{title}, {network}", row(metric, network, network))
        for metric, title in TITLES.items() if metric not in SHARES for network in networks
    ]  # fmt: skip
    panels += [
        Panel(f"in {network} features", sum((row(m, network, m) for m in SHARES), []), 0) for network in networks
    ]
    return [panel for panel in panels if panel.rows]
