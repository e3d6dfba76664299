"""A fresh caption for each sample at each epoch, so that a model learns language, not templates; and rarity weights."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..grammar import describe, mirror
from ..records import FIELDS, Attributes

STYLES = ("paragraph", "sentence", "tags")
FULLNESS = (0.35, 0.7, 1.0)  # how much of what is known a caption says
KEEP = {"gender": 0.95, "age": 0.85, "ethnicity": 0.85, "pose": 0.3, "quality": 0.3}  # where it is not the fullness
NONE = 0.6  # of what is known to be absent ("no glasses"), the share that is said all the same


def vary(attributes: Attributes, random_: random.Random) -> Attributes:
    """The same person, told with some things left out."""
    fullness = random_.choice(FULLNESS)
    dropped = {}
    for name, value in attributes.said().items():
        keep = KEEP.get(name, fullness) * (NONE if value in ("none", ("none",)) else 1)
        if random_.random() >= keep:
            dropped[name] = () if isinstance(value, tuple) else None
    return replace(attributes, **dropped)  # type: ignore[arg-type]


def caption(attributes: Attributes, seed: int, mirrored: bool = False) -> tuple[str, Attributes]:
    """A text and what it says; a pure function of the arguments. `mirrored` swaps left and right in the words."""
    random_ = random.Random(seed)
    told = vary(attributes, random_)
    text = describe(told, random_.choice(STYLES), random_.getrandbits(31))
    return (mirror(text) if mirrored else text), told


def rarity(people: Sequence[Attributes], common: float = 0.03, most: float = 5.0) -> np.ndarray:
    """Sampling weights (N,): a face that shows a value rarer than `common` is drawn up to `most` times as often."""
    counts = Counter(pair for person in people for pair in _values(person))
    enough = common * len(people)
    return np.array([min(most, max([1.0, *(enough / counts[v] for v in _values(p))])) for p in people])


DECADES = tuple(range(10, 80, 10))
VALUES = {
    pair: i
    for i, pair in enumerate([(n, v) for n, f in FIELDS.items() for v in f.values] + [("age", str(d)) for d in DECADES])
}


def told_values(told: Attributes) -> np.ndarray:
    """Ones where a value is named, (len(VALUES),) float32; an age counts for its decade."""
    found = np.zeros(len(VALUES), np.float32)
    for name, value in _values(told):
        if name == "age" and told.age:
            value = str(min(max(told.age.low // 10 * 10, DECADES[0]), DECADES[-1]))
        found[VALUES[(name, value)]] = 1
    return found


def said_fields(told: Attributes) -> np.ndarray:
    """Ones for every value of the fields about which something is said, (len(VALUES),) float32."""
    said = told.said()
    return np.array([name in said for name, _ in VALUES], np.float32)


def _values(person: Attributes) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in person.said().items():
        pairs += [(name, str(v)) for v in (value if isinstance(value, tuple) else (value,))]
    return pairs


def contrary(attributes: Attributes, random_: random.Random, fields: Sequence[str]) -> Attributes:
    """The same person with one of `fields` changed to another value: a hard negative for a contrastive loss."""
    said = attributes.said()
    name = random_.choice([f for f in fields if f in said] or ["gender"])
    value = said.get(name)
    other = random_.choice(
        [v for v in FIELDS[name].values if v != value and v not in (value if FIELDS[name].many and value else ())]
    )
    return replace(attributes, **{name: (other,) if FIELDS[name].many else other})  # type: ignore[arg-type]
