"""The printed table, scores.json, and the block of scores in a model card."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..files import write_json, write_text
from ..models.registry import ASSETS, MODELS
from ..records import Score
from .adherence.cases import Adherence
from .adherence.traits import TRAITS
from .evaluation import Evaluation

BEGIN, END = "<!-- scores:begin -->", "<!-- scores:end -->"
HEADINGS = {
    "judge": "By `judge` (attribute classifier, in no loss)",
    "eye": "By `eye`, zero-shot (averaged prompts, nearest wins)",
}


def table(evaluation: Evaluation) -> str:
    """Protocol and numbers as Markdown that also reads well in a terminal."""
    parts = [f"Scores of {evaluation.model}", "Balanced accuracy with 95 % intervals, and the number of faces n."]
    for by, heading in HEADINGS.items():
        parts += [f"{heading}:", grid(_adherence_rows(evaluation.adherence, by))]
    parts += ["Frechet distance in `eye` features to the real test faces (lower is better):"]
    parts += [grid(_distance_rows(evaluation))]
    parts += ["Protocol:", "\n".join(f"- {line}" for line in (*evaluation.protocol, *evaluation.notes))]
    return "\n\n".join(parts) + "\n"


def _adherence_rows(measured: Sequence[Adherence], by: str) -> list[list[str]]:
    """A row for each trait: the protocol's prompt set beside the same judge on real faces; then every drawn face."""
    rows = [["asked", "chance", "drawn", "n", "real test faces", "n", "all drawn", "n"]]
    for trait in TRAITS:
        main = "half" if trait.binary else "all"
        row = [trait.title, f"{1 / len(trait.answers):.2f}"]
        for faces, sets in (("drawn", main), ("real", main), ("drawn", "all")):
            found = [a for a in measured if (a.trait.name, a.faces, a.by, a.sets) == (trait.name, faces, by, sets)]
            row += [_value(found[0].score()), str(found[0].count)] if found else ["-", "0"]
        rows.append(row)
    return rows


def _distance_rows(evaluation: Evaluation) -> list[list[str]]:
    rows = [["faces", "distance", "n"]]
    for name, score in (("drawn", evaluation.distance), ("floor: real train faces", evaluation.floor)):
        rows.append([name, _value(score, 4), str(score.count)] if score else [name, "-", "0"])
    return rows


def _value(score: Score, digits: int = 2) -> str:
    return f"{score.value:.{digits}f} [{score.low:.{digits}f}, {score.high:.{digits}f}]"


def grid(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def write_scores(evaluation: Evaluation, path: str | Path) -> None:
    """All scores as a JSON list of `records.Score`."""
    write_json(path, [dataclasses.asdict(score) for score in evaluation.scores()])


def times(evaluation: Evaluation) -> str:
    """How long it took, in one line."""
    kept = evaluation.count - evaluation.drawn_now
    found = f" ({kept} were there already)" if kept else ""
    return (
        f"Drew {evaluation.drawn_now} of {evaluation.count} faces in {evaluation.seconds_drawing:.0f} s{found}, "
        f"measured in {evaluation.seconds_measuring:.0f} s."
    )


def publish(evaluation: Evaluation, card: str | Path | None = None) -> str:
    """Write the scores into `card`, or into a shipped model's own card if the run was complete; say what was done.

    Raises `UsageError` when there is no card to write or it cannot be written.
    """
    if card is None:
        spec = MODELS.get(evaluation.model)
        if spec is None or spec.asset is None:
            raise UsageError(f"{evaluation.model} has none here, give one with --card")
        if not evaluation.complete:
            raise UsageError("a card is for a complete run at default settings (or give --card)")
        card = ASSETS / spec.asset / "README.md"
    check_card(card)
    write_card(evaluation, card)
    return f"Wrote the scores into {card}."


def check_card(path: str | Path) -> None:
    """Raise `UsageError` unless `path` is a card whose block of scores can be replaced."""
    _split(Path(path))
    if not (os.access(path, os.W_OK) and os.access(Path(path).parent, os.W_OK)):
        raise UsageError(f"cannot write {path}: choose another --card")


def write_card(evaluation: Evaluation, path: str | Path) -> None:
    """Replace what stands between the two markers of a card by `table`; everything else stays as it is."""
    before, after = _split(Path(path))
    write_text(path, f"{before}{BEGIN}\n{table(evaluation)}{END}{after}")


def _split(path: Path) -> tuple[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"cannot read the card {path}: give --card a Markdown file") from None
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended or BEGIN in rest:
        raise UsageError(f"{path} has no block for scores: put one line {BEGIN} and below it one line {END} into it")
    return before, after
