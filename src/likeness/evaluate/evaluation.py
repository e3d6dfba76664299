"""The published protocol from end to end: draw a face for each test caption, judge them all, measure the distance."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..errors import UsageError
from ..generate.generator import FaceGenerator
from ..models.eye import ASSET as EYE
from ..models.eye import Eye
from ..models.judge import Judge
from ..records import Score
from ..runtime import choose
from . import floor as floors
from .adherence.cases import FACES, Adherence, Case, adherence, cases
from .adherence.traits import TRAITS
from .drawing import Drawn, Draws, draw
from .formulas.distances import frechet, frechet_deviation
from .formulas.intervals import Z95
from .formulas.moments import Moments
from .networks.features import RESIZED, SIZE, Judges, Progress, Sees, image_features, predictions

Stage = Callable[[str, int], Progress]  # told a name and a total, gives what is told of pictures done


@dataclass(frozen=True)
class Settings:
    """What a run may change. `limit` draws a seeded sample; None leaves a value to the model."""

    seed: int = 0
    limit: int | None = None
    steps: int | None = None
    guidance: float | None = None
    batch: int | None = None
    precision: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "steps", "batch"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UsageError(f"{name} must be 1 or more, not {value}")

    @property
    def published(self) -> bool:
        """Whether this is the protocol that a card may carry: every face, default settings."""
        return (self.seed, self.limit, self.steps, self.guidance) == (0, None, None, None)


@dataclass(frozen=True)
class Evaluation:
    """All numbers of one run. `distance` and `floor` are None where they could not be taken; `notes` say why."""

    model: str
    fingerprint: str
    settings: Settings
    count: int
    adherence: tuple[Adherence, ...]
    distance: Score | None
    floor: Score | None
    protocol: tuple[str, ...]
    notes: tuple[str, ...]
    drawn_now: int
    seconds_drawing: float
    seconds_measuring: float

    @property
    def complete(self) -> bool:
        return self.settings.published and self.distance is not None

    def scores(self) -> list[Score]:
        """Every number as a record that stands alone: the protocol is in each."""
        told = " ".join(self.protocol)
        distances = [score for score in (self.distance, self.floor) if score]
        return [a.score(told) for a in self.adherence] + distances


def evaluate(
    model: str,
    output: str | Path,
    settings: Settings | None = None,
    *,
    engine: Draws | None = None,
    eye: Sees | None = None,
    judge: Judges | None = None,
    faces: Path = FACES,
    floor: Path = floors.FLOOR,
    stage: Stage = lambda name, total: lambda done: None,
) -> Evaluation:
    """Measure `model` (what `FaceGenerator` takes) by the published protocol; faces are kept in `output`/faces.

    Faces that an earlier run left there are taken if model, request and precision are the same. Raises `UsageError`
    for bad settings and `ModelNotFound` for missing weights before anything is drawn.
    """
    settings = settings or Settings()
    engine = engine or FaceGenerator(model, settings.device, settings.precision, settings.batch)
    eye, judge = eye or Eye.load(runtime=choose(settings.device)), judge or Judge.load()
    everyone = cases(faces, settings.seed)
    asked = cases(faces, settings.seed, settings.limit)
    requests = {f"{c.index:04d}": c.request(engine.spec.name, settings.steps, settings.guidance) for c in asked}
    drawn = draw(engine, requests, Path(output) / "faces", stage("drawing", len(requests)))

    started = time.perf_counter()
    tick = stage("measuring", 2 * (len(asked) + len(everyone)))
    real_pictures = [case.picture for case in everyone]
    drawn_features, real_features = (image_features(eye, p, progress=tick) for p in (drawn.files, real_pictures))
    answers, real_answers = (predictions(judge, p, progress=tick) for p in (drawn.files, real_pictures))
    measured = _adherence(eye, "drawn", asked, drawn_features, answers, settings.seed)
    measured += _adherence(eye, "real", everyone, real_features, real_answers, settings.seed)
    distance, at_best, notes = _distances(drawn_features, real_features, Path(floor))
    return Evaluation(
        model, drawn.fingerprint, settings, len(asked), tuple(measured), distance, at_best,
        _protocol(model, settings, drawn, len(asked), len(everyone)), (*notes, *_limits(drawn)),
        drawn.new, drawn.seconds, time.perf_counter() - started,
    )  # fmt: skip


def _adherence(
    eye: Sees, faces: str, shown: list[Case], features: Tensor, probabilities: dict[str, Tensor], seed: int
) -> list[Adherence]:
    """Both networks' answers to all questions; a drawn face's truth is its caption, a real one's its label, if seen."""
    found = []
    for trait in TRAITS:
        truths = [trait.truth(c.attributes) if faces == "drawn" or trait.given or c.seen else None for c in shown]
        found += adherence(trait, truths, trait.judged(probabilities), faces, "judge", seed)
        found += adherence(trait, truths, trait.zero_shot(eye, features), faces, "eye", seed)
    return found


