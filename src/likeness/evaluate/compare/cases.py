"""Which pictures a side lost or won against the base: by what the judge no longer sees, then by the words' cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .measures import Found


@dataclass(frozen=True)
class Case:
    """An item. `lost`: asked for, seen in the base's picture, not in the other's; `won`: the reverse; `closer`: by how
    much the cosine of picture and words grew, nan where there is none."""

    item: int
    lost: tuple[str, ...]
    won: tuple[str, ...]
    closer: float

    @property
    def rank(self) -> tuple[int, float]:
        return len(self.won) - len(self.lost), 0.0 if math.isnan(self.closer) else self.closer


def cases(found: Found, side: int) -> list[Case]:
    """All items that the words say something of, the worst for `side` first."""
    made = []
    for i in range(len(found.asked)):
        base, other = (dict(f.split(": ", 1) for f in found.failed[s][i]) for s in (0, side))
        closer = found.cosines[side][i] - found.cosines[0][i] if found.cosines else math.nan
        if found.asked[i] or not math.isnan(closer):
            lost, won = (
                tuple(f"{k}: {v}" for k, v in a.items() if k not in b) for a, b in ((other, base), (base, other))
            )
            made.append(Case(i, lost, won, closer))
    return sorted(made, key=lambda case: case.rank)


def extremes(found: Found, side: int, most: int = 6) -> tuple[list[Case], list[Case]]:
    """The worst and the best changes, as far as they are changes."""
    ordered = cases(found, side)
    worst = [case for case in ordered if case.rank < (0, 0.0)][:most]
    best = [case for case in reversed(ordered) if case.rank > (0, 0.0)][:most]
    return worst, best
