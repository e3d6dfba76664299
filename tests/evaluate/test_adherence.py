"""Cases, traits, sets and counts: what is asked, of whom, and how it is counted."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from likeness.evaluate.adherence.cases import STYLES, Adherence, adherence, cases, halves
from likeness.evaluate.adherence.traits import TRAITS
from likeness.grammar import describe, parse
from likeness.models.judge import HEADS
from likeness.records import Age, Attributes

BY_NAME = {trait.name: trait for trait in TRAITS}


@pytest.fixture(scope="module")
def everybody(faces):
    return cases(faces)


def test_one_case_for_each_test_face(everybody, faces):
    assert [case.index for case in everybody] == list(range(673))
    assert all(case.picture.is_file() for case in everybody)
    assert len(list((faces / "images").iterdir())) == 673
    assert Counter(case.seen for case in everybody) == {True: 269, False: 404}
    first = everybody[4]
    assert first.caption == describe(first.attributes, STYLES[4 % 3], 4)
    assert first.request("mini", steps=2).seed == 4 and first.request("mini", steps=2).prompt == first.caption


def test_a_limited_run_asks_the_same_of_fewer(everybody, faces):
    few = cases(faces, limit=5)
    assert len(few) == 5 and set(few) <= {everybody[case.index] for case in few}
    assert few == cases(faces, limit=5) and cases(faces, limit=5000) == everybody
    other = cases(faces, seed=1)
    assert sum(a.caption != b.caption for a, b in zip(other, everybody, strict=True)) > 600


@pytest.mark.parametrize("trait", TRAITS, ids=lambda trait: trait.name)
def test_captions_say_the_trait_both_ways(everybody, trait):
    """What `parse` reads in a caption is the truth that is scored: the prompt sets are of what is said."""
    asked = [case for case in everybody if trait.truth(case.attributes) is not None]
    read = [trait.truth(parse(case.caption).attributes) == trait.truth(case.attributes) for case in asked]
    assert len(asked) > 200 and sum(read) / len(read) > 0.99
    assert {trait.truth(case.attributes) for case in asked} == set(range(len(trait.answers)))


def test_the_table_of_traits_fits_labels_and_judge():
    assert [t.name for t in TRAITS] == ["gender", "glasses", "smile", "beard", "headwear", "ethnicity", "age"]
    for trait in TRAITS:
        assert set(trait.answers) == set(trait.prompts) and all(trait.prompts.values())
        for values in trait.answers.values():
            assert set(values) <= set(HEADS[trait.field])


def test_truths():
    beard, smile, age = BY_NAME["beard"], BY_NAME["smile"], BY_NAME["age"]
    assert beard.truth(Attributes(gender="male", facial_hair=("full beard", "sideburns"))) == 0
    assert beard.truth(Attributes(gender="male", facial_hair=("none",))) == 1
    assert beard.truth(Attributes(gender="male", facial_hair=("stubble",))) is None
    assert beard.truth(Attributes(gender="female", facial_hair=("full beard",))) is None
    assert smile.truth(Attributes(expression=("laughing",))) == 0
    assert smile.truth(Attributes(expression=("neutral", "smiling"))) is None  # on both sides is on none
    assert smile.truth(Attributes(expression=("sad",))) is None and smile.truth(None) is None
    assert age.truth(Attributes(age=Age(70, 120))) == 5 and age.truth(Attributes(age=Age(25))) is None


def test_the_judge_weighs_an_answers_values_together():
    """0.3 + 0.25 of smiling and laughing outweigh 0.4 of neutral, though neutral is the likeliest single value."""
    head = HEADS["expression"]
    p = torch.zeros(2, len(head))
    for value, weight in (("neutral", 0.4), ("smiling", 0.3), ("laughing", 0.25)):
        p[0, head.index(value)] = weight
    p[1, head.index("angry")], p[1, head.index("neutral")] = 0.9, 0.1
    assert BY_NAME["smile"].judged({"expression": p}) == [0, 1]


def test_eye_takes_the_nearest_averaged_prompt():
    class Words:
        """Texts that speak of "none" or "without" point one way, all others another."""

        def text_features(self, texts):
            negative = ("no ", "without", "bareheaded")
            return torch.tensor([[0.0, 1.0] if any(n in t for n in negative) else [1.0, 0.0] for t in texts])

        def image_features(self, pixels):
            raise AssertionError("features are given")

    looks = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    assert BY_NAME["headwear"].zero_shot(Words(), looks) == [0, 1]
    assert BY_NAME["glasses"].zero_shot(Words(), looks) == [0, 1]


def test_halves_are_equal_seeded_and_whole_on_the_rarer_side():
    truths = [0, 1, None, 1, 1, 0, 1, 1, None, 1] * 5
    places = halves(truths, 0, "x")
    assert Counter(truths[i] for i in places) == {0: 10, 1: 10} and places == sorted(places)
    assert {i for i, t in enumerate(truths) if t == 0} <= set(places)
    assert places == halves(truths, 0, "x")
    assert len({tuple(halves(truths, seed, "x")) for seed in range(5)}) > 1
    assert halves([1, 1, None], 0, "x") == []


def test_scores_of_right_wrong_and_constant_answers():
    glasses = BY_NAME["glasses"]
    truths: list[int | None] = [0] * 20 + [1] * 60 + [None] * 5
    right = [t or 0 for t in truths]
    for answers, value in ((right, 1.0), ([1 - a for a in right], 0.0), ([1] * 85, 0.5)):
        found = adherence(glasses, truths, answers, "drawn", "judge")
        assert [(a.sets, a.count) for a in found] == [("half", 40), ("all", 80)]
        assert [a.score().value for a in found] == [value, value]
        assert all(s.low <= s.value <= s.high and s.high > s.low for s in (a.score() for a in found))
    half, whole = (a.score("Told.") for a in adherence(glasses, truths, [1] * 85, "real", "eye"))
    assert whole.metric == "adherence/glasses/real/eye/all" and "any 0/20, none 60/60" in whole.protocol
    assert whole.protocol.endswith("Told.") and half.high - half.low > whole.high - whole.low


def test_many_answers_have_one_set_and_nobody_asked_has_none():
    age = BY_NAME["age"]
    (found,) = adherence(age, [0, 0, 1, 5], [0, 1, 1, 4], "drawn", "judge")
    assert isinstance(found, Adherence) and found.sets == "all" and found.chance == pytest.approx(1 / 6)
    assert found.score().value == pytest.approx((0.5 + 1 + 0) / 3)
    assert adherence(age, [None, None], [0, 0], "drawn", "judge") == []
    assert [a.sets for a in adherence(BY_NAME["beard"], [1, 1], [1, 1], "drawn", "judge")] == ["all"]
