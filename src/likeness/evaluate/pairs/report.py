"""The numbers of a comparison by pairs as tables: Markdown, a row for each picture, means, and JSON."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...files import atomic_path, write_json
from ...records import Score
from ..networks.catalogue import NETWORKS
from ..report import grid
from .run import Comparison, Summary

TITLES = {"lpips": "LPIPS", "ssim": "SSIM", "composite": "composite ((1 - LPIPS) + SSIM + CLIP) / 3"}
COSINES = {"image": "cosine of the two pictures", "text": "cosine of picture and words"}
RULES = "Rules of thumb are those of the field's scripts, shown as they are: no study stands behind them."


def title(column: str) -> str:
    """What a column is called: `clip_image` -> `CLIP: cosine of the two pictures`. A stand-in is named as such."""
    if column in TITLES:
        return TITLES[column]
    first, _, last = column.rpartition("_")
    if first == "composite":
        return f"composite with {_network(last)} in CLIP's place"
    return f"{_network(first)}: {COSINES[last]}"


def _network(name: str) -> str:
    if name == "clip":
        return "CLIP"
    return f"{name} (offline stand-in)" if NETWORKS[name].offline else name


def better(column: str) -> str:
    """Whether a lower or a higher number is the better one."""
    return "lower" if column == "lpips" else "higher"


def rule(column: str, limit: float | None) -> str:
    return "" if limit is None else f"{'<' if better(column) == 'lower' else '>'} {limit:g}"


def table(found: Comparison) -> str:
    """Numbers and protocol as Markdown that also reads well in a terminal."""
    by_epoch = found.epochs != [None]
    rows = [[*(["epoch"] if by_epoch else []), "of a pair", "mean [95 %]", "deviation", "by chance", "rule", "n"]]
    for one in found.summaries:
        rows.append([*([str(one.epoch)] if by_epoch else []), title(one.column), *_cells(one)])
    empty = [column for column in found.columns if column not in found.measured]
    rows += [[*(["-"] if by_epoch else []), title(column), "-", "-", "-", "", "0"] for column in empty]
    parts = [f"{sum(not row.problem for row in found.rows)} pairs of pictures", grid(rows)]
    if any(summary.rule is not None for summary in found.summaries):
        parts.append(RULES)
    lines = [*found.protocol, *found.notes, *(f"Not measured: {why}" for why in found.missing.values())]
    return "\n\n".join([*parts, "Protocol:", "\n".join(f"- {line}" for line in lines)]) + "\n"


def write(found: Comparison, output: str | Path) -> list[Path]:
    """`metrics.csv` (a row for each pair), `summary.csv` and `scores.json` in a folder."""
    folder = Path(output)
    _csv(
        folder / "metrics.csv", ["epoch", "name", "generated", "real", "text", *found.columns, "problem"], _rows(found)
    )
    header = ["epoch", "metric", "count", "mean", "deviation", "low", "high", "by_chance", "rule_of_thumb", "passes"]
    _csv(folder / "summary.csv", header, (_summary(one) for one in found.summaries))
    write_json(folder / "scores.json", as_plain(found))
    return [folder / name for name in ("metrics.csv", "summary.csv", "scores.json")]


def as_plain(found: Comparison) -> dict[str, Any]:
    """Scores with what stands beside them, protocol, notes and what is missing, for JSON."""
    scores = [_extended(score, one) for score, one in zip(found.scores(), found.summaries, strict=True)]
    facts = {"protocol": found.protocol, "notes": found.notes, "missing": dict(found.missing)}
    return {"scores": scores} | facts


def _cells(one: Summary) -> list[str]:
    said = ""
    if one.rule is not None:
        said = f"{rule(one.column, one.rule)}: {'yes' if one.passes else 'no'}"
    deviation, chance = (f"{v:.3f}" if v is not None else "-" for v in (one.deviation, one.by_chance))
    interval = "" if math.isnan(one.low) else f" [{one.low:.3f}, {one.high:.3f}]"
    return [f"{one.mean:.3f}{interval}", deviation, chance, said, str(one.count)]


def _rows(found: Comparison) -> Iterable[list[Any]]:
    for row in found.rows:
        numbers = [row.values.get(column) for column in found.columns]
        files = [row.pair.name, str(row.pair.generated), str(row.pair.real), row.pair.text]
        yield [row.epoch, *files, *numbers, row.problem]


def _summary(one: Summary) -> list[Any]:
    limits = [None if math.isnan(v) else v for v in (one.low, one.high)]
    said = rule(one.column, one.rule) or None
    return [one.epoch, one.column, one.count, one.mean, one.deviation, *limits, one.by_chance, said, one.passes]


def _extended(score: Score, one: Summary) -> dict[str, Any]:
    """null for the interval of one pair: JSON has no name for it."""
    told = {k: None if v != v else v for k, v in dataclasses.asdict(score).items()}
    beside = {"deviation": one.deviation, "by_chance": one.by_chance}
    return told | beside | {"rule_of_thumb": one.rule, "passes": one.passes}


def _csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """An empty cell is a number that could not be had."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
