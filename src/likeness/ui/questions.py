"""The form as a witness would be asked: sections, questions, and what must be asked first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# title of a section -> groups of the service's schema that it asks about; a group that is not here gets its own section
SECTIONS: dict[str, tuple[str, ...]] = {
    "The person": ("demographics",),
    "Hair": ("hair",),
    "Face shape": ("face",),
    "Eyes and brows": ("eyes",),
    "Nose and mouth": ("nose and mouth",),
    "Expression": ("expression",),
    "Accessories and marks": ("accessories", "marks"),
    "The picture": ("picture",),
}

QUESTIONS = {
    "age": "How old was the person, about?",
    "gender": "Man or woman?",
    "ethnicity": "How would you describe their ethnic appearance?",
    "skin_tone": "What skin tone?",
    "face_shape": "What shape was the face?",
    "cheeks": "Anything about the cheeks?",
    "hair_color": "What colour was the hair?",
    "hair_length": "How long was it?",
    "hair_texture": "Straight or curly?",
    "hairline": "What was the hairline like?",
    "fringe": "Did hair fall over the forehead?",
    "facial_hair": "Any beard or moustache?",
    "eye_color": "What colour were the eyes?",
    "eye_shape": "What were the eyes like?",
    "eye_state": "Were they open?",
    "brows": "What were the eyebrows like?",
    "nose": "What was the nose like?",
    "lips": "What were the lips like?",
    "mouth": "Was the mouth open?",
    "chin": "What was the chin like?",
    "expression": "What did the face show?",
    "glasses": "Glasses?",
    "headwear": "Anything on the head?",
    "jewellery": "Any jewellery?",
    "makeup": "Any make-up?",
    "marks": "Any lines, scars or other marks?",
    "occlusion": "Was anything in front of the face?",
    "pose": "From which side should the face be seen?",
    "quality": "How good should the photo be?",
}
WORDS = {"female": "Woman", "male": "Man"}  # values that people call something else
NONE = "none"
AGES = ("18-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")
ADULT, OLDEST = 18, 120


@dataclass(frozen=True)
class Question:
    """One row of the form. `many`: several answers may hold at once."""

    name: str
    asked: str
    values: tuple[str, ...]
    many: bool = False
    mandatory: bool = False


def sections(schema: dict[str, Any]) -> dict[str, list[Question]]:
    """Title -> questions, from the answer of `GET /v1/attributes`; the age stands first among the demographics."""
    groups = {str(g.get("name")): g for g in schema.get("groups", ())}
    own = {n: g.get("title") or n.capitalize() for n, g in groups.items() if not any(n in s for s in SECTIONS.values())}
    found: dict[str, list[Question]] = {}
    for title, names in {**SECTIONS, **{title: (name,) for name, title in own.items()}}.items():
        rows = [question(row) for name in names if name in groups for row in groups[name].get("fields", ())]
        if "demographics" in names:
            rows = [_age(schema), *(row for row in rows if row.name != "age")]
            rows.sort(key=lambda row: not row.mandatory)
        if rows:
            found[title] = rows
    return found


def question(row: dict[str, Any]) -> Question:
    name = str(row["name"])
    asked = QUESTIONS.get(name) or f"{label(name)}?"
    many = bool(row.get("many"))
    mandatory = bool(row.get("mandatory")) or name == "gender"
    return Question(name, asked, tuple(map(str, row.get("values", ()))), many, mandatory)


def label(value: str) -> str:
    """A value as it stands on its button."""
    value = WORDS.get(value, value).replace("_", " ")
    return value[:1].upper() + value[1:]


def single_none(before: list[str], after: list[str]) -> list[str]:
    """Answers without a contradiction: "none" gives way to what is chosen after it, and takes the place of the rest."""
    if NONE not in after or len(after) < 2:
        return after
    return [v for v in after if v != NONE] if NONE in before else [NONE]


def _age(schema: dict[str, Any]) -> Question:
    ages = schema.get("ages") or {}
    ranges = tuple(map(str, ages.get("ranges") or AGES)) if isinstance(ages, dict) else AGES
    return Question("age", QUESTIONS["age"], ranges, mandatory=True)
