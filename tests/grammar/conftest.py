"""Random attributes for the round trips."""

from __future__ import annotations

import random

import pytest

from likeness.records import FIELDS, Age, Attributes


def random_age(rng: random.Random) -> Age:
    decade = rng.randrange(0, 120, 10)
    low = rng.randint(0, 119)
    start = rng.randrange(20, 100, 10)
    return rng.choice(
        [
            Age(low),
            Age(decade, decade + 9),
            Age(start, start + 9),
            Age(rng.choice((60, 65, 70, 80)), 120),
            Age(low, rng.randint(low + 1, 120)),
            Age(13, 19),
            *(Age(start + first, start + last) for first, last in ((0, 3), (4, 6), (7, 9))),
        ]
    )


def random_attributes(rng: random.Random) -> Attributes:
    """Any subset of the fields; "none" stands alone, since nobody has no earrings and earrings."""
    share = rng.random()
    values: dict = {}
    for name, spec in FIELDS.items():
        if rng.random() > share:
            continue
        if spec.many:
            some = tuple(rng.sample(spec.values, min(rng.choice((1, 1, 1, 2, 3)), len(spec.values))))
            values[name] = ("none",) if "none" in some else some
        else:
            values[name] = rng.choice(spec.values)
    if rng.random() < share:
        values["age"] = random_age(rng)
    return Attributes(**values)


@pytest.fixture(scope="session")
def many_attributes() -> list[Attributes]:
    rng = random.Random(20)
    return [random_attributes(rng) for _ in range(600)]


def dataset_like(rng: random.Random) -> Attributes:
    """What the label table of a face data set says of one face, everything at once."""
    pick = lambda name: rng.choice(FIELDS[name].values)  # noqa: E731
    decade = rng.choice((20, 30, 40, 50, 60, 70))
    gender = pick("gender")
    beard = ("none",) if gender == "female" or rng.random() < 0.6 else (rng.choice(FIELDS["facial_hair"].values[1:]),)
    return Attributes(
        age=Age(decade, 120 if decade == 70 else decade + 9),
        gender=gender,
        ethnicity=(pick("ethnicity"),),
        hair_color=pick("hair_color"),
        hair_length=pick("hair_length"),
        hair_texture=pick("hair_texture"),
        fringe=pick("fringe"),
        facial_hair=beard,
        glasses=rng.choice(("none", "none", pick("glasses"))),
        headwear=rng.choice(("none", "none", pick("headwear"))),
        expression=(pick("expression"),),
        mouth=pick("mouth"),
        makeup=pick("makeup"),
        pose=pick("pose"),
        quality=pick("quality"),
        marks=tuple(rng.sample(FIELDS["marks"].values, rng.choice((1, 2)))),
    )
