import dataclasses
import json
import random

import pytest

from likeness.errors import RecordError
from likeness.records import FIELDS, Age, Attributes, FaceRecord, ImageRequest, Sample, Score


def person(chance: random.Random) -> Attributes:
    """Random attributes, any subset of the fields."""
    values = {}
    for name, spec in FIELDS.items():
        if chance.random() < 0.4:
            several = tuple(chance.sample(spec.values, chance.randint(1, min(3, len(spec.values)))))
            several = ("none",) if "none" in several else several  # nobody has no beard and a moustache
            values[name] = several if spec.many else several[0]
    low = chance.randint(0, 120)
    age = chance.choice([None, Age(low), Age(low, chance.randint(low, 120)), Age(low, 120)])
    return Attributes(age=age, **values)


def test_random_people_survive_json():
    chance = random.Random(0)
    for _ in range(500):
        someone = person(chance)
        assert Attributes.from_dict(json.loads(json.dumps(someone.to_dict()))) == someone


def test_every_field_has_a_place_and_silent_ones_are_left_out():
    assert {f.name for f in dataclasses.fields(Attributes)} == {"age", *FIELDS}
    assert Attributes().to_dict() == {} and Attributes().said() == {}
    assert Attributes(gender="male", age=Age(20, 29)).to_dict() == {"gender": "male", "age": "20-29"}
    assert Attributes.from_dict({"gender": None, "nose": None, "age": None}) == Attributes()


def test_several_values_have_one_order_and_no_doubles():
    """So that equality means the same thing said."""
    a = Attributes(expression=("sad", "neutral", "sad"))
    assert a == Attributes(expression=("neutral", "sad")) and hash(a) == hash(Attributes(expression=("neutral", "sad")))
    assert Attributes(nose=["big"]) == Attributes(nose=("big",))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"gender": "man"}, "gender cannot be 'man': choose from female, male"),
        ({"gender": ["male"]}, "gender cannot be"),
        ({"nose": ["big", "green"]}, "nose cannot be 'green'"),
        ({"nose": "big"}, "nose takes a list"),
        ({"nose": 5}, "nose takes a list"),
        ({"noes": ["big"]}, "unknown attribute 'noes'"),
        ({"facial_hair": ["none", "stubble"]}, "facial_hair cannot be none and stubble at once"),
        ({"age": "old"}, "age 'old': write a number"),
        ({"age": "30-20"}, "age 30-20 is not a range"),
    ],
)
def test_wrong_values_say_what_would_be_right(values, said):
    with pytest.raises(RecordError) as caught:
        Attributes.from_dict(values)
    assert said in str(caught.value)


def test_an_age_must_be_an_age():
    with pytest.raises(RecordError, match=r"Age.parse\('25'\)"):
        Attributes(age=25)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "age"), [("25", Age(25)), (25, Age(25)), (" 20-29 ", Age(20, 29)), ("70+", Age(70, 120))]
)
def test_ages_are_read_and_written(text, age):
    assert Age.parse(text) == age and Age.parse(str(age)) == age


@pytest.mark.parametrize("text", ["", "-", "-5", "25-", "+", "1e1", "20-29-30", "121", "2000", "20.5", "None"])
def test_what_is_no_age_is_refused(text):
    with pytest.raises(RecordError, match="age"):
        Age.parse(text)


def test_every_age_has_one_text():
    ages = {Age(low, high) for low in range(121) for high in range(low, 121)}
    assert len({str(a) for a in ages}) == len(ages) == 121 * 122 // 2
    assert all(Age.parse(str(a)) == a for a in ages)
    assert Age(25).exact and not Age(20, 29).exact


@pytest.mark.parametrize(
    "record",
    [
        Age(25), Attributes(), FaceRecord("a.webp"), ImageRequest("a face"),
        Sample(None, ImageRequest("a face"), 1, 0.1, "abc"), Score("fd", 1.0, 0.9, 1.1, 673, "how"),
    ],
)  # fmt: skip
def test_records_are_frozen(record):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, dataclasses.fields(record)[0].name, None)
