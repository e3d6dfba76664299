from __future__ import annotations

import math

import numpy as np
import pytest

from likeness.evaluate.formulas.bootstrap import mean_interval, student


def coverage(draw, count: int, truth: float, runs: int, resamples: int = 400) -> float:
    """How often the interval of a sample holds the mean of the population."""
    rng = np.random.default_rng(0)
    held = [low <= truth <= high for low, high in (mean_interval(draw(rng, count), resamples) for _ in range(runs))]
    return sum(held) / runs


def test_it_holds_its_rate_in_small_samples():
    """Plain percentiles hold the mean of five numbers in 84 % of samples; a simulation of 500 tells 3 % apart."""
    for count in (5, 12, 20):
        assert 0.92 <= coverage(lambda rng, n: rng.normal(3, 2, n), count, 3.0, 500) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4, 8, 11, 15, 40, 200])
def test_it_holds_its_rate(count):
    assert 0.935 <= coverage(lambda rng, n: rng.normal(3, 2, n), count, 3.0, 4000, 1000) <= 0.97
    # a skewed one, as SSIM and LPIPS may be: Beta(2, 5)
    assert 0.92 <= coverage(lambda rng, n: rng.beta(2, 5, n), count, 2 / 7, 4000, 1000) <= 0.97


def test_what_an_interval_must_be():
    values = np.random.default_rng(1).normal(0, 1, 50).tolist()
    low, high = mean_interval(values)
    assert low < np.mean(values) < high and mean_interval(values) == (low, high)
    assert mean_interval([v * 2 + 1 for v in values]) == pytest.approx((low * 2 + 1, high * 2 + 1))
    assert mean_interval([0.5] * 4) == (0.5, 0.5)
    assert all(math.isnan(end) for end in (*mean_interval([1.0]), *mean_interval([])))
    wide = mean_interval(values * 100)
    assert wide[1] - wide[0] == pytest.approx((high - low) / 10, rel=0.2)  # 100 times the values: a tenth as wide


def test_students_points():
    """From the tables in every textbook."""
    for degrees, point in {4: 2.776, 10: 2.228, 12: 2.179, 30: 2.042, 120: 1.980}.items():
        assert student(degrees) == pytest.approx(point, abs=2e-3)
