"""The forensic questionnaire: the form that a model is asked to fill in, and its answer read into `Attributes`.

Reading is lenient in spelling ("Hair Colour": "blonde", {"eyes": {"color": "Blue"}}, "about 30") and strict in values:
what is no value of the field even after the grammar has read it is left out and reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .. import grammar
from ..errors import RecordError
from ..records import FIELDS, Age, Attributes

# what a field is also called; the key as `_key` writes it
KEYS = {
    "sex": "gender", "race": "ethnicity", "skin": "skin_tone", "complexion": "skin_tone", "skin_color": "skin_tone",
    "shape": "face_shape", "cheekbones": "cheeks", "hair_style": "hair_texture", "hair_type": "hair_texture",
    "bangs": "fringe", "beard": "facial_hair", "eyes": "eye_color", "eyes_color": "eye_color",
    "eyes_shape": "eye_shape", "eyes_state": "eye_state", "eyebrows": "brows", "jewelry": "jewellery",
    "make_up": "makeup", "age_range": "age", "approximate_age": "age", "estimated_age": "age", "emotion": "expression",
    "facial_expression": "expression", "mouth_state": "mouth", "eyewear": "glasses", "hat": "headwear",
    "distinctive_features": "marks", "distinguishing_marks": "marks", "image_quality": "quality", "lip": "lips",
}  # fmt: skip
# the nouns that make the grammar read a bare value as one of this field: "blonde" + "hair"
NOUNS = {
    "hair_color": "hair", "hair_length": "hair", "hair_texture": "hair", "skin_tone": "skin", "face_shape": "face",
    "eye_color": "eyes", "eye_shape": "eyes", "eye_state": "eyes", "gender": "person", "ethnicity": "person",
    "headwear": "", "glasses": "", "expression": "expression", "facial_hair": "", "makeup": "makeup", "marks": "",
    "quality": "photo", "pose": "view", "cheeks": "cheeks|cheekbones", "brows": "eyebrows",
}  # fmt: skip
SILENT = re.compile(
    r"(unknown|unclear|uncertain|unsure|not? (visible|sure|clear|shown|applicable)|n/?a|null|-+|\?*)\.?"
)
IGNORED = {"description", "caption", "notes"}
YES = {"glasses": "eyeglasses", "makeup": "visible", "headwear": "other"}  # what `true` says


def form() -> str:
    """The fields and their values, one a line, for a prompt."""
    lines = ['- age: a range of years such as "30-39", or "70+"']
    for name, field in FIELDS.items():
        kind = "a list of any of" if field.many else "one of"
        lines.append(f"- {name}: {kind} {', '.join(field.values)}")
    return "\n".join(lines)


def find(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text, whatever stands around it; None where there is none."""
    decoder = json.JSONDecoder()
    for start in (found.start() for found in re.finditer(r"\{", text)):
        try:
            value, _ = decoder.raw_decode(text, start)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return None


def read(text: str) -> tuple[Attributes, list[str]]:
    """The attributes of an answer, and what in it could not be kept."""
    answer = find(text)
    if answer is None:
        return Attributes(), ["there is no JSON object in the answer"]
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in _flat(answer):
        if name == "age":
            values["age"] = _age(value)
            problems += [] if values["age"] else [f"age cannot be {value!r}"]
        elif name not in FIELDS:
            problems.append(f"there is no field {name!r}")
        else:
            found, wrong = _values(name, value)
            problems += [f"{name} cannot be {word!r}" for word in wrong]
            if found:
                values[name] = _kept(name, (*values.get(name, ()), *found)) if FIELDS[name].many else found[0]
    return Attributes(**values), problems


def _flat(answer: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Fields by their own names; groups such as {"hair": {"color": ...}} opened; silent ones left out."""
    for key, value in answer.items():
        name = _key(key)
        joined = f"{above}_{name}" if above else name
        joined = KEYS.get(joined, joined)
        name = joined if joined in FIELDS or joined == "age" else KEYS.get(name, name)
        if isinstance(value, dict) and not {"low", "min"} & set(value):
            yield from _flat(value, name.removesuffix("_color") if name == "eye_color" else name)
        elif name not in IGNORED and not _silent(value):
            yield name, value


def _key(key: str) -> str:
    return re.sub(r"[\s-]+", "_", key.strip().lower()).replace("colour", "color")


def _silent(value: Any) -> bool:
    return value is None or value == [] or isinstance(value, str) and bool(SILENT.fullmatch(value.strip().lower()))


def _values(name: str, value: Any) -> tuple[list[str], list[str]]:
    """Values of the field, and the words that are none."""
    found: list[str] = []
    wrong: list[str] = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, bool):
            one = YES.get(name, "") if one else "none"
        if _silent(one):
            continue
        words = str(one).strip()
        read = _read(name, words)
        found += read
        wrong += [] if read else [words[:60]]
    return found, wrong


def _read(name: str, words: str) -> list[str]:
    """What a word or two say about one field: a value as it stands, else what the grammar makes of it."""
    plain = words.lower().replace("_", " ")
    if exact := [v for v in FIELDS[name].values if v.lower() == plain]:
        return exact
    for text in (*(f"{words} {noun}" for noun in NOUNS.get(name, name).split("|")), words):
        said = getattr(grammar.parse(text).attributes, name)
        if said:
            return list(said) if isinstance(said, tuple) else [said]
    return []


def _kept(name: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """Each once; "none" only where nothing else is said."""
    real = tuple(dict.fromkeys(v for v in values if v != "none"))
    return real or values[:1]


def _age(value: Any) -> Age | None:
    """30, "30-39", "70+", "about 30", "in her thirties", [30, 39] or {"low": 30, "high": 39}."""
    if isinstance(value, dict):
        value = [value.get("low", value.get("min")), value.get("high", value.get("max"))]
    if isinstance(value, list):
        value = "-".join(str(v) for v in value if v is not None)
    text = str(value).strip().replace("\u2013", "-")
    try:
        return Age.parse(re.sub(r"\s*(-|to)\s*", "-", re.sub(r"\s*(years?( old)?|yrs?)\.?$", "", text)))
    except RecordError:
        if text.isdigit():
            return None
        return grammar.parse(text).attributes.age or grammar.parse(f"{text} years old").attributes.age
