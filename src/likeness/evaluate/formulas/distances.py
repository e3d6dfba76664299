"""Distances between sets of feature vectors: pure functions on their moments or features, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import UsageError
from .moments import Moments

CMMD_SIGMA, CMMD_SCALE = 10.0, 1000.0  # Jayasumana et al. 2024, sec. 4
SIZES = 8  # of samples in an extrapolation
SMALLEST = 1 / 3  # of the whole, the smallest of them
ROWS = 2048  # of a kernel matrix at once

Kernel = Callable[[Tensor, Tensor], Tensor]  # (N, D), (M, D) -> (N, M)


def frechet(a: Moments, b: Moments) -> float:
    """Frechet distance between two Gaussians with these moments (squared 2-Wasserstein), never below 0.

    d^2 = |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)): Dowson & Landau 1982; on image features Heusel et al. 2017,
    eq. 6. It is biased upwards in small samples: compare only values of equal counts (Chong & Forsyth 2020).
    """
    return frechet_to(a)(b)


def frechet_to(a: Moments) -> Callable[[Moments], float]:
    """`frechet(a, ...)` for many others: the root of `a`'s covariance, half of the work, is taken once."""
    root = _root(a.covariance)

    def distance(b: Moments) -> float:
        if a.size != b.size:
            raise UsageError(f"features of {a.size} and {b.size} numbers cannot be compared: use one feature network")
        # (C_a C_b)^(1/2) has the trace of (R C_b R)^(1/2) with R = C_a^(1/2), which is symmetric: no complex roots
        cross = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0).sqrt().sum()
        shift = (a.mean - b.mean).square().sum()
        return max(0.0, float(shift + a.covariance.trace() + b.covariance.trace() - 2 * cross))

    return distance


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
    whole, distance = Moments.of(features), frechet_to(reference)
    left_out = [distance(whole - Moments.of(features[part])) for part in order.tensor_split(groups)]
    d = torch.tensor(left_out, dtype=torch.float64)
    return float(((groups - 1) / groups * (d - d.mean()).square().sum()).sqrt())  # jackknife: Efron & Stein 1981


@dataclass(frozen=True)
class Extrapolation:
    """Frechet distances at shares of both sets, and the line through them; `value` is its end at 1/share = 0."""

    shares: tuple[float, ...]
    distances: tuple[float, ...]
    value: float
    slope: float


