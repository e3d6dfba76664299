"""What `evaluate prompts` leaves behind: a table, prompts.json, confusion tables drawn, and the faces by cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...files import atomic_path, write_json, write_text
from ..charts import matrices
from ..charts.dots import Dot, Panel
from ..charts.dots import draw as draw_dots
from ..charts.strips import strips
from ..formulas.confusion import Confusion
from ..formulas.intervals import wilson
from ..report import grid
from .grid import NEGATIVE, OPEN, WITHOUT
from .run import PromptResult, to_dict

ASKED = {OPEN: "not spoken of", WITHOUT: "without", NEGATIVE: "negative prompt"}


def write(found: PromptResult, output: str | Path) -> list[Path]:
    """Everything into `output`; the files that were written."""
    output = Path(output)
    written = [output / name for name in ("prompts.json", "prompts.md", "sheet.png")]
    write_json(written[0], to_dict(found))
    write_text(written[1], table(found))
    pages = {"sheet.png": strips([(_lines(name), files) for name, files in found.files.items()])}
    if any(c.count for c in found.confusions):
        pages["confusion.png"] = matrices.draw(found.confusions)
    if panels := _panels(found):
        pages["recalls.png"] = draw_dots(panels, legend="dot: drawn faces; hollow: the same judge on real faces; 95 %")
    for name, picture in pages.items():
        with atomic_path(output / name) as temporary:
            picture.save(temporary, format="PNG")
    return [*written[:2], *(output / name for name in pages)]


def table(found: PromptResult) -> str:
    """Numbers and protocol as Markdown that also reads well in a terminal."""
    parts = [f"Prompts and faces of {found.model}"]
    for by in dict.fromkeys(c.by for c in found.confusions):
        parts += [f"One attribute at a time, mean recall by {by} with 95 % intervals:", grid(_fields(found, by))]
    if found.pairs:
        rows = [["asked at once", "by", "both", "first only", "second only", "n", "expected of the two alone"]]
        for one in found.pairs:
            low, high = wilson(one.both, one.count)
            expected = "-" if one.expected is None else f"{one.expected:.2f}"
            cells = [str(one.first), str(one.second), str(one.count), expected]
            rows.append([one.name.removeprefix("pair "), one.by, _said(one.both / one.count, low, high), *cells])
        parts += ["Two attributes at once:", grid(rows)]
    if found.negations:
        rows = [["thing", "by", *ASKED.values(), "n of each"]]
        for field, by in dict.fromkeys((one.field, one.by) for one in found.negations):
            ours = {one.asked: one for one in found.negations if (one.field, one.by) == (field, by)}
            shares = [_said(o.present / o.count, *wilson(o.present, o.count)) for o in (ours[k] for k in ASKED)]
            rows.append([field.replace("_", " "), by, *shares, str(ours[OPEN].count)])
        parts += ["Negation: share of faces that show the thing all the same:", grid(rows)]
    parts += ["Protocol:", "\n".join(f"- {line}" for line in (*found.protocol, *found.notes))]
    return "\n\n".join(parts) + "\n"


def _fields(found: PromptResult, by: str) -> list[list[str]]:
    rows = [["asked", "chance", "drawn", "n", "real test faces", "n", "most often mistaken"]]
    for one in found.confusions:
        if (one.by, one.faces) == (by, "drawn"):
            real = next((c for c in found.confusions if (c.by, c.faces, c.field) == (by, "real", one.field)), None)
            row = [one.field.replace("_", " "), f"{1 / len(one.values):.2f}"]
            for c in (one, real):
                score = c.score("") if c is not None and c.count else None
                row += [_said(score.value, score.low, score.high), str(score.count)] if score else ["-", "0"]
            rows.append([*row, mistaken(one)])
    return rows


def mistaken(one: Confusion) -> str:
    """The value that was answered otherwise most often, and how."""
    worst = max(
        ((n / sum(row), value, answer) for value, row in zip(one.values, one.counts, strict=True) if sum(row)
         for answer, n in zip((*one.values, "unsaid"), row, strict=True) if answer != value),
        default=(0.0, "", ""),
    )  # fmt: skip
    return f"{worst[1]} as {worst[2]} ({worst[0]:.0%})" if worst[0] else "none"


def _panels(found: PromptResult) -> list[Panel]:
    panels = []
    for one in found.confusions:
        if one.faces == "drawn" and one.count:
            real = next((c for c in found.confusions if (c.by, c.faces, c.field) == (one.by, "real", one.field)), None)
            panels.append(Panel(f"{one.field.replace('_', ' ')}: recall by {one.by}", _dots(one, real), 0, 1))
    return panels


def _dots(one: Confusion, real: Confusion | None) -> Sequence[Dot]:
    rows = []
    for value in one.values:
        hits, count = one.hits(value)
        theirs, total = real.hits(value) if real else (0, 0)
        beside = (theirs / total, *wilson(theirs, total)) if total else None
        if count:
            rows.append(Dot(value, hits / count, *wilson(hits, count), f"{hits} of {count}", beside=beside))
    return rows


def _lines(name: str) -> list[str]:
    """A cell's name, an attribute a line."""
    return re.split(r"\+(?=\w+=)", name.removeprefix("single "))


def _said(value: float, low: float, high: float) -> str:
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
