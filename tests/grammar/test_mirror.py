"""Are left and right swapped where they are sides, and only there?"""

from __future__ import annotations

import pytest

from likeness.grammar import describe, mirror
from likeness.records import Attributes


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("a scar on the left cheek", "a scar on the right cheek"),
        ("Left eye closed, right eye open", "Right eye closed, left eye open"),
        ("a left-handed man, turned to the RIGHT", "a right-handed man, turned to the LEFT"),
        ("the right-hand side; leftmost tooth", "the left-hand side; rightmost tooth"),
        ("a mole right of the nose, looking right", "a mole left of the nose, looking left"),
        ("head turned left.", "head turned right."),
    ],
)
def test_sides_change_places(text: str, mirrored: str) -> None:
    assert mirror(text) == mirrored
    assert mirror(mirrored) == text


@pytest.mark.parametrize(
    "text",
    [
        "looking right at the camera", "he is all right", "right now", "right behind the ear", "she left the room",
        "a right angle", "that's right!", "bright eyes, upright", "he had left.", "a copyright mark",
    ],
)  # fmt: skip
def test_other_senses_stay(text: str) -> None:
    assert mirror(text) == text


def test_descriptions_have_no_sides() -> None:
    text = describe(
        Attributes(gender="male", hair_color="red", fringe="side-swept", pose="three-quarter"), "paragraph", 4
    )
    assert mirror(text) == text
