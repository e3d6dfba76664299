"""Kernel distances, the Frechet distance of endless samples, and neighbours: known answers, references, simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from likeness.errors import UsageError
from likeness.evaluate.formulas.distances import (
    cubic,
    frechet,
    frechet_deviation,
    frechet_infinity,
    gaussian,
    kernel,
    kernel_estimate,
)
from likeness.evaluate.formulas.intervals import Z95
from likeness.evaluate.formulas.manifolds import manifolds
from likeness.evaluate.formulas.moments import Moments


def cloud(n: int, size: int = 8, seed: int = 0, shift: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, size, generator=generator, dtype=torch.float64) * scale + shift


def test_kid_is_that_of_torchmetrics():
    """Theirs on one subset that is the whole; the kernel, the estimator and the scale are the same."""
    from torchmetrics.image.kid import KernelInceptionDistance

    class Flat(nn.Module):
        num_features = 12

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

    pictures = torch.rand(2, 60, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    real, drawn = pictures[0], pictures[1].square()
    metric = KernelInceptionDistance(feature=Flat(), subsets=1, subset_size=60, normalize=True)
    metric.update(real, real=True)
    metric.update(drawn, real=False)
    theirs = float(metric.compute()[0])
    assert theirs > 0.01
    assert kernel(drawn.flatten(1), real.flatten(1)) == pytest.approx(theirs, rel=1e-4)


def test_cmmd_is_the_published_formula_without_its_diagonal():
    """cmmd/distance.py keeps k(x, x) in its means: with the diagonal back the values are the same."""
    a, b = (nn.functional.normalize(cloud(40, 6, seed, shift), dim=1) for seed, shift in ((1, 0.3), (2, 0.0)))
    k = {
        (i, j): torch.exp(-torch.cdist(x, y).square() / 200) for i, x in enumerate((a, b)) for j, y in enumerate((a, b))
    }
    published = 1000 * (k[0, 0].mean() + k[1, 1].mean() - 2 * k[0, 1].mean())
    n = 40
    inside = [(m.sum() - n) / (n * (n - 1)) for m in (k[0, 0], k[1, 1])]
    difference = 1000 * (k[0, 0].mean() + k[1, 1].mean() - sum(inside))
    assert kernel(a, b, gaussian) == pytest.approx(float(published - difference), rel=1e-6)


@pytest.mark.parametrize("k", [cubic, gaussian])
def test_a_set_is_at_nought_from_itself(k):
    """A picture makes no pair with itself, neither within a set nor across two that share it."""
    a = cloud(50)
    ids = torch.arange(50)
    assert kernel_estimate(a, a, k, (ids, ids)).value == pytest.approx(0, abs=1e-9)
    assert kernel(a, a, k) < -1e-6  # counted as strangers, they look closer than strangers are
    assert kernel_estimate(a, cloud(40, seed=1), k, (ids, torch.arange(100, 140))).value == kernel(
        a, cloud(40, seed=1), k
    )


def test_the_deviation_is_the_jackknife_written_out():
    """Each row left out by hand, on unequal sets that share two pictures."""
    a, b = cloud(9, 3), cloud(7, 3, seed=1, shift=0.5)
    b[:2] = a[:2]
    ids_a, ids_b = torch.arange(9), torch.tensor([0, 1, 20, 21, 22, 23, 24])
    found = kernel_estimate(a, b, cubic, (ids_a, ids_b))
    parts = []
    for n, without in (
        (9, lambda i: (torch.arange(9) != i, torch.ones(7, dtype=torch.bool))),
        (7, lambda i: (torch.ones(9, dtype=torch.bool), torch.arange(7) != i)),
    ):
        left = []
        for i in range(n):
            x, y = without(i)
            left.append(kernel_estimate(a[x], b[y], cubic, (ids_a[x], ids_b[y])).value)
        parts.append((n - 1) / n * np.sum((np.array(left) - np.mean(left)) ** 2))
    assert found.deviation == pytest.approx(float(np.sqrt(sum(parts))), rel=1e-9)


def mmd(shift: float, size: int) -> float:
    """Squared distance of N(shift, I) and N(0, I) under the cubic kernel, s = |shift|^2, by moments of x.y to order 3.

    E(x.y)^j is the product of the j-th moment tensors, so MMD^2 = sum_j binom(3, j) |T_j(X) - T_j(Y)|^2 / D^j.
    """
    s = size * shift**2
    return 3 * s / size + 3 * s**2 / size**2 + (s**3 + 6 * s**2 + 3 * s * size + 6 * s) / size**3


@pytest.mark.parametrize("trials", [100, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_kid_is_unbiased_and_its_intervals_cover_the_truth(trials, shift):
    """Nominal rate 95 %; alike sets are covered more often, since a jackknife errs on the safe side there."""
    truth = mmd(shift, 4)
    found = [kernel_estimate(cloud(60, 4, 2 * s, shift), cloud(80, 4, 2 * s + 1)) for s in range(trials)]
    values = np.array([e.value for e in found])
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(trials)
    assert np.mean([abs(e.value - truth) <= Z95 * e.deviation for e in found]) >= 0.88


# Gaussians have the closed form |shift|^2 + D (s_a - s_b)^2
@pytest.mark.parametrize(("shift", "scale"), [(0.3, 1.2), (0.0, 1.0)])
def test_the_extrapolation_takes_most_of_the_bias_away(shift, scale):
    truth = 8 * shift**2 + 8 * (scale - 1) ** 2
    sets = [(cloud(80, 8, 2 * s, shift, scale), cloud(80, 8, 2 * s + 1)) for s in range(50)]
    bias = np.mean([frechet(Moments.of(a), Moments.of(b)) for a, b in sets]) - truth
    left = np.mean([frechet_infinity(a, b, draws=2).value for a, b in sets]) - truth
    assert bias > 0.5  # there is something to take away
    assert abs(left) < 0.3 * bias


@pytest.mark.parametrize("trials", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_the_interval_of_the_extrapolation_covers_the_truth(trials):
    """And the same interval around the plain distance does not: it is off by more than its spread."""
    truth, hits, plain = 24 * 0.3**2 + 24 * 0.2**2, 0, 0
    for s in range(trials):
        a, b = cloud(160, 24, 2 * s, 0.3, 1.2), cloud(160, 24, 2 * s + 1)
        half = Z95 * np.hypot(frechet_deviation(a, Moments.of(b)), frechet_deviation(b, Moments.of(a)))
        hits += abs(frechet_infinity(a, b, draws=2).value - truth) <= half
        plain += abs(frechet(Moments.of(a), Moments.of(b)) - truth) <= half
    assert hits / trials >= 0.85 > 0.2 > plain / trials


def test_more_noise_is_further_by_every_measure():
    real, start, noise = cloud(300), cloud(300, seed=1), cloud(300, seed=2)
    sets = [start + level * noise for level in (0, 1, 2, 4)]
    for distance in (
        lambda x: kernel(x, real),
        lambda x: kernel(x, real, gaussian),
        lambda x: frechet_infinity(x, real, draws=1).value,
        lambda x: -float(manifolds(x, real).density.mean()),
        lambda x: -float(manifolds(x, real).coverage.double().mean()),
    ):
        found = [distance(x) for x in sets]
        assert found == sorted(found) and found[-1] > found[0]


def prdc(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    """The formulas of Naeem et al. 2020 (their package prdc), written with whole matrices."""

    def pair(x, y):
        return np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))

    own = {"real": np.sort(pair(real, real), 1)[:, k], "fake": np.sort(pair(fake, fake), 1)[:, k]}
    cross = pair(real, fake)
    return {
        "precision": (cross < own["real"][:, None]).any(0).mean(),
        "recall": (cross < own["fake"][None]).any(1).mean(),
        "density": (cross < own["real"][:, None]).sum(0).mean() / k,
        "coverage": (cross.min(1) < own["real"]).mean(),
    }


def test_neighbours_are_those_of_the_published_formulas(monkeypatch):
    monkeypatch.setattr("likeness.evaluate.formulas.manifolds.ROWS", 17)  # several blocks, the last one short
    drawn, real = cloud(70, 3, seed=1, shift=0.7), cloud(90, 3)
    found = manifolds(drawn, real)
    three, five = (prdc(real.numpy(), drawn.numpy(), k) for k in (3, 5))
    assert float(found.precision.double().mean()) == pytest.approx(three["precision"])
    assert float(found.recall.double().mean()) == pytest.approx(three["recall"])
    assert float(found.density.mean()) == pytest.approx(five["density"])
    assert float(found.coverage.double().mean()) == pytest.approx(five["coverage"])
    assert 0.1 < three["precision"] < 0.95 and 0.1 < five["coverage"] < 0.95  # no trivial answer


def test_neighbours_tell_narrow_from_wide():
    """A set that keeps to the middle is precise and recalls little; one that spreads is the other way round."""
    real = cloud(300, 4)
    narrow, wide = manifolds(cloud(300, 4, 1, scale=0.3), real), manifolds(cloud(300, 4, 1, scale=3.0), real)
    assert narrow.precision.double().mean() > 0.95 > 0.5 > narrow.recall.double().mean()
    assert wide.precision.double().mean() < 0.5 < 0.8 < wide.recall.double().mean()
    same = manifolds(real, real)
    assert same.precision.all() and same.recall.all() and same.coverage.all()
    assert float(same.density.mean()) == pytest.approx(1)


def test_what_is_too_small_says_how_much_it_needs():
    few = cloud(2)
    for ask, need in (
        (lambda: kernel(few, few), "three images"),
        (lambda: frechet_infinity(few, few), "12 images"),
        (lambda: manifolds(few, few), "6 images"),
    ):
        with pytest.raises(UsageError, match=need):
            ask()
