"""How changes are measured: known values, coverage in simulation, and verdicts that chance seldom gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from likeness.evaluate.compare.changes import change, paired, paired_hits, paired_proportions, sign_test, unpaired


def _pairs(both: int, first: int, second: int, neither: int) -> tuple[list[bool], list[bool]]:
    counts = ((True, True, both), (True, False, first), (False, True, second), (False, False, neither))
    rows = [(a, b) for a, b, n in counts for _ in range(n)]
    return [a for a, _ in rows], [b for _, b in rows]


def test_paired_proportions_are_newcombes():
    """Newcombe 1998: 36, 12, 2 and 0 pairs give 0.2 with (0.0569, 0.3404) by his method 10."""
    other, base = _pairs(36, 12, 2, 0)
    assert paired_proportions(base, other) == pytest.approx((0.2, 0.0569, 0.3404), abs=5e-5)
    value, low, high = paired_proportions(other, base)
    assert (-value, -high, -low) == pytest.approx((0.2, 0.0569, 0.3404), abs=5e-5)


def test_intervals_of_paired_proportions_hold_the_truth():
    rng, n, hits, rounds = np.random.default_rng(0), 20, 0, 1500
    for _ in range(rounds):
        ease = rng.random(n)  # a face that is hard for one is hard for the other
        base, other = (list(rng.random(n) < 0.4 + shift + 0.4 * ease) for shift in (0, 0.15))
        _, low, high = paired_proportions(base, other)
        hits += low <= 0.15 <= high  # 0.4 + 0.15 + 0.4 stays below 1, so the truth is 0.15 for every face
    assert hits / rounds > 0.93


def test_the_sign_test_is_the_binomials():
    assert sign_test(6, 0) == 2 / 64 and sign_test(0, 5) == 2 / 32
    assert sign_test(3, 3) == 1.0 and sign_test(0, 0) == 1.0


def test_a_verdict_needs_more_than_a_few_faces():
    assert paired_hits([False] * 4, [True] * 4, [0] * 4).verdict == ""  # sign test: 1 in 8
    assert paired_hits([False] * 8, [True] * 8, [0, 1] * 4).verdict == "better"
    assert paired_hits([True] * 8, [False] * 8, [0, 1] * 4).verdict == "worse"


def test_chance_alone_seldom_gets_a_verdict():
    rng, rounds = np.random.default_rng(1), 1000
    said = 0
    for _ in range(rounds):
        base, other = (list(rng.random(24) < 0.7) for _ in range(2))
        said += bool(paired_hits(base, other, [i % 3 for i in range(24)]).verdict)
    assert said / rounds < 0.05


def test_balanced_accuracy_weighs_classes_not_faces():
    base, other = [True] * 9 + [False], [True] * 10
    assert paired_hits(base, other, [0] * 9 + [1]).absolute == pytest.approx(0.5)


def test_means_of_the_same_items_are_compared_item_by_item():
    rng = np.random.default_rng(2)
    base = rng.normal(0, 10, 40)
    found = paired(list(base), list(base + 1 + rng.normal(0, 0.1, 40)), higher=True)
    assert found.verdict == "better" and found.low < 1 < found.high and found.high - found.low < 0.2
    assert paired(list(base + 5), list(base + 6), higher=False).verdict == "worse"


def test_percent_is_turned_so_that_plus_is_better():
    base, other = (0.4, 0.35, 0.45), (0.3, 0.28, 0.32)
    assert unpaired(base, other, higher=False).percent == pytest.approx(25)
    assert unpaired(base, other, higher=True).percent == pytest.approx(-25)
    assert change((0.01, -0.02, 0.04), other, 0.1, 0.3, True).percent is None  # a base that may be 0 is no measure


def test_independent_intervals_square_and_add():
    found = unpaired((1.0, 0.7, 1.3), (2.0, 1.6, 2.4), higher=True)
    assert (found.low, found.high) == pytest.approx((0.5, 1.5)) and found.verdict == "better"
    assert unpaired((1.0, 0.7, 1.3), (2.0, 1.6, 2.4), True, judged=False).verdict == ""


def test_without_intervals_there_is_no_verdict():
    found = paired([1.0], [2.0], higher=True)
    assert found.absolute == 1 and math.isnan(found.low) and found.verdict == ""
