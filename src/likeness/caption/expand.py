"""A few words become a detailed description, and other languages English.

    expand("Indian male, 30s").text     what was said stays; what was left open is filled in

What is left open is taken from one labelled face, drawn among those that match what was said, so that it goes together
as it does on people: grey hair with age, no beard on women. A few fields that no label tells come from a small table.
With an endpoint a language model writes, and is checked: what was said must be in its answer.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from .. import grammar
from ..data.labels import UNSAID, attributes_of
from ..data.sources.fairface import fairface_labels
from ..errors import UsageError
from ..records import FIELDS, Age, Attributes
from . import prompts
from .agreement import AGREES, CONFLICTS, verdict
from .chat import ask_once
from .endpoint import Endpoint
from .quality import clean, problem

ADULT = 18
DRAWN = (
    "age", "gender", "ethnicity", "hair_color", "hair_length", "hair_texture", "hairline", "fringe", "facial_hair",
    "expression", "mouth", "glasses", "headwear", "jewellery", "makeup", "marks",
)  # fmt: skip
# What no label tells: values as often as they are to come. People of one ethnicity have eyes of more than one colour,
# but few have blue ones outside of Europe.
UNLABELLED: dict[str, tuple[str, ...]] = {
    "face_shape": ("oval", "oval", "round", "square", "heart", "long"),
    "eye_color": ("brown",),
    "nose": ("straight", "small", "wide", "narrow"),
    "lips": ("full", "thin"),
}
EYES_OF = {
    "White": ("brown", "brown", "blue", "blue", "green", "hazel", "gray"),
    "Latino": ("brown", "brown", "brown", "hazel", "green"),
    "Middle Eastern": ("brown", "brown", "brown", "hazel", "green"),
}
# What cannot be beside a value: said or drawn (field, value) -> fields that are not drawn, a value that is not.
WITHOUT: dict[tuple[str, str], tuple[str, ...]] = {
    ("hair_length", "bald"): ("hair_color", "hair_texture", "hairline", "fringe"),
    ("gender", "female"): ("facial_hair",),
    ("headwear", "headscarf"): ("hair_color", "hair_length", "hair_texture", "hairline", "fringe"),
    ("headwear", "turban"): ("hair_color", "hair_length", "hair_texture", "hairline", "fringe"),
    ("glasses", "sunglasses"): ("eye_color",),
    ("eye_state", "closed"): ("eye_color",),
}
HAIR = ("hair_color", "hair_texture", "hairline", "fringe")
BREAK = re.compile(r"\s*[,.;:\n]+\s*|\s+(?:with|and|wearing|who)\s+", re.I)


@dataclass(frozen=True)
class Expanded:
    """`said` was read in the request, `added` was filled in; `notes` are for whoever asked."""

    text: str
    said: Attributes
    added: Attributes
    notes: tuple[str, ...] = ()


def expand(text: str, endpoint: Endpoint | None = None, style: str = "paragraph", seed: int = 0) -> Expanded:
    """A detailed description with all that `text` says; the same for the same `seed`, unless a model writes it.

    `style`: paragraph, sentence or tags, of the grammar. An age under 18 is given back as it came. Raises `UsageError`
    for an empty text.
    """
    if not text.strip():
        raise UsageError('nothing to expand: write a few words, such as "Indian male, 30s"')
    parsed = grammar.parse(text)
    said = parsed.attributes
    if said.age and said.age.low < ADULT:
        return Expanded(text, said, Attributes(), ("an age under 18: nothing was added",))
    notes: list[str] = []
    if endpoint:
        try:
            answer = _asked(text, parsed, endpoint)
            return Expanded(answer, said, _beyond(answer, said), (f"written by {endpoint.model_name}",))
        except UsageError as error:
            notes.append(f"{str(error).rstrip('.')}; the grammar wrote instead")
    added, note = fill(said, random.Random(f"{seed} {text}"))
    written = _written(text, parsed, added, style, seed)
    return Expanded(written, said, _beyond(written, said), (*notes, note))


def translate(text: str, endpoint: Endpoint | None = None) -> str:
    """The text in English, by a language model. Raises `UsageError` without one, or if it answers otherwise."""
    if endpoint is None:
        raise UsageError(
            "translating needs a language model: set LIKENESS_ENDPOINT and LIKENESS_MODEL (docs/captions.md), or write "
            "in English"
        )
    asked = prompts.load("translate").fill(text=text)
    answer = ask_once(endpoint, asked.system, asked.user, temperature=0.0).strip()
    wrong = problem(answer)
    if wrong and wrong[0] not in ("too short", "names"):
        raise UsageError(f"{endpoint.model_name} did not translate ({wrong[0]}: {wrong[1]}): write in English")
    return answer


def fill(said: Attributes, rng: random.Random) -> tuple[Attributes, str]:
    """What is left open, and a note on where it comes from."""
    faces, wrong = _matching(said)
    note = f"filled in from a labelled face, one of {len(faces):,} that match best"
    if wrong:
        note += f"; none of them matches in {' and '.join(wrong)}"
    face = faces[rng.randrange(len(faces))].said()
    open_: dict[str, Any] = {name: face[name] for name in DRAWN if name in face}
    ethnicity = said.ethnicity or open_.get("ethnicity", ())
    for name, values in UNLABELLED.items():
        if name == "eye_color" and len(ethnicity) == 1:
            values = EYES_OF.get(ethnicity[0], values)
        value = values[rng.randrange(len(values))]
        open_[name] = (value,) if FIELDS[name].many else value
    return _consistent(said, open_), note


def _consistent(said: Attributes, drawn: dict[str, Any]) -> Attributes:
    """What was drawn, less what was said already or does not go with the rest; what was said comes first."""
    kept: dict[str, Any] = {}
    fixed = said.said()
    hair = any(name in fixed for name in HAIR)
    for name, value in drawn.items():
        barred = {field for one in _pairs(fixed | kept) for field in WITHOUT.get(one, ())}
        if name in fixed or name in barred or (hair and (name, value) == ("hair_length", "bald")):
            continue
        hides = {field for one in _pairs({name: value}) for field in WITHOUT.get(one, ())}
        if hides & set(fixed):
            continue
        kept = {field: v for field, v in kept.items() if field not in hides} | {name: value}
    gender = fixed.get("gender", kept.get("gender"))
    told = {name: v for name, v in kept.items() if not any((*pair, gender) in UNSAID for pair in _pairs({name: v}))}
    return Attributes(**told)


def _pairs(values: dict[str, Any]) -> list[tuple[str, str]]:
    return [(n, str(one)) for n, value in values.items() for one in (value if isinstance(value, tuple) else (value,))]


@cache
def _faces() -> tuple[Attributes, ...]:
    """The labels of the shipped table's faces, those that were looked at: others are a small network's guesses."""
    return tuple(attributes_of(row) for row in fairface_labels().values() if row["labelled"] == "seen")


def _matching(said: Attributes) -> tuple[list[Attributes], list[str]]:
    """The labelled faces with the fewest contradictions to what was said, then the most agreement; and the fields that
    even they contradict.
    """
    wanted = {name: value for name, value in said.said().items() if name in DRAWN}
    judged: dict[tuple[bool, int, int], list[Attributes]] = {}
    decided = cache(verdict)  # few values, many faces
    for face in _faces():
        verdicts = {n: decided(n, v, there) for n, v in wanted.items() if (there := getattr(face, n)) not in (None, ())}
        wrong = sum(v == CONFLICTS for v in verdicts.values())
        rank = (verdicts.get("gender") == CONFLICTS, wrong, -sum(v == AGREES for v in verdicts.values()))
        judged.setdefault(rank, []).append(face)
    faces = judged[min(judged)]
    missed = [n for n, v in wanted.items() if all(_against(n, v, face) for face in faces)]
    return faces, [name.replace("_", " ") for name in missed]


def _against(name: str, value: Any, face: Attributes) -> bool:
    there = getattr(face, name)
    return there not in (None, ()) and verdict(name, value, there) == CONFLICTS


def _written(text: str, parsed: grammar.Parsed, added: Attributes, style: str, seed: int) -> str:
    """The grammar's text of all, with the parts of the request that it could not read; else the request with what was
    added behind it.
    """
    said = parsed.attributes
    whole = replace(said, **added.said())
    rest = [part for part in BREAK.split(text) if part and _words(part) & set(parsed.unknown)]
    for attempt in range(3):
        made = _joined(grammar.describe(whole, style, seed + attempt), rest, style)
        if keeps(made, parsed):
            return made
    return f"{text.strip().rstrip('.')}. {grammar.describe(added, style, seed)}"


def _joined(text: str, rest: list[str], style: str) -> str:
    if style == "tags":
        return ", ".join([text, *rest])
    tail = ", ".join(rest)
    return f"{text} {tail[:1].upper()}{tail[1:]}." if tail else text


def keeps(text: str, parsed: grammar.Parsed) -> bool:
    """Whether a text says all of a request: its attributes, a range of ages perhaps narrower, and its other words."""
    found = grammar.parse(text).attributes
    return set(parsed.unknown) <= _words(text) and all(
        _kept(value, getattr(found, name)) for name, value in parsed.attributes.said().items()
    )


def _kept(said: Any, found: Any) -> bool:
    if isinstance(said, Age):
        return isinstance(found, Age) and said.low <= found.low and found.high <= said.high
    return set(said) <= set(found) if isinstance(said, tuple) else bool(said == found)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+(?:['’][a-z]+)?", text.lower()))


def _beyond(text: str, said: Attributes) -> Attributes:
    """What a text says in fields that the request left open."""
    found = grammar.parse(text).attributes.said()
    return Attributes(**{name: value for name, value in found.items() if name not in said.said()})


def _asked(text: str, parsed: grammar.Parsed, endpoint: Endpoint) -> str:
    """The model's description. Raises `UsageError` where there is none, or one that does not keep what was said."""
    asked = prompts.load("expand").fill(text=text)
    answer = clean(ask_once(endpoint, asked.system, asked.user, temperature=0.7))
    if wrong := problem(answer):
        raise UsageError(f"{endpoint.model_name} wrote no description ({wrong[0]})")
    age = grammar.parse(answer).attributes.age
    if not keeps(answer, parsed) or (age and age.low < ADULT):
        raise UsageError(f"{endpoint.model_name} did not keep what was said")
    return answer
