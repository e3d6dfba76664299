"""Prompts from end to end: draw the grid, let every judge answer, count; real faces beside, for what a judge can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...generate.generator import FaceGenerator
from ...generate.prompts import notes as said_of
from ...records import Score
from ..adherence.answers import Answers, Described, Found, Progress
from ..adherence.cases import FACES, Case, cases
from ..adherence.questions import question
from ..adherence.traits import Trait
from ..drawing import Drawn, Draws, draw
from ..evaluation import Stage
from ..formulas.confusion import Confusion
from ..formulas.intervals import wilson
from .grid import FIELDS, NEGATIONS, OPEN, PAIRS, Cell, negations, pairs, requests, singles


@dataclass(frozen=True)
class PromptSettings:
    """What is asked, and how it is drawn; None leaves a value to the model.

    `real`: real test faces that each judge is shown beside, a seeded sample; None: all for networks, none for
    captioners, which cost time or money; 0: none.
    """

    fields: tuple[str, ...] = FIELDS
    pairs: tuple[str, ...] = PAIRS
    negations: tuple[str, ...] = tuple(NEGATIONS)
    count: int = 20
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    real: int | None = None

    def cells(self) -> list[Cell]:
        """The grid. Raises `UsageError` for what cannot be asked."""
        found = singles(self.fields) + pairs(self.pairs) + negations(self.negations)
        if not found:
            raise UsageError("nothing is asked: name fields, pairs or negations")
        return found


@dataclass(frozen=True)
class Both:
    """Faces on which two attributes were asked at once. `expected`: what the two recalls alone would give, or None."""

    name: str
    by: str
    both: int
    first: int  # this one only
    second: int
    count: int
    expected: float | None

    def score(self, protocol: str) -> Score:
        low, high = wilson(self.both, self.count)
        beside = "" if self.expected is None else f"; the recalls of each alone, multiplied: {self.expected:.2f}"
        told = f"share of faces that {self.by} answers both of {self.name}{beside}; interval: Wilson. {protocol}"
        return Score(f"prompts/{self.name}/{self.by}", self.both / self.count, low, high, self.count, told)


@dataclass(frozen=True)
class Presence:
    """How often a thing is there. `asked`: open (not spoken of), without, negative (as a negative prompt)."""

    field: str
    asked: str
    by: str
    present: int
    count: int

    def score(self, protocol: str) -> Score:
        low, high = wilson(self.present, self.count)
        told = f"share of faces with {self.field} by {self.by}, asked: {self.asked}; interval: Wilson. {protocol}"
        name = f"prompts/{self.field}/{self.asked}/{self.by}"
        return Score(name, self.present / self.count, low, high, self.count, told)


@dataclass(frozen=True)
class PromptResult:
    """All counts of one run. `files`: the pictures of each cell, by its name."""

    model: str
    fingerprint: str
    confusions: tuple[Confusion, ...]
    pairs: tuple[Both, ...]
    negations: tuple[Presence, ...]
    protocol: tuple[str, ...]
    notes: tuple[str, ...]
    files: dict[str, tuple[Path, ...]]

    def scores(self) -> list[Score]:
        """Every number as a record that stands alone."""
        told = " ".join(self.protocol)
        found = [score for c in self.confusions if c.count for score in (c.score(told), *c.recalls(told))]
        return found + [one.score(told) for one in self.pairs] + [one.score(told) for one in self.negations]


def evaluate(
    model: str, output: str | Path, judges: Sequence[Answers], settings: PromptSettings | None = None, *,
    engine: Draws | None = None, faces: Path = FACES, stage: Stage = lambda name, total: lambda done: None,
) -> PromptResult:  # fmt: skip
    """Draw the grid into `output`/faces and judge it. What an earlier run drew there is taken.

    Raises `UsageError` for bad settings before anything is drawn.
    """
    settings = settings or PromptSettings()
    cells, engine = settings.cells(), engine or FaceGenerator(model)
    asked = requests(cells, settings.count, engine.spec.name, settings.seed, settings.steps, settings.guidance)
    folder = Path(output) / "faces"
    drawn = draw(engine, asked, folder, stage("drawing", len(asked)))
    files = dict(zip(asked, drawn.files, strict=True))
    confusions: list[Confusion] = []
    both: list[Both] = []
    presences: list[Presence] = []
    for by in judges:
        traits = [t for name in _fields(cells) if by.knows(t := question(name))]
        found = answered(by, drawn.files, traits, stage(f"{by.name}: drawn", len(files)))
        by_file = {t.field: dict(zip(files, found[t.field], strict=True)) for t in traits}
        ours = _singles(cells, by, settings.count, by_file)
        confusions += ours
        real = _sample(by, faces, settings)
        if real:
            confusions += _real(by, real, [t for t in traits if t.field in settings.fields], stage)
        both += _pairs(cells, by, settings.count, by_file, ours)
        presences += _negations(cells, by, settings.count, by_file)
    shown = {c.name: tuple(files[f"{c.slug}/{i:03d}"] for i in range(settings.count)) for c in cells}
    told = sorted({note for request in asked.values() for note in said_of(request.prompt, engine.spec)})
    return PromptResult(
        model, drawn.fingerprint, tuple(confusions), tuple(both), tuple(presences),
        protocol(model, settings, drawn, judges), tuple(told), shown,
    )  # fmt: skip


def answered(by: Answers, pictures: Sequence[Path], traits: Sequence[Trait], tick: Progress) -> Found:
    """A judge's answers; none, and nobody is bothered, where it knows none of the questions."""
    return by.answer(pictures, traits, tick) if traits else {}


