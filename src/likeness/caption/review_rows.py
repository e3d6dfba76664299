"""The rows that a review shows: captions with what speaks against them, streamed from the table."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ..data.manifest import Manifest
from ..errors import UsageError
from ..records import FaceRecord
from . import agreement
from .decisions import ACCEPTED, EDITED, fingerprint
from .problems import Checks
from .quality import problem

ONLY = {
    "all": "every row with a caption",
    "conflicts": "those that contradict their labels",
    "problems": "those that the checks would refuse",
    "sample": "so many, drawn at random",
}
SAMPLE = 200


@dataclass(frozen=True)
class Row:
    """A caption under review. `problem`: (reason, detail) or None; `reviewed`: what was decided before, or ""."""

    file_name: str
    text: str
    conflicts: tuple[agreement.Conflict, ...]
    problem: tuple[str, str] | None
    labels: dict[str, str]
    reviewed: str
    facts: str

    def to_dict(self, picture: str) -> dict[str, Any]:
        """As the page reads it; `picture` is an address."""
        return {
            "file": self.file_name,
            "text": self.text,
            "was": fingerprint(self.text),
            "picture": picture,
            "conflicts": [str(one) for one in self.conflicts],
            "problem": ": ".join(part for part in self.problem if part) if self.problem else "",
            "labels": self.labels,
            "reviewed": self.reviewed,
            "facts": self.facts,
        }


def select(
    folder: str | Path, only: str = "all", limit: int | None = None, seed: int = 0, checks: Checks | None = None
) -> Iterator[Row]:
    """The rows, in the table's order. "sample" holds `limit` (200) records in memory, the others one.

    Raises `UsageError` for an unknown `only`, a limit below 1, and without a table.
    """
    if only not in ONLY:
        raise UsageError(f"--only {only!r}: choose from {', '.join(ONLY)}")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: give 1 or more")
    if not Manifest(folder).exists():
        raise UsageError(f"{folder} has no metadata.jsonl: give a folder that `likeness data prepare` made")
    records: Iterator[FaceRecord] = (r for r in Manifest(folder).records() if r.text.strip())
    if only == "sample":
        return map(lambda record: looked_at(record, checks), drawn(records, limit or SAMPLE, seed))
    wanted = {"all": lambda row: True, "conflicts": lambda row: row.conflicts, "problems": lambda row: row.problem}[
        only
    ]
    return islice((row for record in records if wanted(row := looked_at(record, checks))), limit)


def looked_at(record: FaceRecord, checks: Checks | None = None) -> Row:
    """A record with what the checks and its labels say of its caption."""
    caption = record.caption or {}
    labels = agreement.labels_of(record)
    reviewed = caption.get("reviewed")
    before = reviewed.get("decision", "") if isinstance(reviewed, dict) else ""
    made_by = [str(caption[key]) for key in ("captioner", "model") if caption.get(key)]
    ours = not made_by or caption.get("captioner") in ("labels", "eye")  # short where the labels are few
    return Row(
        record.file_name,
        record.text,
        tuple(agreement.conflicts(record.text, labels, record.file_name)),
        problem(record.text, checks or (Checks(min_words=1) if ours else None)),
        {name.replace("_", " "): agreement.worded(value) for name, value in labels.said().items()},
        before if before in (ACCEPTED, EDITED) else "",
        ", ".join(made_by),
    )


def drawn(records: Iterator[FaceRecord], count: int, seed: int) -> list[FaceRecord]:
    """So many at random, each as likely, in one reading, in their order (reservoir; Vitter 1985, algorithm R)."""
    choose = random.Random(seed)
    kept: list[tuple[int, FaceRecord]] = []
    for place, record in enumerate(records):
        if place < count:
            kept.append((place, record))
        elif (at := choose.randrange(place + 1)) < count:
            kept[at] = (place, record)
    return [record for _, record in sorted(kept, key=lambda one: one[0])]
