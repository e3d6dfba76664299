"""Precision, recall, density and coverage: what of one set lies among the other's nearest neighbours.

Balls around each vector, with the distance to its k-th neighbour of the same set as radius. Precision and recall:
Kynkaanniemi et al. 2019, k = 3. Density and coverage: Naeem et al. 2020, k = 5. A vector on the rim lies outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import UsageError
from .distances import squared_distances

NEAREST_PR, NEAREST_DC = 3, 5
ROWS = 2048  # of a distance matrix at once


@dataclass(frozen=True)
class Manifolds:
    """What was found for each vector. Means of the first two over drawn vectors, of the others over real ones.

    `precision` (N,): a drawn vector lies in a ball of a real one; `density` (N,): in how many of them, divided by k;
    `recall` (M,): a real vector lies in a ball of a drawn one; `coverage` (M,): a ball of a real one holds a drawn one.
    """

    precision: Tensor
    density: Tensor
    recall: Tensor
    coverage: Tensor


def manifolds(drawn: Tensor, real: Tensor) -> Manifolds:
    """From features (N, D) and (M, D), in float64. They speak of equal counts only: radii shrink as sets grow.

    Raises `UsageError` for sets that have too few vectors for their neighbours.
    """
    if (least := min(len(drawn), len(real))) <= NEAREST_DC:
        raise UsageError(f"precision and recall need {NEAREST_DC + 1} images or more on both sides, not {least}")
    drawn, real = drawn.detach().to("cpu", torch.float64), real.detach().to("cpu", torch.float64)
    real_3, real_5 = radii(real, (NEAREST_PR, NEAREST_DC))
    (drawn_3,) = radii(drawn, (NEAREST_PR,))
    precise, dense = [], []
    recalled = torch.zeros(len(real), dtype=torch.bool)
    nearest = torch.full((len(real),), torch.inf, dtype=torch.float64)
    for start in range(0, len(drawn), ROWS):
        part = slice(start, start + ROWS)
        d = squared_distances(drawn[part], real)  # (rows, M)
        precise.append((d < real_3).any(1))
        dense.append((d < real_5).double().sum(1) / NEAREST_DC)
        recalled |= (d < drawn_3[part, None]).any(0)
        nearest = torch.minimum(nearest, d.min(0).values)
    return Manifolds(torch.cat(precise), torch.cat(dense), recalled, nearest < real_5)


def radii(x: Tensor, nearest: Sequence[int]) -> list[Tensor]:
    """Squared distance of each row to its k-th neighbour among the others, (N,) for each k."""
    found = []
    for start in range(0, len(x), ROWS):
        d = squared_distances(x[start : start + ROWS], x)
        d[torch.arange(len(d)), torch.arange(start, start + len(d))] = -1.0  # itself comes first, copies of it after
        found.append(d.topk(max(nearest) + 1, largest=False).values)
    ordered = torch.cat(found)
    return [ordered[:, k] for k in nearest]
