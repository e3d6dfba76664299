"""What was asked against what was answered: counts, recalls and their intervals; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...records import Score
from .intervals import balanced_accuracy, wilson

UNSAID = "unsaid"


@dataclass(frozen=True)
class Confusion:
    """`counts[i][j]`: faces of value i that were answered j; the last column: nothing was said, which is a miss."""

    field: str
    faces: str  # drawn, real
    by: str
    values: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, field: str, faces: str, by: str, values: Sequence[str], truths: Sequence[int | None],
        answers: Sequence[int | None],
    ) -> Confusion:  # fmt: skip
        """Counted from places in `values` by face; a truth of None leaves its face out."""
        table = [[0] * (len(values) + 1) for _ in values]
        for truth, answer in zip(truths, answers, strict=True):
            if truth is not None:
                table[truth][len(values) if answer is None else answer] += 1
        return cls(field, faces, by, tuple(values), tuple(map(tuple, table)))

    @property
    def count(self) -> int:
        return sum(map(sum, self.counts))

    def hits(self, value: str) -> tuple[int, int]:
        """Faces of a value that were answered so, and all faces of it."""
        i = self.values.index(value)
        return self.counts[i][i], sum(self.counts[i])

    def score(self, protocol: str) -> Score:
        """Balanced accuracy over the values that were asked. Raises `ValueError` when there is no face."""
        value, low, high = balanced_accuracy([self.hits(v) for v in self.values])
        told = f"mean recall of {self.field} over the values asked, by {self.by}; interval: Wilson, combined"
        return Score(
            f"prompts/{self.field}/{self.faces}/{self.by}", value, low, high, self.count, f"{told}. {protocol}"
        )

    def recalls(self, protocol: str) -> list[Score]:
        """One score for each value that was asked."""
        found = []
        for value in self.values:
            hits, count = self.hits(value)
            if count:
                name = f"prompts/{self.field}={value}/{self.faces}/{self.by}"
                told = f"share of faces of {self.field} {value} that {self.by} answers so; interval: Wilson. {protocol}"
                found.append(Score(name, hits / count, *wilson(hits, count), count, told))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: asked value -> answered value -> faces, without zeros."""
        names = (*self.values, UNSAID)
        rows = {
            value: {name: n for name, n in zip(names, row, strict=True) if n}
            for value, row in zip(self.values, self.counts, strict=True)
            if sum(row)
        }
        return {"field": self.field, "faces": self.faces, "by": self.by, "counts": rows}
