"""Intervals of means by resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from .intervals import Z95

RESAMPLES = 2000
CHUNK = 1_000_000  # numbers drawn at once
TOLD = f"bootstrap over {{}}, {RESAMPLES} resamples, expanded percentiles (Hesterberg 2015)"


def mean_interval(values: Sequence[float], resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of independent values; (nan, nan) for fewer than two, which tell nothing of spread.

    Percentiles of the means of resamples (Efron 1979), taken further out by the factor that plain percentiles are too
    narrow by in small samples: at P(Z < -sqrt(n / (n - 1)) t), t: Student's 97.5 % point of n - 1 degrees of freedom
    (Hesterberg 2015, "expanded percentile").
    """
    x = np.asarray(values, np.float64)
    if len(x) < 2:
        return math.nan, math.nan
    rng, step = np.random.default_rng(seed), max(1, CHUNK // len(x))
    sizes = [min(step, resamples - done) for done in range(0, resamples, step)]
    means = np.concatenate([x[rng.integers(len(x), size=(size, len(x)))].mean(1) for size in sizes])
    tail = NormalDist().cdf(-math.sqrt(len(x) / (len(x) - 1)) * student(len(x) - 1))
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def student(degrees: int, z: float = Z95) -> float:
    """Student's t at the normal point `z`, within 1 % from 3 degrees on: Abramowitz & Stegun 1964, eq. 26.7.5."""
    v = degrees
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
