"""Which groups a model draws worse: faces asked for by group, held against real faces of that group. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from torch import Tensor

from ...records import Score
from ..formulas.distances import kernel_estimate
from ..formulas.intervals import Z95, wilson

FEWEST = 10  # drawn faces of a group, and real ones: a jackknife over fewer says nothing


@dataclass(frozen=True)
class GroupQuality:
    """One group. `distance`: kernel distance of its drawn to its real faces, None where either are too few; `recall`:
    by the judge, None where nobody was asked. `worse`: its distance is surely above the mean of its field.
    """

    field: str
    group: str
    drawn: int
    real: int
    distance: Score | None
    recall: Score | None
    worse: bool = False


def qualities(
    field: str, drawn: Mapping[str, Tensor], real: Mapping[str, Tensor], hits: Mapping[str, tuple[int, int]], told: str
) -> list[GroupQuality]:
    """Every group of a field, from features (N, D) of drawn and of real faces by group, and the judge's hits.

    Unbiased kernel distance (Binkowski et al. 2018): 0 in the mean where the two are alike, so that groups of unlike
    numbers compare. `worse`: value - z deviation lies above the mean over the field, z the normal point of a level of
    5 % shared out over its groups (Bonferroni), one-sided.
    """
    estimates = {
        group: kernel_estimate(features, real[group])
        for group, features in drawn.items()
        if min(len(features), len(real.get(group, ()))) >= FEWEST
    }
    mean = sum(e.value for e in estimates.values()) / max(1, len(estimates))
    z = NormalDist().inv_cdf(1 - 0.05 / max(2, len(estimates)))
    found = []
    for group, features in drawn.items():
        distance = recall = None
        count = len(features)
        if e := estimates.get(group):
            how = f"kernel distance of {count} drawn to {len(real[group])} real faces of {field} {group}"
            limits = e.value - Z95 * e.deviation, e.value + Z95 * e.deviation
            name = f"audit/quality/{field}={group}"
            distance = Score(name, e.value, *limits, count, f"{how}; interval: jackknife over both. {told}")
        if group in hits and hits[group][1]:
            right, asked = hits[group]
            how = f"share of faces asked for as {field} {group} that the judge answers so; interval: Wilson"
            name = f"audit/recall/{field}={group}"
            recall = Score(name, right / asked, *wilson(right, asked), asked, how)
        worse = e is not None and len(estimates) > 1 and e.value - z * e.deviation > mean
        found.append(GroupQuality(field, group, count, len(real.get(group, ())), distance, recall, worse))
    return found


def worst(found: Sequence[GroupQuality]) -> list[str]:
    """In words, which groups are drawn surely worse than the mean of their field."""
    return [f"{q.group} ({q.field.replace('_', ' ')})" for q in found if q.worse]
