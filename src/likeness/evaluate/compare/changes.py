"""How a number changed between two sides that drew the same words from the same seeds. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..formulas import bootstrap
from ..formulas.intervals import wilson

LEVEL = 0.05
Limits = tuple[float, float, float]  # value, low, high


@dataclass(frozen=True)
class Change:
    """`absolute`: the other side's value minus the base's, with its 95 % interval (low, high); `percent`: the same by
    the base's value, turned so that more is better, None where the base's own interval holds 0. `verdict`: better,
    worse, or nothing where the difference may be chance."""

    absolute: float
    percent: float | None
    low: float
    high: float
    verdict: str


def change(base: Limits, other: Limits, low: float, high: float, higher: bool, sure: bool = True) -> Change:
    """The change from `base` to `other`; (low, high) is the interval of the difference. Not `sure`: no verdict."""
    absolute, sign = other[0] - base[0], 1 if higher else -1
    held = base[0] == 0 or base[1] <= 0 <= base[2]  # false for nan
    clear = sure and (low > 0 or high < 0)
    verdict = "" if not clear else "better" if sign * absolute > 0 else "worse"
    return Change(absolute, None if held else 100 * sign * absolute / abs(base[0]), low, high, verdict)


def paired(base: Sequence[float], other: Sequence[float], higher: bool, seed: int = 0) -> Change:
    """Means of values of the same items: the interval is the bootstrap's for the mean of their differences."""
    low, high = bootstrap.mean_interval([b - a for a, b in zip(base, other, strict=True)], seed=seed)
    means = [(statistics.fmean(x), *bootstrap.mean_interval(x, seed=seed)) for x in (base, other)]
    return change(means[0], means[1], low, high, higher)


def paired_hits(base: Sequence[bool], other: Sequence[bool], classes: Sequence[int]) -> Change:
    """Balanced accuracies of the same items, from their hits and the class of each.

    The interval of each class's difference is `paired_proportions`; over classes they combine by "square and add" with
    weights 1/K (Zou, Huang & Zhang 2009). A verdict also needs the exact sign test over the items that changed sides
    (McNemar 1947), because of few items an interval may leave out 0 by luck.
    """
    labels = sorted(set(classes))
    parts = []
    for label in labels:
        of_it = [i for i, c in enumerate(classes) if c == label]
        parts.append(paired_proportions([base[i] for i in of_it], [other[i] for i in of_it]))
    k = len(parts)
    values = [
        sum(sum(side[i] for i, c in enumerate(classes) if c == label) / classes.count(label) for label in labels) / k
        for side in (base, other)
    ]
    difference = values[1] - values[0]
    low = difference - math.sqrt(sum((d - lower) ** 2 for d, lower, _ in parts)) / k
    high = difference + math.sqrt(sum((upper - d) ** 2 for d, _, upper in parts)) / k
    won = sum(b and not a for a, b in zip(base, other, strict=True))
    lost = sum(a and not b for a, b in zip(base, other, strict=True))
    sure = sign_test(won, lost) < LEVEL
    first, second = ((value, value, value) for value in values)
    return change(first, second, max(-1.0, low), min(1.0, high), True, sure)


def paired_proportions(base: Sequence[bool], other: Sequence[bool]) -> Limits:
    """p2 - p1 of the same items and its interval: Newcombe 1998 (Stat. Med. 17, 2635), method 10.

    Wilson's limits l, u of both proportions, and phi, the correlation of the hits (its numerator drawn in by n / 2):
        low  = d - sqrt((p2 - l2)^2 - 2 phi (p2 - l2)(u1 - p1) + (u1 - p1)^2)
        high = d + sqrt((u2 - p2)^2 - 2 phi (u2 - p2)(p1 - l1) + (p1 - l1)^2)
    """
    n = len(base)
    both = sum(a and b for a, b in zip(base, other, strict=True))
    one, two = sum(base), sum(other)
    neither = n - one - two + both
    product = float(both * neither - (one - both) * (two - both))
    if product > 0:
        product = max(0.0, product - n / 2)
    scale = math.sqrt(one * (n - one) * two * (n - two))
    phi = product / scale if scale else 0.0
    p1, p2 = one / n, two / n
    (l1, u1), (l2, u2) = wilson(one, n), wilson(two, n)
    below, above = (
        math.sqrt(max(0.0, x * x - 2 * phi * x * y + y * y)) for x, y in ((p2 - l2, u1 - p1), (u2 - p2, p1 - l1))
    )
    return p2 - p1, p2 - p1 - below, p2 - p1 + above


def sign_test(won: int, lost: int) -> float:
    """Two-sided probability of a split at least as uneven if each way were as likely: exact binomial."""
    n, least = won + lost, min(won, lost)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(least + 1)) / 2**n)


def unpaired(base: Limits, other: Limits, higher: bool, judged: bool = True) -> Change:
    """Values with intervals of their own, (value, low, high), taken as independent.

    The interval of a difference from those of its parts: square and add (MOVER), Newcombe 1998. Two sides that drew
    from the same seeds are not independent, and mostly nearer to each other than this says.
    """
    (a, a_low, a_high), (b, b_low, b_high) = base, other
    low = b - a - math.hypot(b - b_low, a_high - a)
    high = b - a + math.hypot(b_high - b, a - a_low)
    return change(base, other, low, high, higher, judged)
