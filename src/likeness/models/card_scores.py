"""Reports of `likeness evaluate …` as tables of a card: numbers with intervals, counts, and how they were taken."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .scrub import scrub

MOST = 40  # rows of a table; all of them are in the JSON beside the card
KEPT = ("scores", "protocol", "notes", "model", "fingerprint", "worse", "base_model", "finetuned_model", "improvements",
        "not_measured")  # fmt: skip


@dataclass(frozen=True)
class Report:
    """One report: what goes into the card, and what goes beside it. `fingerprint`: of the model, if it says."""

    name: str
    rows: Sequence[tuple[str, ...]]
    head: tuple[str, ...]
    protocol: list[str]
    notes: list[str]
    fingerprint: str
    plain: Any

    def text(self) -> str:
        """Markdown."""
        shown, left = self.rows[:MOST], len(self.rows) - MOST
        lines = [_row(self.head), _row(["---"] * len(self.head)), *map(_row, shown)]
        if left > 0:
            lines.append(f"\n{left} more rows are in `evaluation/{self.name}`.")
        said = [f"- {_plain(line)}" for line in (*self.protocol, *self.notes)]
        return "\n".join([f"From `{self.name}`:\n", *lines, *(["\nHow it was measured:\n", *said] if said else [])])


def read(path: str | Path) -> Report:
    """A report that `likeness evaluate` wrote: scores.json, sets.json, groups.json, prompts.json, audit.json or
    comparison.json. Raises `UsageError` for any other file.
    """
    path = Path(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{path} is no JSON: give a report that `likeness evaluate` wrote") from None
    try:
        if isinstance(found, dict) and "improvements" in found:
            return _comparison(path.name, found)
        scores = found["scores"] if isinstance(found, dict) else found
        return _scores(path.name, found if isinstance(found, dict) else {}, scores)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(f"{path} has no scores: give a report that `likeness evaluate` wrote") from None


def _scores(name: str, told: dict[str, Any], scores: Sequence[dict[str, Any]]) -> Report:
    rows = [(one["metric"], number(one["value"]), interval(one), f"{one['count']:,}") for one in scores]
    if not rows:
        raise ValueError
    protocol = _lines(told.get("protocol")) or list(dict.fromkeys(_plain(one["protocol"]) for one in scores))
    missing = [f"Not measured: {_briefly(why)}" for why in (told.get("missing") or {}).values()]
    worse = [f"Worse than the others: {line}" for line in _lines(told.get("worse"))]
    plain = {k: v for k, v in told.items() if k in KEPT} | {"scores": list(scores)}
    notes, head = [*worse, *_lines(told.get("notes")), *missing], ("measure", "value", "95 % interval", "n")
    return Report(name, rows, head, protocol, notes, str(told.get("fingerprint") or ""), scrub(plain))


def _comparison(name: str, found: dict[str, Any]) -> Report:
    """Of `evaluate compare`: the base beside the fine-tuned one, and the change of each measure."""
    base, tuned, changes = found["base_model"], found["finetuned_model"], found["improvements"]
    rows = []
    for key, change in changes.items():
        one, two = (side["scores"].get(key) for side in (base, tuned))
        title = change.get("title") or key
        better = "more" if change.get("more_is_better") else "less"
        moved = f"{number(change['absolute'], sign=True)} {interval(change)} {change.get('verdict') or ''}".strip()
        count = f"{(two or one or {}).get('count', 0):,}"
        rows.append((f"{title} ({better} is better)", _both(one), _both(two), moved, count))
    if not rows:
        raise ValueError
    head = ("measure", str(base["name"]), str(tuned["name"]), "change, 95 % interval", "n")
    missing = found.get("not_measured") or {}
    notes = [*_lines(found.get("notes")), *(f"Not measured: {_briefly(f'{k}: {v}')}" for k, v in _items(missing))]
    plain = {k: v for k, v in found.items() if k in KEPT}
    return Report(name, rows, tuple(map(scrub, head)), _lines(found.get("protocol")), notes, "", scrub(plain))


def _items(found: Any) -> Iterable[tuple[str, Any]]:
    return found.items() if isinstance(found, dict) else ((str(i), v) for i, v in enumerate(found))


def _both(score: dict[str, Any] | None) -> str:
    return f"{number(score['value'])} {interval(score)}".strip() if score else "not measured"


def number(value: Any, sign: bool = False) -> str:
    """Three digits that count; `not measured` for nothing."""
    if value is None or not math.isfinite(float(value)):
        return "not measured"
    return f"{float(value):+.3g}" if sign else f"{float(value):.3g}"


def interval(score: dict[str, Any]) -> str:
    low, high = score.get("low"), score.get("high")
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{low:.3g}, {high:.3g}]"


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(one) if not isinstance(one, dict) else json.dumps(one, ensure_ascii=False) for one in value or ()]


def _briefly(why: str) -> str:
    """Without the advice to whoever measures, which is nothing to a reader of the card."""
    return re.sub(r"(?:[\w-]+: )?([\w-]+) cannot measure, (.*?): .*", r"\1: \2", why, flags=re.S)


def _plain(text: str) -> str:
    return " ".join(str(scrub(text)).split()).replace("<", "&lt;")


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"
