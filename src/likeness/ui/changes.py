"""What "older" or "add glasses" does to the attributes of a face: a table of small pure functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from likeness.records import FIELDS, Age

from .questions import ADULT, NONE, OLDEST

Said = dict[str, Any]
YEARS = 20
LENGTHS = ("very short", "short", "medium", "long")
SHADES = ("black", "dark brown", "brown", "light brown", "blond")


def older(said: Said) -> Said:
    return said | {"age": _aged(said, YEARS, unknown="60-69")}


def younger(said: Said) -> Said:
    kept = {k: v for k, v in said.items() if k != "marks" or "wrinkles" not in v}
    return kept | {"age": _aged(said, -YEARS, unknown="20-29")}


def put(name: str, *values: str) -> Callable[[Said], Said]:
    """Says `values` of the field `name`, whatever it said before."""
    return lambda said: said | {name: list(values) if FIELDS[name].many else values[0]}


def move(name: str, scale: tuple[str, ...], by: int) -> Callable[[Said], Said]:
    """One place along a scale of values; where the field says nothing of the scale, to its end."""

    def moved(said: Said) -> Said:
        place = scale.index(said[name]) + by if said.get(name) in scale else (len(scale) - 1 if by > 0 else 0)
        return said | {name: scale[min(max(place, 0), len(scale) - 1)]}

    return moved


def show_face(said: Said) -> Said:
    """Nothing on the head and nothing in front of the face."""
    return {k: v for k, v in said.items() if k != "occlusion"} | {"headwear": NONE}


CHANGES: dict[str, Callable[[Said], Said]] = {
    "Older": older,
    "Younger": younger,
    "Add glasses": put("glasses", "eyeglasses"),
    "Without glasses": put("glasses", NONE),
    "Add a beard": put("facial_hair", "full beard"),
    "Without a beard": put("facial_hair", NONE),
    "Smiling": put("expression", "smiling"),
    "Serious": put("expression", "neutral"),
    "Longer hair": move("hair_length", LENGTHS, +1),
    "Shorter hair": move("hair_length", LENGTHS, -1),
    "Darker hair": move("hair_color", SHADES, -1),
    "Lighter hair": move("hair_color", SHADES, +1),
    "Nothing on the head": show_face,
}


def changed(said: Said, names: list[str], spoken: Said | None = None) -> Said:
    """The attributes after the changes, in their order, and after what free words say (`spoken`), which weighs most."""
    for name in names:
        said = CHANGES[name](said)
    return said | (spoken or {})


def _aged(said: Said, years: int, unknown: str) -> str:
    if not said.get("age"):
        return unknown
    age = Age.parse(said["age"])
    low = min(max(age.low + years, ADULT), OLDEST - YEARS)
    high = OLDEST if age.high == OLDEST and years > 0 else max(low, min(age.high + years, OLDEST))
    # 70+ made younger is a decade again: fifty years of width would say nothing
    high = low + 9 if high - low > 30 and years < 0 else high
    return str(Age(low, high))
