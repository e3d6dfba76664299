"""Shares against a reference, the test of it, and the correction for a judge's errors, with known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from likeness.errors import UsageError
from likeness.evaluate.audit.shares import chance_of, corrected, read_reference, shares

VALUES = ("female", "male", "other")
FIELDS = {"gender": ("female", "male"), "age": ("young", "old", "70+")}


def test_shares_are_of_those_that_something_was_said_of():
    found = shares([0, 0, None, 1, 0], VALUES, {"female": 0.5, "male": 0.5})
    assert [(s.answer, s.hits, s.count) for s in found] == [("female", 3, 4), ("male", 1, 4), ("other", 0, 4)]
    assert found[2].reference == 0.0 and found[0].interval[0] < 0.75 < found[0].interval[1]


def test_the_verdict_is_given_only_where_the_interval_leaves_the_reference_out():
    told = {"female": 0.5, "male": 0.5}
    assert [s.verdict for s in shares([0] * 6 + [1] * 4, VALUES[:2], told)] == ["", ""]
    assert [s.verdict for s in shares([0] * 90 + [1] * 10, VALUES[:2], told)] == ["over", "under"]
    assert [s.verdict for s in shares([0] * 90 + [1] * 10, VALUES[:2], None)] == ["", ""]


@pytest.mark.parametrize("counts", [(30, 40, 30), (10, 60, 30), (1, 2, 9)])
def test_the_chance_is_scipys(counts):
    told = dict(zip(VALUES, (0.2, 0.5, 0.3), strict=True))
    found = shares([i for i, n in enumerate(counts) for _ in range(n)], VALUES, told)
    theirs = chisquare(counts, [sum(counts) * told[v] for v in VALUES]).pvalue
    assert chance_of(found) == pytest.approx(theirs, rel=1e-9)


def test_the_chance_where_it_is_plain():
    assert chance_of(shares([0, 1, 2], VALUES, None)) is None
    assert chance_of(shares([None], VALUES, {"female": 1.0})) is None
    assert chance_of(shares([0, 1], VALUES, {"female": 1.0})) == 0.0  # what the reference says never is
    assert chance_of(shares([0, 0], VALUES, {"female": 1.0})) == 1.0


def test_two_answers_are_corrected_as_by_rogan_and_gladen():
    (female, male) = corrected([60, 40], [[90, 10], [30, 70]])
    # (q + specificity - 1) / (sensitivity + specificity - 1)
    assert female[0] == pytest.approx((0.6 + 0.7 - 1) / (0.9 + 0.7 - 1), abs=1e-4)
    assert female[0] + male[0] == pytest.approx(1)
    assert corrected([95, 5], [[90, 10], [30, 70]])[0][0] == pytest.approx(1.0, abs=1e-3)  # never beyond


def test_a_judge_that_does_not_err_corrects_nothing_and_one_that_guesses_knows_nothing():
    sure = corrected([50, 30, 20], [[1000, 0, 0], [0, 1000, 0], [0, 0, 1000]])
    assert [p for p, _, _ in sure] == pytest.approx([0.5, 0.3, 0.2], abs=1e-6)
    guess = corrected([50, 50], [[500, 500], [500, 500]])
    assert guess[0][2] - guess[0][1] > 0.6


def test_corrected_shares_are_nearer_to_the_truth_and_their_intervals_cover_it():
    rng = np.random.default_rng(0)
    truth = np.array([0.7, 0.2, 0.1])
    errs = np.array([[0.8, 0.15, 0.05], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    raw, better, inside, runs = 0.0, 0.0, 0, 20
    for seed in range(runs):
        confusion = [rng.multinomial(1500, row) for row in errs]
        counts = rng.multinomial(2000, truth @ errs)
        found = corrected([int(n) for n in counts], [row.tolist() for row in confusion], seed)
        raw += np.abs(counts / 2000 - truth).sum()
        better += np.abs(np.array([p for p, _, _ in found]) - truth).sum()
        inside += sum(low <= t <= high for (_, low, high), t in zip(found, truth, strict=True))
    assert better < raw / 2
    assert inside / (3 * runs) > 0.86  # 95 % less three standard deviations of so few runs


def test_there_is_nothing_to_correct_without_answers_or_real_faces():
    for counts, confusion in (([0, 0], [[1, 0], [0, 1]]), ([1, 1], [[0, 0], [0, 1]])):
        with pytest.raises(ValueError, match="a correction needs"):
            corrected(counts, confusion)


def test_references_are_read_from_both_kinds_of_table(tmp_path):
    (tmp_path / "a.json").write_text('{"gender": {"female": 3, "male": 1}}')
    (tmp_path / "b.csv").write_text("field,answer,share\ngender,female,0.75\ngender,male,0.25\n")
    both = [read_reference(tmp_path / name, FIELDS) for name in ("a.json", "b.csv")]
    assert both == [{"gender": {"female": 0.75, "male": 0.25}}] * 2  # and age has none
    assert read_reference("uniform", FIELDS)["age"]["old"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"gender": {"femal": 1}}', "no answer 'femal' of 'gender': choose from female, male"),
        ('{"hair": {"red": 1}}', "no answer 'red' of 'hair': choose from gender, age"),
        ('{"gender": {"female": -1, "male": 2}}', "must be 0 or more"),
        ('{"gender": {"female": 0}}', "not all 0"),
        ('{"gender": 1}', "no table of shares"),
        ("[1]", "no table of shares"),
        ("{", "no table of shares"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(tmp_path, text, said):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_reference(tmp_path / "a.json", FIELDS)


def test_a_missing_table_says_so(tmp_path):
    with pytest.raises(UsageError, match="cannot read .*none.json: No such file"):
        read_reference(tmp_path / "none.json", FIELDS)
