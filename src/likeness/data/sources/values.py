"""How data sets spell what we know by one name: sex, race, hair, eyes, ages -> values of `records.FIELDS`.

A word that is not in a table stays unsaid and is counted; an age that cannot be read makes its row a problem, because
the filter for minors depends on it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ...errors import RecordError
from ...records import FIELDS, Age, Attributes
from .base import Problems

NOTHING = frozenset(
    {"", "na", "n/a", "nan", "none", "null", "unknown", "unk", "?", "-", "--", "other", "others", "not available", "u"}
)

GENDER = {
    "male": "male", "m": "male", "man": "male", "men": "male", "boy": "male",
    "female": "female", "f": "female", "woman": "female", "women": "female", "girl": "female",
}  # fmt: skip
ETHNICITY = {
    "white": "White", "caucasian": "White", "european": "White", "w": "White",
    "black": "Black", "african": "Black", "african american": "Black", "black or african american": "Black",
    "b": "Black",
    "latino": "Latino", "latina": "Latino", "hispanic": "Latino", "latino hispanic": "Latino",
    "latino/hispanic": "Latino",
    "hispanic/latino": "Latino", "h": "Latino", "asian": "Asian", "a": "Asian",
    "east asian": "East Asian", "eastasian": "East Asian", "chinese": "East Asian", "japanese": "East Asian",
    "korean": "East Asian",
    "southeast asian": "Southeast Asian", "south east asian": "Southeast Asian", "southeastasian": "Southeast Asian",
    "indian": "Indian", "south asian": "Indian", "middle eastern": "Middle Eastern", "middleeastern": "Middle Eastern",
    "arab": "Middle Eastern", "native american": "Native American", "american indian": "Native American",
    "american indian/alaskan native": "Native American", "amer ind": "Native American",
    "alaskan native": "Native American",
    "pacific islander": "Pacific Islander", "asian or pacific islander": "Asian", "asian/pacific islander": "Asian",
}  # fmt: skip
HAIR = {
    "black": "black", "blk": "black", "brown": "brown", "bro": "brown", "brn": "brown", "dark brown": "dark brown",
    "light brown": "light brown", "chestnut": "brown", "blonde": "blond", "blond": "blond",
    "blonde or strawberry": "blond",
    "blond or strawberry": "blond", "bln": "blond", "strawberry": "red", "red": "red", "red or auburn": "red",
    "auburn": "red",
    "gray": "gray", "grey": "gray", "gray or partially gray": "gray", "gry": "gray", "salt and pepper": "gray",
    "white": "white",
    "whi": "white", "sandy": "light brown", "sdy": "light brown", "dyed": "dyed",
}  # fmt: skip
BALD = frozenset({"bald", "bal"})
EYES = {
    "brown": "brown", "bro": "brown", "brn": "brown", "black": "black", "blk": "black", "blue": "blue", "blu": "blue",
    "green": "green", "grn": "green", "hazel": "hazel", "haz": "hazel", "gray": "gray", "grey": "gray", "gry": "gray",
    "amber": "amber", "maroon": "brown", "mar": "brown",
}  # fmt: skip
EXPRESSION = {
    "happy": "smiling", "happiness": "smiling", "smile": "smiling", "smiling": "smiling", "laughing": "laughing",
    "sad": "sad",
    "sadness": "sad", "angry": "angry", "anger": "angry", "surprise": "surprised", "surprised": "surprised",
    "fear": "fearful",
    "fearful": "fearful", "disgust": "disgusted", "disgusted": "disgusted", "neutral": "neutral",
}  # fmt: skip
TABLES: dict[str, dict[str, str]] = {
    "gender": GENDER, "ethnicity": ETHNICITY, "hair_color": HAIR, "eye_color": EYES, "expression": EXPRESSION,
}  # fmt: skip
# Columns of strangers -> our fields. Our own field names are read as well.
COLUMNS = {
    "gender": "gender", "sex": "gender", "race": "ethnicity", "ethnicity": "ethnicity", "ethnic_group": "ethnicity",
    "hair": "hair_color", "hair_color": "hair_color", "hair_colour": "hair_color", "eyes": "eye_color",
    "eye_color": "eye_color",
    "eye_colour": "eye_color", "emotion": "expression", "expression": "expression", "age": "age", "age_group": "age",
    "age_range": "age",
}  # fmt: skip
# Age groups as words. The Indian Movie Face Database's, and so those of the sets made from it: child 1-12, young 12-30,
# middle 30-50, old over 50. "Young" may be a minor, and counts as one.
AGE_WORDS = {
    "child": Age(1, 12), "children": Age(1, 12), "young": Age(12, 30), "teen": Age(13, 19), "teenager": Age(13, 19),
    "middle": Age(30, 50), "middle aged": Age(30, 50), "adult": Age(18, 120), "old": Age(50, 120),
    "senior": Age(60, 120),
    "elderly": Age(60, 120), "minor": Age(0, 17), "baby": Age(0, 2),
}  # fmt: skip
RANGE = re.compile(r"^\(?\s*(\d{1,3})\s*(?:-|–|,|to|\.\.)\s*(\d{1,3})\s*\)?(?: years?)?$")
OVER = re.compile(r"^(?:more than|over|above|>=?)\s*(\d{1,3})$|^(\d{1,3})\s*(?:\+|-|and over|or older)$")


def plain(value: object) -> str:
    """Lower case, one space between words."""
    return " ".join(str(value).replace("_", " ").lower().split())


def read_age(value: object) -> Age | None:
    """`25`, `25.0`, `20-29`, `(25, 32)`, `more than 70`, `60+`, or a word for a group; None where nothing is said.

    Raises `RecordError` for what cannot be an age.
    """
    word = plain(value)
    if word in NOTHING:
        return None
    if word in AGE_WORDS:
        return AGE_WORDS[word]
    try:
        if found := RANGE.match(word):
            return Age(int(found[1]), int(found[2]))
        if found := OVER.match(word):
            return Age(int(found[1] or found[2]), 120)
        number = float(word)
        if math.isfinite(number) and number >= 0:
            return Age(int(number))
    except (ValueError, RecordError):
        pass
    raise RecordError(f"{str(value)[:40]!r} is not an age")


def read_value(field: str, cell: object, problems: Problems) -> Any:
    """One cell as the value of a field (a tuple where several can hold, `a; b` in a cell), or None; unknown words
    count.
    """
    if FIELDS[field].many:
        return tuple(v for part in str(cell).split(";") if (v := _value(field, part, problems))) or None
    return _value(field, cell, problems)


def _value(field: str, cell: object, problems: Problems) -> str | None:
    word = plain(cell)
    canonical = {v.lower(): v for v in FIELDS[field].values}
    if word in canonical:
        return canonical[word]
    if word in NOTHING or field == "hair_color" and word in BALD:
        return None
    if said := TABLES.get(field, {}).get(word):
        return said
    problems.unsaid(field, str(cell))
    return None


def read_attributes(
    row: Mapping[str, object], problems: Problems, columns: Mapping[str, str] = COLUMNS
) -> Attributes | None:
    """What a row's columns say; None if nothing. Raises `RecordError` for an age that cannot be read."""
    values: dict[str, Any] = {}
    for name, cell in row.items():
        field = columns.get(name) or (name if name in FIELDS else None)
        if field is None or cell is None:
            continue
        said = read_age(cell) if field == "age" else read_value(field, cell, problems)
        if said is not None:
            values.setdefault(field, said)
        if field == "hair_color" and plain(cell) in BALD:
            values.setdefault("hair_length", "bald")
    return Attributes(**values) if values else None


def read_map(text: str | Mapping[str, str] | None) -> dict[str, str]:
    """`"desi=Indian,caucasian=White"` or a dict, keys in lower case. Raises `RecordError` for a pair without `=`."""
    if text is None:
        return {}
    if isinstance(text, Mapping):
        return {plain(k): str(v) for k, v in text.items()}
    found = {}
    for pair in filter(None, (p.strip() for p in text.split(","))):
        key, equals, value = pair.partition("=")
        if not equals:
            raise RecordError(f"{pair!r}: write a map as word=value,word=value")
        found[plain(key)] = value.strip()
    return found
