"""Numbers of an evaluation of groups as a table, JSON and two figures."""

from __future__ import annotations

from pathlib import Path

from ...files import atomic_path, write_json, write_text
from ...records import Score
from ..charts import dots
from ..charts.dots import Dot, Panel
from ..report import grid
from .run import GroupEvaluation


def table(found: GroupEvaluation) -> str:
    """Verdicts and numbers as Markdown that also reads well in a terminal."""
    parts = [
        f"Groups of {found.request.model}",
        "Share of faces that `judge` takes for their group, with 95 % intervals; real faces as small as drawn ones:",
        grid(_recalls(found)),
    ]
    if found.between:
        parts += [
            "Mean probability of a parent by `judge`, with 95 % intervals; between: apart from both sides:",
            grid(_between(found)),
        ]
    return "\n\n".join([*parts, f"Protocol: {found.protocol}"]) + "\n"


def write(found: GroupEvaluation, output: str | Path) -> list[Path]:
    """`groups.json`, `groups.md`, `recalls.png` and, with hybrids, `parents.png` in the folder `output`."""
    folder = Path(output)
    write_json(folder / "groups.json", found.plain())
    write_text(folder / "groups.md", table(found))
    figures = {"recalls.png": [recall_panel(found)], "parents.png": parent_panels(found)}
    legends = {
        "recalls.png": "dot: drawn faces; hollow: real faces seen as small; red: chance; lines: 95 %",
        "parents.png": "mean probability by the judge in drawn faces; lines: 95 %",
    }
    written = [folder / "groups.json", folder / "groups.md"]
    for name, panels in figures.items():
        if panels:
            with atomic_path(folder / name) as temporary:
                dots.draw(panels, legend=legends[name]).save(temporary, format="PNG")
            written.append(folder / name)
    return written


def recall_panel(found: GroupEvaluation) -> Panel:
    """A row for each group."""
    rows = [
        Dot(
            row.group, row.drawn.value, row.drawn.low, row.drawn.high, f"n = {row.drawn.count}", row.chance,
            (row.real.value, row.real.low, row.real.high) if row.real else None,
        )
        for row in found.recalls
    ]  # fmt: skip
    return Panel("share of faces that the judge takes for their group", rows, 0, 1)


def parent_panels(found: GroupEvaluation) -> list[Panel]:
    """A panel for each parent of each hybrid, whose row should lie between the others' and the parent's own."""
    panels = []
    for one in found.between:
        rows = [*one.others, (one.hybrid, one.mixed), (one.parent, one.pure)]
        shown = [Dot(f"in {name}", score.value, score.low, score.high, _value(score)) for name, score in rows]
        verdict = "between" if one.holds else "not between"
        panels.append(Panel(f"{one.parent} in {one.hybrid}: {verdict}", shown, 0, 1))
    return panels


def _recalls(found: GroupEvaluation) -> list[list[str]]:
    rows = [["group", "drawn", "n", "real", "n", "share of real", "over chance"]]
    for row in found.recalls:
        real = [_value(row.real), str(row.real.count)] if row.real else ["-", "0"]
        share = f"{row.of_real:.2f}" if row.of_real is not None else "-"
        rows.append([row.group, _value(row.drawn), str(row.drawn.count), *real, share, _yes(row.above_chance)])
    if all(row.real for row in found.recalls):
        drawn, real_faces = found.balanced("drawn"), found.balanced("real")
        share = f"{drawn.value / real_faces.value:.2f}" if real_faces.value else "-"
        both = [cell for score in (drawn, real_faces) for cell in (_value(score), str(score.count))]
        rows.append(["mean", *both, share, ""])
    return rows


def _between(found: GroupEvaluation) -> list[list[str]]:
    rows = [["parent", "in the hybrid", "", "in the other parents", "in itself", "n", "between"]]
    for one in found.between:
        others = ", ".join(f"{name} {_value(score)}" for name, score in one.others)
        cells = [one.hybrid, _value(one.mixed), others, _value(one.pure), str(one.mixed.count), _yes(one.holds)]
        rows.append([one.parent, *cells])
    return rows


def _value(score: Score) -> str:
    return f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]"


def _yes(true: bool) -> str:
    return "yes" if true else "no"
