"""English to Attributes. `parse` never fails: what it can't use it reports.

Policy
- Words about the photograph as such ("the image shows", "plain background"), hedges ("about", "slightly") and
  judgements that no picture can be held against ("attractive", "distinctive features") are understood and ignored.
  All other content words that add nothing to the attributes are reported, among them details without a field: a
  *black* beard.
- "Young" means 20-29, "middle-aged" 40-59, "old" 60 and over, "elderly" 70 and over; an exact age beats them.
- Minors: child, toddler, schoolgirl, teenager, "young girl" and the like give an age with `low` under 18 even
  beside an adult number; so does any number under 18, wherever it stands. "Boy" does, unless an adult number corrects
  it. "Girl" alone says female and no age. "Under 30" means 18-29: it is said of adults.
- Denials: "no beard" is facial hair "none" unless another kind is said to be there; "not smiling" is neutral.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..records import FIELDS, Age, Attributes
from .index import tokens
from .reader import Reader, Said

ADULT = 18
GENDERS = FIELDS["gender"].values
# Of two values of one field, the one that shows more; elsewhere the first that was said holds.
STRONGER = {
    "hair_length": ("bald", "tied back", "very short"),
    "mouth": ("teeth showing",),
    "fringe": ("side-swept",),
    "glasses": ("sunglasses",),
}
WEAKER = {"hair_color": "dyed"}
# What a denied value means; other denials say nothing.
DENIED = {
    ("expression", "smiling"): "neutral",
    ("expression", "laughing"): "neutral",
    ("mouth", "teeth showing"): "closed",
    ("mouth", "open"): "closed",
    ("mouth", "closed"): "open",
    ("eye_state", "open"): "closed",
    ("eye_state", "closed"): "open",
    ("hair_length", "some"): "bald",
}


@dataclass(frozen=True)
class Parsed:
    """What a text says, and the content words of it that were not understood, in their order, once each."""

    attributes: Attributes
    unknown: tuple[str, ...] = ()


def parse(text: str) -> Parsed:
    """Read a description of a person. Linear in the length of the text; raises nothing."""
    reader = Reader(tokens(text)).read()
    values: dict[str, object] = {name: _settled(name, reader.said) for name in FIELDS}
    values["gender"] = next(iter(reader.genders), None) or next((p for p in reader.pronouns if p in GENDERS), None)
    values["age"] = _age(reader)
    return Parsed(Attributes(**values), _in_order(reader))  # type: ignore[arg-type]


def _in_order(reader: Reader) -> tuple[str, ...]:
    places: dict[str, int] = {}
    for place, word in enumerate(reader.words):
        places.setdefault(word, place)
    return tuple(sorted(set(reader.unknown), key=lambda word: places.get(word, 0)))


def _settled(name: str, said: list[Said]) -> str | None | tuple[str, ...]:
    """One field's value or values out of all that was said and denied of it."""
    spec = FIELDS[name]
    here = [one for one in said if one.field == name]
    found = [one.value for one in here if not one.negated and one.value in spec.values]
    real = [value for value in found if value != "none"]
    if not real:
        denied = [one for one in here if one.negated]
        real = [DENIED[name, one.value] for one in denied if (name, one.value) in DENIED]
        if not real and "none" in spec.values and (denied or found):
            real = ["none"]
    if spec.many:
        return tuple(dict.fromkeys(real))
    for value in STRONGER.get(name, ()):
        if value in real:
            return value
    if len(set(real)) > 1 and name in WEAKER:
        real = [value for value in real if value != WEAKER[name]]
    return real[0] if real else None


def _age(reader: Reader) -> Age | None:
    exact = [age for kind, age in reader.ages if kind == "exact"]
    minor = [age for kind, age in reader.ages if kind == "minor"]
    vague = [age for kind, age in reader.ages if kind == "vague"]
    if "girl" in reader.words and any(age == Age(20, 29) for age in vague) and not exact:
        minor = minor or [Age(0, ADULT - 1)]
    if exact:
        age = next((age for age in exact if age.low < ADULT), exact[0])
        return age if age.high < ADULT else _narrowed(age, minor)
    if minor:
        minors = [age for age in vague if age.low < ADULT]
        return _narrowed(minor[0], minor[1:] + minors)
    return next((age for age in vague if age.low < ADULT), next(iter(vague), None))


def _narrowed(age: Age, others: list[Age]) -> Age:
    """The years that all agree on; where they contradict, the younger, since a rule on minors hangs on it."""
    for other in others:
        low, high = max(age.low, other.low), min(age.high, other.high)
        age = Age(low, high) if low <= high else min(age, other)
    return age
