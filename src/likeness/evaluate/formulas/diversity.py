"""How unlike each other the pictures of one prompt are: mean distance of pairs, and the Vendi score. Pure."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...errors import UsageError
from .distances import Estimate

DRAWS = 10


def spread(features: Tensor) -> Estimate:
    """Mean of 1 - cosine over all pairs of rows (N, D), and its standard deviation by the jackknife over rows.

    A U-statistic, so unbiased at any N (Hoeffding 1948). Raises `UsageError` for fewer than three rows.
    """
    n = len(features)
    if n < 3:
        raise UsageError(f"the diversity of a prompt needs three pictures or more, not {n}")
    x = normalize(features.double(), dim=-1)
    sums = (1 - x @ x.T).fill_diagonal_(0).sum(1)  # (N,)
    left = (sums.sum() - 2 * sums) / ((n - 1) * (n - 2))
    deviation = ((n - 1) / n * (left - left.mean()).square().sum()).sqrt()
    return Estimate(float(sums.sum() / (n * (n - 1))), float(deviation))


def vendi(features: Tensor) -> float:
    """The effective number of different rows, 1 to N: exp(-sum l log l), l the eigenvalues of the cosines / N.

    Friedman & Dieng 2023, eq. 1. It grows with N: compare equal numbers only.
    """
    x = normalize(features.double(), dim=-1)
    values = torch.linalg.eigvalsh(x @ x.T / len(x)).clamp(min=0)
    return float(torch.exp(-torch.special.xlogy(values, values).sum()))


def vendi_of_samples(features: Tensor, size: int, draws: int = DRAWS, seed: int = 0) -> float | None:
    """Mean Vendi score of seeded samples of `size` rows; None where there are not so many."""
    if size > len(features):
        return None
    generator = torch.Generator().manual_seed(seed)
    places = [torch.randperm(len(features), generator=generator)[:size] for _ in range(draws)]
    return sum(vendi(features[place]) for place in places) / draws
