"""What `evaluate audit` leaves behind: a table, audit.json, shares and groups as dots, the faces, the nearest pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...files import atomic_path, write_json, write_text
from ...records import Score
from ..charts.dots import Dot, Panel
from ..charts.dots import draw as draw_dots
from ..charts.strips import strips
from ..report import grid
from .measures import Shares
from .memorisation import Memorisation
from .run import Audit

SHOWN = 10  # nearest pairs of drawn faces on the page, and half as many of real ones
LEGEND = {
    "shares.png": "dot: drawn, 95 %; red mark: reference; hollow: corrected for the judge's errors on real faces",
    "groups.png": "kernel distance of drawn to real faces of the group, x 1000, 95 %; less is better",
}


def write(found: Audit, output: str | Path) -> list[Path]:
    """Everything into `output`; the files that were written."""
    output = Path(output)
    write_json(output / "audit.json", found.to_dict())
    write_text(output / "audit.md", table(found))
    pages: dict[str, Any] = {
        "sheet.png": strips([((name.removeprefix("single "),), f) for name, f in found.files.items()])
    }
    drawn = {
        "shares.png": [_share_panel(one) for one in found.shares if one.found[0].count],
        "groups.png": _groups(found),
    }
    for name, panels in drawn.items():
        if any(panel.rows for panel in panels):
            pages[name] = draw_dots(panels, columns=3 if name == "shares.png" else 1, legend=LEGEND[name])
    if found.memorisation:
        pages["nearest.png"] = nearest(found.memorisation)
    for name, picture in pages.items():
        with atomic_path(output / name) as temporary:
            picture.save(temporary, format="PNG")
    return [output / name for name in ("audit.json", "audit.md", *pages)]


def nearest(found: Memorisation) -> Any:
    """Drawn faces and their nearest training faces, then held-out real faces and theirs, the nearest first."""
    rows = []
    for what, pairs in (("drawn", found.drawn[:SHOWN]), ("real, held out", found.real[: SHOWN // 2])):
        for pair in pairs:
            lines = (f"{what} {pair.picture.parent.name}/{pair.picture.name}", f"distance {pair.distance:.4f}")
            more = (f"{pair.nearer:.1%} of real faces are nearer", f"{pair.ratio:.2f} of the next ones' distance")
            rows.append(((*lines, *more), (pair.picture, *pair.training)))
    return strips(rows, size=96)


def table(found: Audit) -> str:
    """Numbers and protocol as Markdown that also reads well in a terminal."""
    parts = [f"Audit of {found.model}"]
    for field in dict.fromkeys(one.field for one in found.shares):
        ours = [one for one in found.shares if one.field == field and one.found[0].count]
        if ours:
            parts += [f"What open prompts show, {field}: shares with 95 % intervals.", grid(_shares(ours))]
            parts += ["+ and -: the interval lies above or below the reference."]
    if found.angles:
        rows = [["faces", "mean angle, degrees", "n"]]
        rows += [[s.metric.removeprefix("audit/ita/"), _of(s, 1), str(s.count)] for s in found.angles]
        parts += ["Skin tone in the picture (higher is lighter):", grid(rows)]
    if found.quality:
        parts += ["Groups, asked for by name: recall by the judge, kernel distance to real faces x 1000."]
        parts += [grid(_quality(found))]
    if found.diversity:
        rows = [["pictures of", "mean distance", "real faces", "Vendi score", "of as many real faces", "n"]]
        for d in found.diversity:
            of_real = "-" if d.real_vendi is None else f"{d.real_vendi:.1f}"
            cells = [_of(d.distance), f"{d.real:.2f}", f"{d.vendi:.1f}", of_real]
            rows.append([d.prompt.removeprefix("single "), *cells, str(d.distance.count)])
        parts += ["Diversity within a prompt:", grid(rows)]
    if found.memorisation:
        parts += ["Nearness to training faces:", grid(_close(found.memorisation))]
    parts += ["Protocol:", "\n".join(f"- {line}" for line in (*found.protocol, *found.notes))]
    return "\n\n".join(parts) + "\n"


def _shares(ours: Sequence[Shares]) -> list[list[str]]:
    rows = [["prompt", *(share.answer for share in ours[0].found), "n", "chance of the reference"]]
    marks = {"over": " +", "under": " -", "": ""}
    for one in ours:
        cells = [_said(s.value, *s.interval) + marks[s.verdict] for s in one.found]
        chance = "-" if one.chance is None else f"{one.chance:.2g}"
        rows.append([one.prompt, *cells, str(one.found[0].count), chance])
        if one.true:
            rows.append(["  corrected", *(_said(*limits) for limits in one.true), "", ""])
    if ours[0].real:
        theirs = ours[0].real
        rows.append(["real test faces", *(f"{s.value:.2f}" for s in theirs), str(theirs[0].count), ""])
    if ours[0].found[0].reference is not None:
        rows.append(["reference", *(f"{s.reference:.2f}" for s in ours[0].found), "", ""])
    return rows


def _quality(found: Audit) -> list[list[str]]:
    rows = [["group", "recall", "kernel distance x 1000", "drawn", "real", ""]]
    for q in found.quality:
        recall = _of(q.recall) if q.recall else "-"
        d = q.distance
        distance = _said(1000 * d.value, 1000 * d.low, 1000 * d.high) if d else "-"
        rows.append([q.group, recall, distance, str(q.drawn), str(q.real), "worse than the mean" if q.worse else ""])
    return rows


def _close(found: Memorisation) -> list[list[str]]:
    rows = [["measure", "value", "if as near as real faces", "n"]]
    rows.append(["drawn nearer than held-out real", _of(found.nearer), "0.50", str(found.nearer.count)])
    if found.below:
        rows.append(["drawn below the line of 1 %", _of(found.below), "0.01", str(found.below.count)])
    return rows


def _share_panel(one: Shares) -> Panel:
    rows = []
    for i, share in enumerate(one.found):
        beside = one.true[i] if one.true else None
        note = f"{share.hits} of {share.count} {share.verdict}".strip()
        rows.append(Dot(share.answer, share.value, *share.interval, note, share.reference, beside))
    return Panel(f"{one.prompt}: {one.field}", rows, 0, 1)


def _groups(found: Audit) -> list[Panel]:
    panels = []
    for field in dict.fromkeys(q.field for q in found.quality):
        rows = [
            Dot(q.group, 1000 * d.value, 1000 * d.low, 1000 * d.high, "worse" if q.worse else f"n {q.drawn}", 0.0)
            for q in found.quality
            if q.field == field and (d := q.distance)
        ]
        panels.append(Panel(field, rows))
    return panels


def _of(score: Score, digits: int = 2) -> str:
    return _said(score.value, score.low, score.high, digits)


def _said(value: float, low: float, high: float, digits: int = 2) -> str:
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
