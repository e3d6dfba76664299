"""Captions against the labels of their rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from likeness import grammar
from likeness.caption import agreement
from likeness.data.manifest import Manifest
from likeness.errors import UsageError
from likeness.records import FIELDS, Age, Attributes, FaceRecord

MAN = Attributes(age=Age(30, 39), gender="male", hair_color="brown", facial_hair=("none",), nose=("big",))


def table(folder: Path, *rows: FaceRecord) -> Path:
    Manifest(folder).write(rows)
    return folder


def test_a_woman_who_is_labelled_a_man_is_found_and_named(tmp_path):
    folder = table(
        tmp_path / "faces",
        FaceRecord("images/1.png", "A woman in her 30s with brown hair.", MAN),
        FaceRecord("images/2.png", "A man in his 30s with brown hair.", MAN),
        FaceRecord("images/3.png", "A man with a beard.", MAN),
        FaceRecord("images/4.png", "A woman."),  # no labels: nothing to compare
        FaceRecord("images/5.png", "", MAN),  # no caption
    )
    found = agreement.measure(folder)
    assert (found.rows, found.compared, found.disagreeing) == (5, 3, 2)
    assert [(c.file_name, c.field, c.label, c.said) for c in found.conflicts] == [
        ("images/1.png", "gender", "male", "female"),
        ("images/3.png", "facial_hair", "none", "full beard"),
    ]
    gender = found.fields["gender"]
    assert (gender.labelled, gender.said, gender.agrees, gender.conflicts) == (3, 3, 2, 1)
    assert gender.share == pytest.approx(1 / 3)
    assert found.fields["nose"].said == 0 and found.fields["nose"].share is None
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["fields"]["gender"]["conflicts"] == 1 and plain["conflicts"][0]["file_name"] == "images/1.png"
    heading, rows = found.table()
    assert rows[0][0] == "facial hair" and all(len(row) == len(heading) for row in rows)


@pytest.mark.parametrize(
    ("label", "said", "verdict"),
    [
        (Age(20, 29), Age(25), "agrees"),
        (Age(20, 29), Age(29, 40), "agrees"),
        (Age(20, 29), Age(34), "near"),
        (Age(20, 29), Age(35), "conflicts"),
        (Age(60, 69), Age(50, 54), "conflicts"),
    ],
)
def test_ages_may_miss_each_other_by_five_years(label, said, verdict):
    assert agreement.verdict("age", label, said) == agreement.verdict("age", said, label) == verdict


@pytest.mark.parametrize(
    ("name", "label", "said", "verdict"),
    [
        ("hair_color", "brown", "dark brown", "near"),
        ("hair_color", "black", "blond", "conflicts"),
        ("hair_texture", "wavy", "curly", "near"),
        ("hair_texture", "straight", "coily", "conflicts"),
        ("ethnicity", ("East Asian",), ("Asian",), "agrees"),
        ("ethnicity", ("East Asian",), ("Black",), "conflicts"),
        ("ethnicity", ("White",), ("White", "Black"), "agrees"),
        ("nose", ("big",), ("straight",), "beside"),
        ("nose", ("big",), ("small",), "conflicts"),
        ("jewellery", ("none",), ("earrings",), "conflicts"),
        ("jewellery", ("necklace",), ("earrings",), "beside"),
        ("expression", ("smiling",), ("laughing",), "near"),
        ("expression", ("smiling",), ("sad",), "conflicts"),
        ("facial_hair", ("stubble",), ("full beard",), "near"),
        ("glasses", "none", "eyeglasses", "conflicts"),
    ],
)
def test_values_are_weighed_as_people_use_them(name, label, said, verdict):
    assert agreement.verdict(name, label, said) == agreement.verdict(name, said, label) == verdict


def test_every_value_agrees_with_itself_and_the_tables_know_only_real_values():
    for name, spec in FIELDS.items():
        for value in spec.values:
            assert agreement.verdict(name, value, value) == "agrees"
    for name, scales in agreement.SCALES.items():
        assert {value for scale in scales for value in scale} <= set(FIELDS[name].values)
    assert set(agreement.EXCLUSIVE) | set(agreement.UNCOMPARED) <= set(FIELDS)


def test_our_own_descriptions_conflict_with_nothing():
    """What the grammar writes from labels it reads back: a conflict would be a fault of this comparison."""
    for seed in range(60):
        text = grammar.describe(MAN, "paragraph", seed)
        assert agreement.conflicts(text, MAN) == [], text


def test_what_a_captioner_filled_in_is_no_label(tmp_path):
    """A model that agrees with itself proves nothing."""
    record = FaceRecord("images/1.png", "A woman with blond hair.", MAN, caption={"filled": ["gender", "nonsense"]})
    assert agreement.labels_of(record).gender is None and agreement.labels_of(record).hair_color == "brown"
    found = agreement.measure(table(tmp_path / "faces", record))
    assert [c.field for c in found.conflicts] == ["hair_color"] and "gender" not in found.fields


def test_the_list_is_bounded_and_the_counts_are_not(tmp_path):
    rows = (FaceRecord(f"images/{i}.png", "A woman.", MAN) for i in range(50))
    found = agreement.measure(table(tmp_path / "faces", *rows), listed=10)
    assert len(found.conflicts) == 10 and found.fields["gender"].conflicts == found.disagreeing == 50
    assert agreement.measure(tmp_path / "faces", limit=7).rows == 7


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(UsageError, match="data prepare"):
        agreement.measure(tmp_path)