def _distances(drawn: Tensor, real: Tensor, floor: Path) -> tuple[Score | None, Score | None, list[str]]:
    """The drawn faces' distance to the real ones and its floor, at equal numbers of faces; and why one is missing."""
    distance = at_best = None
    notes = []
    n, reference = len(drawn), Moments.of(real)
    how = f"Frechet distance in `eye` features, {RESIZED}, of {n} faces to {len(real)} real test faces"
    try:
        value = frechet(Moments.of(drawn), reference)
        half = Z95 * frechet_deviation(drawn, reference)
        told = f"{how}; interval: 1.96 standard deviations by a grouped jackknife over the drawn faces, at this n"
        distance = Score("frechet/eye/drawn", value, max(0.0, value - half), value + half, n, told)
    except UsageError as error:
        notes.append(f"No Frechet distance: {error}.")
    try:
        weights = EYE / "model.safetensors"
        features = floors.read(floor, weights if floor == floors.FLOOR and weights.exists() else None)
        draws = floors.distances(features, reference, n)
        told = f"{how}; train faces that `eye` never saw, {n} of {len(features)}; mean and range of {len(draws)} draws"
        at_best = Score("frechet/eye/floor", sum(draws) / len(draws), min(draws), max(draws), n, told)
    except UsageError as error:
        notes.append(f"No floor: {error}.")
    return distance, at_best, notes


def _protocol(model: str, settings: Settings, drawn: Drawn, count: int, total: int) -> tuple[str, ...]:
    every = "each" if count == total else f"{count} (a seeded sample)"
    own = settings.steps is None and settings.guidance is None
    return (
        f"One face for {every} of the {total} test captions, the same faces for all scores. Captions: the grammar on "
        f"the full label, what is absent included, styles paragraph, sentence and tags in turn, seed {settings.seed} + "
        f"i; noise of face i: seed {settings.seed} + i.",
        f"Model {model}, fingerprint {drawn.fingerprint[:16]}, {'default' if own else 'not its default'} settings: "
        f"{drawn.settings}.",
        "Truth is what the caption says. Questions with two answers: every face with the rarer answer and a seeded "
        "sample of the others, half and half (all drawn: every face that the caption puts on one side). Ethnicity, "
        "age: every face. Values that take no side are left out.",
        "Real test faces, same rules: the data set's own labels for gender, age and ethnicity; for the rest only "
        "labels that were seen, not predicted.",
        "Balanced accuracy: mean recall over the answers; its interval combines the answers' 95 % Wilson intervals "
        "(Zou, Huang & Zhang 2009).",
        f"Pictures: {RESIZED}. Frechet distance: interval by grouped jackknife at this n; floor: {floors.DRAWS} draws "
        "of as many real train faces that `eye` never saw, mean and range.",
        "The labels are categories that people and networks assigned to strangers' photos, and they overlap: compare "
        "with the real faces, not with 1.",
    )


def _limits(drawn: Drawn) -> list[str]:
    if drawn.size == (SIZE, SIZE):
        return []
    width, height = drawn.size
    return [
        f"Faces of {width}x{height} px were scaled whole, not aligned by the eyes as the test faces are: their scores "
        "are not comparable with `mini`'s."
    ]
