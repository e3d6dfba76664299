from __future__ import annotations

import random

import pytest

from likeness.evaluate.formulas.intervals import balanced_accuracy, wilson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3 (score)
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_as_published(hits, count, low, high):
    assert wilson(hits, count) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_wilson_ends():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(20, 20) == (pytest.approx(1 - 0.1611, abs=5e-5), 1.0)
    with pytest.raises(ValueError):
        wilson(3, 2)


def test_one_class_is_wilson_and_equal_classes_are_narrower():
    value, low, high = balanced_accuracy([(81, 263)])
    assert (low, high) == pytest.approx(wilson(81, 263)) and value == 81 / 263
    _, low2, high2 = balanced_accuracy([(81, 263), (81, 263)])
    assert (high2 - low2) == pytest.approx((high - low) / 2**0.5)  # the mean of two independent ones


def test_square_and_add_is_newcombes():
    """Newcombe 1998, "Interval estimation for the difference ...", table II, method 10: 56/70 - 48/80 is 0.0524-0.3339.

    p - q is 2 (mean of p and 1 - q) - 1, which ties balanced accuracy to the published difference.
    """
    _, low, high = balanced_accuracy([(56, 70), (80 - 48, 80)])
    assert (2 * low - 1, 2 * high - 1) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_empty_classes_are_left_out_and_none_at_all_is_an_error():
    assert balanced_accuracy([(3, 4), (0, 0)]) == balanced_accuracy([(3, 4)])
    with pytest.raises(ValueError, match="no class"):
        balanced_accuracy([(0, 0)])


@pytest.mark.parametrize("truth", [((0.97, 40), (0.9, 40)), ((0.7, 300), (0.4, 60), (0.2, 7))])
def test_the_interval_covers_the_truth_at_its_rate(truth):
    """Small, uneven classes near the ends, where the plain normal interval covers too little."""
    generator = random.Random(0)
    aim, runs, covered = sum(p for p, _ in truth) / len(truth), 2000, 0
    for _ in range(runs):
        classes = [(sum(generator.random() < p for _ in range(n)), n) for p, n in truth]
        _, low, high = balanced_accuracy(classes)
        covered += low <= aim <= high
    assert 0.93 <= covered / runs <= 0.985
