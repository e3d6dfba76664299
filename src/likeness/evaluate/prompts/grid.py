"""A grid of prompts: one attribute at a time, two at once, and things that shall not be there; N faces for each cell.

A cell says nothing but what it asks for and a gender, which takes turns where it is not asked for. The wording is the
grammar's, in three styles by turns. Face i of every cell starts from the noise of seed + i, so that two cells differ in
their words alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...errors import UsageError
from ...grammar import describe
from ...records import ImageRequest
from ..adherence.cases import STYLES
from ..adherence.questions import attributes, question

FIELDS = (
    "gender", "age", "ethnicity", "hair_color", "hair_length", "facial_hair", "expression", "glasses", "headwear",
)  # fmt: skip
PAIRS = (
    "glasses=eyeglasses+headwear=hat", "glasses=sunglasses+expression=smiling",
    "glasses=eyeglasses+facial_hair=full beard",
    "ethnicity=East Asian+hair_color=blond", "ethnicity=Black+hair_color=red", "age=70++hair_color=black",
    "gender=female+hair_length=very short", "gender=male+hair_length=long",
)  # fmt: skip


@dataclass(frozen=True)
class Negation:
    """How people say that a thing shall not be there, the same as a negative prompt, and the answers that are it."""

    ways: tuple[str, ...]
    unwanted: str
    present: tuple[str, ...]


NEGATIONS: dict[str, Negation] = {
    "glasses": Negation(
        ("without glasses", "with no glasses", "not wearing glasses"), "glasses, eyeglasses, sunglasses",
        ("eyeglasses", "sunglasses"),
    ),
    "facial_hair": Negation(
        ("without a beard", "with no facial hair", "without a moustache or a beard"), "beard, moustache, facial hair",
        ("moustache", "goatee", "full beard"),  # stubble is none to some: it takes no side
    ),
    "headwear": Negation(
        ("without a hat", "wearing no hat", "with nothing on the head"), "hat, cap, headscarf, headwear",
        ("hat", "cap", "headscarf", "turban"),
    ),
}  # fmt: skip
GENDERS = ("female", "male")
OPEN, WITHOUT, NEGATIVE = "open", "without", "negative"


@dataclass(frozen=True)
class Cell:
    """One place of the grid. `wanted`: values by field that its prompts ask for; `absent`: a negation's field."""

    kind: str  # single, pair, open, without, negative
    wanted: dict[str, str] = field(default_factory=dict)
    absent: str = ""

    @property
    def name(self) -> str:
        said = "+".join(f"{f}={v}" for f, v in self.wanted.items()) or self.absent
        return f"{self.kind} {said}".strip()

    @property
    def slug(self) -> str:
        """Its folder. Open prompts say nothing but a gender: those of two fields are the same pictures."""
        name = f"{OPEN} {self._only or ''}".strip() if self.kind == OPEN else self.name
        return "".join(c if c.isalnum() or c in "=+-" else "_" for c in name)

    @property
    def _only(self) -> str | None:
        """The one gender that this is asked of."""
        return next((limit for name in (*self.wanted, self.absent) if name and (limit := question(name).gender)), None)

    def person(self, i: int) -> dict[str, str]:
        """What face i is said to be: the wanted values, and a gender, which takes turns unless the cell settles it."""
        return {"gender": self._only or GENDERS[i % 2]} | self.wanted

    def request(self, i: int, seed: int, model: str, steps: int | None, guidance: float | None) -> ImageRequest:
        """The prompt of face i, and its noise."""
        person, turn, negative = self.person(i), i // 2, ""  # two genders share a wording
        if self.absent:
            said = NEGATIONS[self.absent]
            text = "a woman" if person["gender"] == "female" else "a man"
            text += f" {said.ways[turn % len(said.ways)]}" if self.kind == WITHOUT else ""
            negative = said.unwanted if self.kind == NEGATIVE else ""
        else:
            text = describe(attributes(person), STYLES[turn % len(STYLES)], seed + i)
        return ImageRequest(text, negative, model=model, seed=seed + i, steps=steps, guidance=guidance)


def singles(fields: Sequence[str] = FIELDS) -> list[Cell]:
    """A cell for every value of each field. Raises `UsageError` for an unknown field."""
    return [Cell("single", {name: value}) for name in fields for value in question(name).answers]


def pairs(texts: Sequence[str] = PAIRS) -> list[Cell]:
    """Cells of two attributes, written `glasses=eyeglasses+hair_color=blond`. Raises `UsageError` for another form."""
    return [Cell("pair", _pair(text)) for text in texts]


def _pair(text: str) -> dict[str, str]:
    # an age may end in a plus of its own: "age=70++hair_color=black"
    halves = [(text[:i], text[i + 1 :]) for i, c in enumerate(text) if c == "+" and "=" in text[i + 1 :]]
    for left, right in reversed(halves):
        (a, equal, b), (c, equals, d) = left.partition("="), right.partition("=")
        if equal and equals and a.strip() != c.strip() and "=" not in b + d:
            wanted = {a.strip(): b.strip(), c.strip(): d.strip()}
            attributes(wanted)  # raises for a value that there is not
            return wanted
    raise UsageError(f"pair {text!r}: write two attributes such as glasses=eyeglasses+hair_color=blond")


def negations(fields: Sequence[str] = tuple(NEGATIONS)) -> list[Cell]:
    """For each field: what comes unasked, what comes in spite of "without", and in spite of a negative prompt."""
    if unknown := [name for name in fields if name not in NEGATIONS]:
        raise UsageError(f"no negation of {unknown[0]!r}: choose from {', '.join(NEGATIONS)}")
    return [Cell(kind, {}, name) for name in fields for kind in (OPEN, WITHOUT, NEGATIVE)]


def requests(
    cells: Sequence[Cell],
    count: int,
    model: str,
    seed: int = 0,
    steps: int | None = None,
    guidance: float | None = None,
) -> dict[str, ImageRequest]:
    """Requests by the names of their pictures: `count` for each cell, cell by cell."""
    if count < 1:
        raise UsageError(f"count must be 1 or more, not {count}")
    return {f"{c.slug}/{i:03d}": c.request(i, seed, model, steps, guidance) for c in cells for i in range(count)}
