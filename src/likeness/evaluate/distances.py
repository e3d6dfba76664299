"""Distances between sets of feature vectors: pure functions on their moments or features."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from .moments import Moments


def frechet(a: Moments, b: Moments) -> float:
    """Frechet distance between two Gaussians with these moments (squared 2-Wasserstein), never below 0.

    d^2 = |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)): Dowson & Landau 1982; on image features Heusel et al. 2017,
    eq. 6. It is biased upwards in small samples: compare only values of equal counts (Chong & Forsyth 2020).
    """
    if a.size != b.size:
        raise UsageError(f"features of {a.size} and {b.size} numbers cannot be compared: use one feature network")
    root = _root(a.covariance)
    # (C_a C_b)^(1/2) has the trace of (R C_b R)^(1/2) with R = C_a^(1/2), which is symmetric: no complex roots
    cross = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0).sqrt().sum()
    shift = (a.mean - b.mean).square().sum()
    return max(0.0, float(shift + a.covariance.trace() + b.covariance.trace() - 2 * cross))


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T  # (D, D) -> (D, D)


def frechet_deviation(features: Tensor, reference: Moments, groups: int = 20) -> float:
    """Standard deviation of `frechet(features (N, D), reference)` over samples of this size, by a grouped jackknife.

    Every group is left out once. What is left has one size, so one bias, which cancels in the spread (Shao & Wu 1989).
    It speaks of the distance *at this N*, not of the distance between the whole populations.
    """
    groups = min(groups, len(features))
    if groups < 2 or len(features) - -(-len(features) // groups) < 2:
        raise UsageError(f"the spread of a Frechet distance needs four images or more, not {len(features)}")
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    parts = [Moments.of(features[part]) for part in order.tensor_split(groups)]
    left_out = []
    for out in range(groups):
        rest = Moments.empty(reference.size)
        for part in parts[:out] + parts[out + 1 :]:
            rest = rest + part
        left_out.append(frechet(rest, reference))
    d = torch.tensor(left_out, dtype=torch.float64)
    return float(((groups - 1) / groups * (d - d.mean()).square().sum()).sqrt())  # jackknife: Efron & Stein 1981