def frechet_infinity(a: Tensor, b: Tensor, draws: int = 4, seed: int = 0) -> Extrapolation:
    """The Frechet distance that endless samples would have, from features (N, D) and (M, D): FD-infinity.

    FD(share) = FD_inf + slope / share, by least squares over `SIZES` shares, evenly spaced in 1/share (Chong & Forsyth
    2020, eq. 4). Both sets are cut to a share, so the bias of both goes; a distance is the mean over `draws` samples
    without replacement. It may fall below 0. Raises `UsageError` for sets that are too small to be cut.
    """
    least = min(len(a), len(b))
    if least * SMALLEST < 4:
        raise UsageError(f"the bias of a Frechet distance needs 12 images or more on both sides, not {least}")
    inverse = torch.linspace(1, 1 / SMALLEST, SIZES, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    found = []
    for share in 1 / inverse:
        times = 1 if share == 1 else draws
        parts = [[Moments.of(_cut(x, float(share), generator)) for x in (a, b)] for _ in range(times)]
        found.append(sum(frechet(*pair) for pair in parts) / times)
    value, slope = _line(inverse, torch.tensor(found, dtype=torch.float64))
    return Extrapolation(tuple((1 / inverse).tolist()), tuple(found), value, slope)


def _cut(features: Tensor, share: float, generator: torch.Generator) -> Tensor:
    n = len(features)
    return features if share == 1 else features[torch.randperm(n, generator=generator)[: round(n * share)]]


def _line(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Intercept and slope of the least-squares line."""
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return float(y.mean() - slope * x.mean()), float(slope)


def cubic(a: Tensor, b: Tensor) -> Tensor:
    """KID's kernel k(x, y) = (x.y / D + 1)^3: Binkowski et al. 2018, sec. 4."""
    base = (a @ b.T).div_(a.shape[1]).add_(1)
    return base * base * base


def gaussian(a: Tensor, b: Tensor) -> Tensor:
    """CMMD's kernel, times its scale: 1000 exp(-|x - y|^2 / (2 sigma^2)), sigma = 10: Jayasumana et al. 2024."""
    return CMMD_SCALE * torch.exp(-squared_distances(a, b) / (2 * CMMD_SIGMA**2))


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """|x - y|^2 of all rows: (N, D), (M, D) -> (N, M)."""
    return (a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T).clamp(min=0)


@dataclass(frozen=True)
class Estimate:
    value: float
    deviation: float


def kernel(a: Tensor, b: Tensor, k: Kernel = cubic) -> float:
    """Unbiased squared maximum mean discrepancy of features (N, D) and (M, D); may fall below 0. KID by default."""
    return kernel_estimate(a, b, k).value


def kernel_estimate(a: Tensor, b: Tensor, k: Kernel = cubic, same: tuple[Tensor, Tensor] | None = None) -> Estimate:
    """Unbiased squared maximum mean discrepancy, and its standard deviation over samples of both sets.

    MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over pairs of different pictures: Gretton et al. 2012, eq. 3.
    `same`: the pictures' identities (N,), (M,): a picture that lies in both sets makes no pair with itself, as it makes
    none within a set, so that a set is at 0 from itself. Deviation: the jackknife of a two-sample U-statistic (Arvesen
    1969), each row left out once; it is on the safe side where the sets are alike (Efron & Stein 1981). O((N + M)^2).
    """
    n, m = len(a), len(b)
    if min(n, m) < 3:
        raise UsageError(f"a kernel distance needs three images or more on both sides, not {min(n, m)}")
    a, b = a.detach().to("cpu", torch.float64), b.detach().to("cpu", torch.float64)
    own_a, own_b = _within(a, k), _within(b, k)
    (rows, pairs), (columns, pairs_b) = _across(a, b, k, same)
    total, count = rows.sum(), pairs.sum()
    cross = total / count
    mean_a, mean_b = own_a.sum() / (n * (n - 1)), own_b.sum() / (m * (m - 1))
    without_a = (own_a.sum() - 2 * own_a) / ((n - 1) * (n - 2)) - 2 * (total - rows) / (count - pairs)
    without_b = (own_b.sum() - 2 * own_b) / ((m - 1) * (m - 2)) - 2 * (total - columns) / (count - pairs_b)
    variance = sum(
        (size - 1) / size * (left - left.mean()).square().sum() for size, left in ((n, without_a), (m, without_b))
    )
    return Estimate(float(mean_a + mean_b - 2 * cross), float(torch.as_tensor(variance).sqrt()))


def _within(x: Tensor, k: Kernel) -> Tensor:
    """Sum of k(x_i, x_j) over j other than i, (N,)."""
    sums = torch.cat([k(part, x).sum(1) for part in x.split(ROWS)])
    return sums - torch.cat([k(part, part).diagonal() for part in x.split(64)])


def _across(
    a: Tensor, b: Tensor, k: Kernel, same: tuple[Tensor, Tensor] | None
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Sums of k over the pairs of each row (N,) and of each column (M,), and how many pairs each has."""
    rows, pairs = [], []
    columns, pairs_b = torch.zeros(len(b), dtype=torch.float64), torch.zeros(len(b), dtype=torch.float64)
    for start in range(0, len(a), ROWS):
        block = k(a[start : start + ROWS], b)  # (rows, M)
        strangers = torch.ones(1, 1, dtype=torch.float64)
        if same is not None:
            strangers = (same[0][start : start + ROWS, None] != same[1][None]).double()
            block *= strangers
        rows.append(block.sum(1))
        columns += block.sum(0)
        strangers = strangers.expand_as(block)
        pairs.append(strangers.sum(1))
        pairs_b += strangers.sum(0)
    return (torch.cat(rows), torch.cat(pairs)), (columns, pairs_b)
