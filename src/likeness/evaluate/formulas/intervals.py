"""95 % intervals of proportions and of means of proportions, in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z95 = 1.959963984540054  # the normal distribution's 97.5 % point


def wilson(hits: int, count: int, z: float = Z95) -> tuple[float, float]:
    """Interval of a proportion, (low, high) in [0, 1]. Wilson 1927; nothing is known (0, 1) when `count` is 0.

    Solves |p - hits/count| = z sqrt(p (1 - p) / count) for p: it stays inside [0, 1] and holds near the ends.
    """
    if not 0 <= hits <= count:
        raise ValueError(f"{hits} hits of {count}")
    if count == 0:
        return 0.0, 1.0
    p, n = hits / count, count
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # exact ends: rounding must not keep 0 of n from reaching 0
    return (0.0 if hits == 0 else centre - half), (1.0 if hits == count else centre + half)


def balanced_accuracy(classes: Sequence[tuple[int, int]], z: float = Z95) -> tuple[float, float, float]:
    """Mean recall over classes given as (hits, count) and its interval: (value, low, high). Empty classes are left out.

    The classes are independent samples, so their Wilson intervals combine by "square and add" (MOVER), weights 1/K:
        low = m - sqrt(sum ((p_k - l_k) / K)^2),  high = m + sqrt(sum ((u_k - p_k) / K)^2).
    Newcombe 1998 (method 10) for two proportions; Zou, Huang & Zhang 2009 for any linear function of them.
    Raises `ValueError` when no class has a case.
    """
    seen = [(hits, count) for hits, count in classes if count]
    if not seen:
        raise ValueError("no class has a case")
    k = len(seen)
    value = sum(hits / count for hits, count in seen) / k
    limits = [(hits / count, *wilson(hits, count, z)) for hits, count in seen]
    below = math.sqrt(sum((p - low) ** 2 for p, low, _ in limits)) / k
    above = math.sqrt(sum((high - p) ** 2 for p, _, high in limits)) / k
    return value, max(0.0, value - below), min(1.0, value + above)
