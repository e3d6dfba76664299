"""Is what a text says read, no more and no less, and is the rest reported?"""

from __future__ import annotations

import time
from typing import Any

import pytest

from likeness.grammar import describe, parse
from likeness.records import Age, Attributes

STYLES = ("paragraph", "sentence", "tags")


def read(text: str) -> dict[str, Any]:
    return parse(text).attributes.to_dict()


@pytest.mark.parametrize("style", STYLES)
def test_what_is_described_is_read_back(style: str, many_attributes: list[Attributes]) -> None:
    for seed, attributes in enumerate(many_attributes):
        text = describe(attributes, style, seed)
        parsed = parse(text)
        assert parsed.attributes == attributes, text
        assert parsed.unknown == (), text


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("a 12 year old", 12),
        ("a twelve-year-old girl", 12),
        ("13yo", 13),
        ("girl, 15", 15),
        ("she is sixteen", 16),
        ("boy aged 8", 8),
        ("17 y/o blonde", 17),
        ("an 8-year-old", 8),
        ("15 yr old", 15),
        ("age: 9", 9),
        ("He's seventeen", 17),
        ("a 6-month-old baby", 0),
        ("a woman of 25 with the face of a 12 year old", 12),
    ],
)
def test_numbers_under_18_are_read(text: str, age: int) -> None:
    assert parse(text).attributes.age == Age(age)


@pytest.mark.parametrize(
    "text",
    [
        "a child",
        "a toddler",
        "little girl",
        "young girl",
        "a young blonde girl",
        "a schoolgirl",
        "a boy",
        "teenager",
        "in her teens",
        "a teenage model",
        "preteen",
        "underage girl",
        "she is a minor",
        "an infant",
        "high school student",
        "a kid with freckles",
        "late teens",
        "an adolescent",
        "school boy",
        "a 25-year-old schoolgirl",
        "young boy",
        "a child who looks 30 years old",
        "under 18",
        "aged between 14 and 20",
        "7th grader",
    ],
)
def test_minors_come_out_as_minors(text: str) -> None:
    age = parse(text).attributes.age
    assert age is not None and age.low < 18


