import random

import numpy as np

from likeness.data.labels import attributes_of
from likeness.records import Age, Attributes
from likeness.train.captions import VALUES, caption, contrary, rarity, told_values, vary

WOMAN = Attributes(age=Age(20, 29), gender="female", ethnicity=("Indian",), glasses="none", jewellery=("earrings",))


def test_captions_are_fresh_and_repeatable():
    assert caption(WOMAN, 1) == caption(WOMAN, 1)
    assert len({caption(WOMAN, seed)[0] for seed in range(100)}) > 80


def test_a_caption_says_no_more_than_is_known():
    for seed in range(50):
        told = vary(WOMAN, random.Random(seed)).said()
        assert told.items() <= WOMAN.said().items()


def test_rare_faces_are_drawn_more_often_but_not_without_end():
    people = [WOMAN] * 998 + [
        Attributes(hair_length="bald"),
        Attributes(hair_length="long"),
        Attributes(hair_length="long"),
    ]
    assert rarity(people)[[0, -3, -1]].tolist() == [1.0, 5.0, 5.0]
    people += [Attributes(hair_length="long")] * 18
    np.testing.assert_allclose(rarity(people)[-1], 0.03 * len(people) / 20)


def test_what_is_told_is_marked():
    marked = {pair for pair, i in VALUES.items() if told_values(WOMAN)[i]}
    assert marked == {
        ("gender", "female"), ("ethnicity", "Indian"), ("glasses", "none"), ("jewellery", "earrings"), ("age", "20"),
    }  # fmt: skip
    assert told_values(Attributes(age=Age(95)))[VALUES[("age", "70")]] == 1


def test_a_contrary_differs_in_one_field():
    for seed in range(50):
        other = contrary(WOMAN, random.Random(seed), ("gender", "ethnicity", "glasses"))
        changed = [k for k in WOMAN.said() if getattr(other, k) != getattr(WOMAN, k)]
        assert len(changed) == 1 and changed[0] in ("gender", "ethnicity", "glasses")


def test_label_rows_become_attributes():
    row = {
        "gender": "male", "age": "70+", "ethnicity": "White", "glasses": None, "expression": "other", "makeup": "none",
        "facial_hair": "none", "marks": ["sideburns", "looking away", "freckles"],
    }  # fmt: skip
    assert attributes_of(row) == Attributes(
        gender="male",
        age=Age(70, 120),
        ethnicity=("White",),
        facial_hair=("sideburns",),
        eye_state="looking away",
        marks=("freckles",),
    )
