"""Adherence: does a face show what its words say? Cases, sets and counts; pure, so that any answers can be scored."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.labels import read_faces
from ...grammar import describe
from ...records import Attributes, ImageRequest, Score
from ..formulas.intervals import balanced_accuracy
from .traits import Trait

FACES = Path(__file__).parents[2] / "assets" / "faces"
STYLES = ("paragraph", "sentence", "tags")


@dataclass(frozen=True)
class Case:
    """One test face and its caption. `seen` tells that its labels were looked at, not predicted."""

    index: int
    picture: Path
    attributes: Attributes
    caption: str
    seed: int
    seen: bool

    def request(self, model: str, steps: int | None = None, guidance: float | None = None) -> ImageRequest:
        return ImageRequest(self.caption, model=model, seed=self.seed, steps=steps, guidance=guidance)


def cases(folder: Path = FACES, seed: int = 0, limit: int | None = None) -> list[Case]:
    """One case for each test face, in the table's order; `limit` takes a seeded sample of them.

    A caption tells the whole label, what is absent included; the three styles take turns. Caption and noise of a face
    depend on `seed` and its place in the table only, so a limited run draws faces of the full one.
    """
    found = []
    for i, record in enumerate(read_faces(folder, "test")):
        attributes = record.attributes or Attributes()
        caption = describe(attributes, STYLES[i % len(STYLES)], seed + i)
        seen = (record.caption or {}).get("labelled") == "seen"
        found.append(Case(i, folder / record.file_name, attributes, caption, seed + i, seen))
    if limit is not None and limit < len(found):
        found = sorted(random.Random(seed).sample(found, limit), key=lambda case: case.index)
    return found


@dataclass(frozen=True)
class Adherence:
    """Hits and counts by answer for one trait. `faces` is drawn or real, `by` judge or eye, `sets` half or all."""

    trait: Trait
    faces: str
    by: str
    sets: str
    classes: tuple[tuple[str, int, int], ...]

    @property
    def count(self) -> int:
        return sum(count for _, _, count in self.classes)

    @property
    def chance(self) -> float:
        """What guessing gives."""
        return 1 / len(self.trait.answers)

    def score(self, protocol: str = "") -> Score:
        """Balanced accuracy. Raises `ValueError` when no answer has a case."""
        value, low, high = balanced_accuracy([(hits, count) for _, hits, count in self.classes])
        recalls = ", ".join(f"{name} {hits}/{count}" for name, hits, count in self.classes)
        which = {"half": "equal numbers with and without", "all": "all faces that the question is put to"}[self.sets]
        by = {"judge": "`judge`", "eye": "`eye` zero-shot"}[self.by]
        told = f"balanced accuracy of {self.trait.title} by {by}, {which}; right: {recalls}; interval: Wilson, combined"
        name = f"adherence/{self.trait.name}/{self.faces}/{self.by}/{self.sets}"
        return Score(name, value, low, high, self.count, f"{told}. {protocol}".strip())


def halves(truths: Sequence[int | None], seed: int = 0, name: str = "") -> list[int]:
    """Places of a prompt set with as many 0 as 1, in order: the rarer answer whole, a seeded sample of the other."""
    sides = [[i for i, truth in enumerate(truths) if truth == answer] for answer in (0, 1)]
    size = min(map(len, sides))
    generator = random.Random(f"{seed}/{name}")
    return sorted(i for side in sides for i in (side if len(side) == size else generator.sample(side, size)))


def adherence(
    trait: Trait, truths: Sequence[int | None], answers: Sequence[int], faces: str, by: str, seed: int = 0
) -> list[Adherence]:
    """Counts on all faces and, for two answers, on the half-and-half set; none where no face has an answer.

    `truths` and `answers` are places in `trait.answers`, by face; a truth of None leaves its face out.
    """
    wanted = {"all": [i for i, truth in enumerate(truths) if truth is not None]}
    if trait.binary:
        wanted = {"half": halves(truths, seed, trait.name)} | wanted
    found = []
    for sets, places in wanted.items():
        counted = []
        for answer, name in enumerate(trait.answers):
            of_it = [i for i in places if truths[i] == answer]
            counted.append((name, sum(answers[i] == answer for i in of_it), len(of_it)))
        if places:
            found.append(Adherence(trait, faces, by, sets, tuple(counted)))
    return found