def _fields(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(name for c in cells for name in (*c.wanted, c.absent) if name))


def _singles(
    cells: Sequence[Cell], by: Answers, count: int, answers: Mapping[str, Mapping[str, int | None]]
) -> list[Confusion]:
    found = []
    for name, given in answers.items():
        values = list(question(name).answers)
        asked = [c for c in cells if c.kind == "single" and name in c.wanted]
        truths = [values.index(c.wanted[name]) for c in asked for _ in range(count)]
        places = [f"{c.slug}/{i:03d}" for c in asked for i in range(count)]
        if asked:
            found.append(Confusion.of(name, "drawn", by.name, values, truths, [given[place] for place in places]))
    return found


def _sample(by: Answers, faces: Path, settings: PromptSettings) -> list[Case]:
    limit = (0 if isinstance(by, Described) else None) if settings.real is None else settings.real
    return [] if limit == 0 or not settings.fields else cases(faces, settings.seed, limit)


def _real(by: Answers, real: Sequence[Case], traits: Sequence[Trait], stage: Stage) -> list[Confusion]:
    """The same judge on real faces: the data set's own labels, and of the others those that were seen."""
    found = answered(by, [case.picture for case in real], traits, stage(f"{by.name}: real", len(real)))
    kept = []
    for trait in traits:
        truths = [trait.truth(case.attributes) if trait.given or case.seen else None for case in real]
        kept.append(Confusion.of(trait.field, "real", by.name, list(trait.answers), truths, found[trait.field]))
    return kept


def _pairs(
    cells: Sequence[Cell], by: Answers, count: int, answers: Mapping[str, Mapping[str, int | None]],
    alone: Sequence[Confusion],
) -> list[Both]:  # fmt: skip
    recalls = {(c.field, value): c.hits(value) for c in alone for value in c.values}
    found = []
    for cell in cells:
        if cell.kind != "pair" or not set(cell.wanted) <= set(answers):
            continue
        right = []
        for name, value in cell.wanted.items():
            place = list(question(name).answers).index(value)
            right.append([answers[name][f"{cell.slug}/{i:03d}"] == place for i in range(count)])
        one, other = right
        both = sum(a and b for a, b in zip(one, other, strict=True))
        single = [recalls.get(pair, (0, 0)) for pair in cell.wanted.items()]
        expected = single[0][0] / single[0][1] * single[1][0] / single[1][1] if all(n for _, n in single) else None
        found.append(Both(cell.name, by.name, both, sum(one) - both, sum(other) - both, count, expected))
    return found


def _negations(
    cells: Sequence[Cell], by: Answers, count: int, answers: Mapping[str, Mapping[str, int | None]]
) -> list[Presence]:
    found = []
    for cell in cells:
        if cell.absent in answers:
            values = list(question(cell.absent).answers)
            places = {values.index(value) for value in NEGATIONS[cell.absent].present}
            present = sum(answers[cell.absent][f"{cell.slug}/{i:03d}"] in places for i in range(count))
            found.append(Presence(cell.absent, cell.kind, by.name, present, count))
    return found


def protocol(model: str, settings: PromptSettings, drawn: Drawn, judges: Sequence[Answers]) -> tuple[str, ...]:
    """How these numbers were made, in sentences."""
    lines = [
        f"{settings.count} faces for each cell; face i of every cell from the noise of seed {settings.seed} + i. A "
        "prompt says what is asked and a gender, which takes turns; wording by the grammar, in three styles by turns.",
        f"Model {model}, fingerprint {drawn.fingerprint[:16]}: {drawn.settings}.",
        "Truth is what the prompt says; no answer is a miss. Facial hair is asked of men.",
        *(f"By {by.name}: {by.told}." for by in judges),
        "Real faces: the shipped test faces, which no model here was trained on; the data set's own labels for gender, "
        "age and ethnicity, for the rest only labels that were seen. A judge errs on them too: read a recall beside "
        "its recall there.",
    ]
    if settings.negations:
        lines.append(
            f"Negation: the same bare prompt alone ({OPEN}), with words such as 'without glasses', and with the thing "
            "as a negative prompt. Where an open prompt hardly shows it, nothing is tested."
        )
    return tuple(lines)


def to_dict(found: PromptResult) -> dict[str, Any]:
    """Plain JSON."""
    from dataclasses import asdict

    return {
        "model": found.model, "fingerprint": found.fingerprint, "protocol": found.protocol, "notes": found.notes,
        "scores": [asdict(score) for score in found.scores()], "confusions": [c.to_dict() for c in found.confusions],
        "pairs": [asdict(one) for one in found.pairs], "negations": [asdict(one) for one in found.negations],
    }  # fmt: skip