@pytest.mark.parametrize(
    "text",
    [
        "a girl",
        "girl with red hair",
        "a girl aged 22",
        "a young woman",
        "25-year-old boy",
        "under 30",
        "18 year old girl",
        "a baby-faced man",
        "baby blue eyes",
        "a minor scar",
        "a boyish woman",
        "a 5 year old photo of a man",
        "a cowboy hat",
        "two moles and one scar",
        "5 foot 10, 180 pounds",
        "a three-day-old beard",
        "5 o'clock shadow",
        "3/4 view",
        "not a child but a woman of 40",
        "a young lady",
    ],
)
def test_adults_do_not_come_out_as_minors(text: str) -> None:
    age = parse(text).attributes.age
    assert age is None or age.low >= 18


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("in his early thirties", "30-33"),
        ("mid-forties", "44-46"),
        ("late 20s", "27-29"),
        ("thirty-something", "30-39"),
        ("in his 30s or 40s", "30-49"),
        ("middle-aged", "40-59"),
        ("elderly", "70+"),
        ("young", "20-29"),
        ("70+", "70+"),
        ("over 60", "60+"),
        ("seventy or more", "70+"),
        ("twenty-five to thirty years old", "25-30"),
        ("40ish", "40"),
        ("aged 30-39", "30-39"),
        ("between 30 and 39", "30-39"),
        ("a young woman, around 27 years old", "27"),
        ("ninety-two years of age", "92"),
        ("woman, 35, brown hair", "35"),
        ("approx. 55 yrs", "55"),
        ("under 40", "18-39"),
    ],
)
def test_ages_in_words(text: str, age: str) -> None:
    assert read(text)["age"] == age


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("black hair and blue eyes", {"hair_color": "black", "eye_color": "blue"}),
        ("brown eyes, brown skin", {"eye_color": "brown", "skin_tone": "brown"}),
        ("a fair complexion", {"skin_tone": "fair"}),
        ("fair hair", {"hair_color": "blond"}),
        ("a white male", {"gender": "male", "ethnicity": ["White"]}),
        ("a male with white hair", {"gender": "male", "hair_color": "white"}),
        ("a white-haired black man", {"gender": "male", "ethnicity": ["Black"], "hair_color": "white"}),
        ("a white curly-haired man", {"gender": "male", "ethnicity": ["White"], "hair_texture": "curly"}),
        (
            "her hair is long, straight and black",
            {"gender": "female", "hair_length": "long", "hair_texture": "straight", "hair_color": "black"},
        ),
        ("eyes big and blue, nose straight", {"eye_color": "blue", "eye_shape": ["big"], "nose": ["straight"]}),
        ("woman, white, brown hair", {"gender": "female", "ethnicity": ["White"], "hair_color": "brown"}),
        ("full lips and a full beard", {"lips": ["full"], "facial_hair": ["full beard"]}),
        ("his beard is white", {"gender": "male", "facial_hair": ["full beard"]}),
        ("he wears a black hat and is black", {"gender": "male", "headwear": "hat", "ethnicity": ["Black"]}),
    ],
)
def test_a_word_belongs_to_the_right_noun(text: str, expected: dict[str, Any]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no beard", {"facial_hair": ["none"]}),
        ("clean-shaven", {"facial_hair": ["none"]}),
        ("no beard but a moustache", {"facial_hair": ["moustache"]}),
        ("without glasses, a hat or a beard", {"glasses": "none", "headwear": "none", "facial_hair": ["none"]}),
        ("no glasses and a beard", {"glasses": "none", "facial_hair": ["full beard"]}),
        (
            "She doesn't wear a hat, earrings or make-up.",
            {"gender": "female", "headwear": "none", "makeup": "none", "jewellery": ["none"]},
        ),
        ("neither bearded nor bespectacled", {"facial_hair": ["none"], "glasses": "none"}),
        ("not smiling", {"expression": ["neutral"]}),
        ("not smiling but surprised", {"expression": ["surprised"]}),
        ("glasses: none, hat: no, beard: yes", {"glasses": "none", "headwear": "none", "facial_hair": ["full beard"]}),
        ("no fringe", {"fringe": "none"}),
        ("teeth not visible", {"mouth": "closed"}),
        ("no scar, blue eyes", {"eye_color": "blue"}),
        ("bareheaded and beardless", {"facial_hair": ["none"], "headwear": "none"}),
    ],
)
def test_denials(text: str, expected: dict[str, Any]) -> None:
    assert read(text) == expected


def test_several_values_of_one_field() -> None:
    assert read("happy and partly surprised") == {"expression": ["smiling", "surprised"]}
    assert read("a mix of happiness and neutral emotions") == {"expression": ["neutral", "smiling"]}


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("a man in a black shirt", ("black", "shirt")),
        ("a woman riding a bicycle", ("riding", "bicycle")),
        ("a black beard", ("black",)),
        ("The image shows an attractive man with distinctive facial features.", ()),
        ("A photo taken with standard forensic photography lighting against a plain background", ()),
        ("xyzzy xyzzy", ("xyzzy",)),
        ("", ()),
        ("?!... 12345678", ()),
    ],
)
def test_what_is_not_understood_is_reported(text: str, unknown: tuple[str, ...]) -> None:
    assert parse(text).unknown == unknown


@pytest.mark.parametrize(
    "unit",
    [
        "black ",
        "a, ",
        "no hat, ",
        "beard: ",
        "20-",
        "twenty ",
        "hand ",
        "between ",
        "hair is long, ",
        "a",
        "' ",
        "black, long ",
    ],
)
def test_ten_thousand_characters_take_no_time(unit: str) -> None:
    text = (unit * 10_000)[:10_000]
    start = time.process_time()
    parse(text)
    assert time.process_time() - start < 0.5  # measured: 0.04 at most


def test_a_paragraph_is_read_in_milliseconds(many_attributes: list[Attributes]) -> None:
    texts = [describe(attributes, "paragraph", seed) for seed, attributes in enumerate(many_attributes[:200])]
    parse(texts[0])
    start = time.process_time()
    for text in texts:
        parse(text)
    assert (time.process_time() - start) / len(texts) < 5e-3
