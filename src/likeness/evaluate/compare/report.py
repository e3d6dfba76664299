"""What `evaluate compare` leaves behind: comparison.json, report.html; and a table for the terminal."""

from __future__ import annotations

from pathlib import Path

from ...files import write_json, write_text
from ..report import grid
from .changes import Change
from .comparison import Comparison
from .marks import number
from .page import page


def write(found: Comparison, output: str | Path) -> list[Path]:
    """Both files, or neither: the page is made before the first is written."""
    output, made = Path(output), page(found)
    write_json(output / "comparison.json", found.to_dict())
    write_text(output / "report.html", made)
    return [output / "comparison.json", output / "report.html"]


def table(found: Comparison) -> str:
    """Every number of every side and its change, then what was not measured."""
    names = [side.name for side in found.sides]
    changes = ["change"] if len(names) == 2 else [f"change of {name}" for name in names[1:]]
    rows = [["number", "n", *names, *changes]]
    for m in found.found.measures:
        values = [f"{number(s.value)} [{number(s.low)}, {number(s.high)}]" for s in m.scores]
        rows.append([m.title, str(m.scores[0].count), *values, *map(_change, m.changes)])
    parts = [grid(rows), "Changes in per cent: plus is better. Intervals: 95 %."]
    if found.found.missing:
        parts.append("Not measured:\n" + "\n".join(f"- {what}: {why}" for what, why in found.found.missing.items()))
    return "\n\n".join(parts)


def _change(one: Change) -> str:
    percent = f" ({one.percent:+.1f} %)" if one.percent is not None else ""
    return f"{one.absolute:+.3g} [{number(one.low)}, {number(one.high)}]{percent} {one.verdict}".rstrip()
