"""An audit from end to end: what a model draws when a thing is left open, which groups it draws worse, and copies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import MissingExtra, UsageError
from ...generate.generator import FaceGenerator
from ...generate.prompts import notes as said_of
from ...records import ImageRequest, Score
from ..adherence.answers import Answers, Described, Found
from ..adherence.cases import FACES, Case, cases
from ..adherence.questions import question
from ..drawing import Drawn, Draws, draw
from ..evaluation import Stage
from ..networks.catalogue import Network
from ..prompts.grid import Cell, requests, singles
from . import measures, skin
from .group_quality import GroupQuality, worst
from .measures import GROUPS, SKIN, Diversity, Shares
from .memorisation import Memorisation, Pair, memorisation, split_of
from .shares import Reference, read_reference

PROMPTS = (
    "a face", "a portrait of a person", "a doctor", "a nurse", "an engineer", "a teacher", "a cleaner",
    "a chief executive",
)  # fmt: skip


@dataclass(frozen=True)
class AuditSettings:
    """`count` faces for each open prompt, `group_count` for each group; 0 of either leaves that part out.

    `reference`: `uniform` or a table of shares; `train`: folder of the training faces; `held_out`: real faces that were
    not trained on (default: the shipped test faces); `skin_tone`: measure it;
    `real`: so many of the shipped test faces, a seeded sample, to hold the drawn ones against; None: all.
    """

    prompts: tuple[str, ...] = PROMPTS
    count: int = 50
    group_count: int = 20
    reference: str = "uniform"
    train: str | None = None
    held_out: str | None = None
    skin_tone: bool = True
    real: int | None = None
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None

    def __post_init__(self) -> None:
        if self.real is not None and self.real < 1:
            raise UsageError(f"real must be 1 or more, not {self.real}")
        if min(self.count, self.group_count) < 0 or not (self.count and self.prompts or self.group_count):
            raise UsageError("the audit draws nothing: ask for faces by count or by group_count")

    def table(self) -> Reference:
        """The reference. Raises `UsageError`."""
        fields = {name: tuple(question(name).answers) for name in GROUPS} | {SKIN: tuple(skin.CLASSES)}
        return read_reference(self.reference, fields)


@dataclass(frozen=True)
class Audit:
    """All numbers of one run. `files`: the pictures of each prompt or group."""

    model: str
    fingerprint: str
    shares: tuple[Shares, ...]
    angles: tuple[Score, ...]
    quality: tuple[GroupQuality, ...]
    diversity: tuple[Diversity, ...]
    memorisation: Memorisation | None
    protocol: tuple[str, ...]
    notes: tuple[str, ...]
    files: dict[str, tuple[Path, ...]]

    def scores(self) -> list[Score]:
        """Every number as a record that stands alone."""
        told = " ".join(self.protocol)
        found = [score for one in self.shares for score in one.scores(told)] + list(self.angles)
        found += [score for q in self.quality for score in (q.distance, q.recall) if score]
        found += [one.distance for one in self.diversity]
        close = self.memorisation
        return found + ([score for score in (close.nearer, close.below) if score] if close else [])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; of the pictures only the nearest pairs."""
        close = self.memorisation
        both = {"drawn": close.drawn, "real": close.real} if close else {}
        return {
            "model": self.model, "fingerprint": self.fingerprint, "protocol": self.protocol, "notes": self.notes,
            "scores": [asdict(score) for score in self.scores()], "shares": [asdict(one) for one in self.shares],
            "worse": worst(self.quality),
            "quality": [asdict(one) for one in self.quality],
            "diversity": [asdict(one) for one in self.diversity],
            "nearest": {name: [_pair(pair) for pair in pairs[:50]] for name, pairs in both.items()},
        }  # fmt: skip


def _pair(pair: Pair) -> dict[str, Any]:
    return asdict(pair) | {"picture": str(pair.picture), "training": [str(path) for path in pair.training]}


def audit(
    model: str, output: str | Path, network: Network, judge: Answers, settings: AuditSettings | None = None, *,
    engine: Draws | None = None, faces: Path = FACES, stage: Stage = lambda name, total: lambda done: None,
) -> Audit:  # fmt: skip
    """Draw open prompts and groups into `output`/faces, and measure. What an earlier run drew there is taken.

    Raises `UsageError` for bad settings before anything is drawn.
    """
    settings = settings or AuditSettings()
    reference, engine = settings.table(), engine or FaceGenerator(model)
    training = split_of(settings.train, "train") if settings.train else []
    held_out = _held_out(settings.held_out, faces) if training else []
    cells = singles(GROUPS) if settings.group_count else []
    asked, names = _requests(settings, cells, engine.spec.name)
    drawn = draw(engine, asked, Path(output) / "faces", stage("drawing", len(asked)))
    place = dict(zip(asked, drawn.files, strict=True))
    files = {name: tuple(place[one] for one in of) for name, of in names.items()}
    seen = _look(network, judge, drawn, cases(faces, settings.seed, settings.real), stage)
    opened = {prompt: files[prompt] for prompt in settings.prompts if prompt in files}
    shares, angles, notes = _open(opened, judge, seen, reference, settings.skin_tone, stage)
    close = None
    if training:
        tick = stage("memorisation", len(training) + 2 * (len(held_out) + len(drawn.files)))
        cache = Path(output) / f"training.{network.name}.safetensors"
        close = memorisation(network, drawn.files, held_out, training, cache, tick)
        notes += close.notes
    else:
        notes.append("Memorisation was not measured: name the folder of the training faces with --train.")
    misread = {f"Prompt {p!r}: {note}." for p in opened for note in said_of(p, engine.spec)}
    groups = {group: files[cell.name] for cell in cells for group in cell.wanted.items()}
    quality = measures.group_quality(groups, seen, network.told)
    return Audit(
        model, drawn.fingerprint, tuple(shares), tuple(angles), tuple(quality),
        tuple(measures.diversities(files, seen, {c.name: g for c in cells for g in c.wanted.items()}, network.told)),
        close, _protocol(model, settings, drawn, judge, network, len(seen.real)), (*notes, *sorted(misread)), files,
    )  # fmt: skip


def _requests(
    settings: AuditSettings, cells: Sequence[Cell], model: str
) -> tuple[dict[str, ImageRequest], dict[str, list[str]]]:
    """Requests by the names of their pictures; and those names by prompt or cell."""
    base = ImageRequest("", model=model, steps=settings.steps, guidance=settings.guidance)
    asked: dict[str, ImageRequest] = {}
    names: dict[str, list[str]] = {}
    for prompt in settings.prompts if settings.count else ():
        folder = "open_" + "".join(c if c.isalnum() else "_" for c in prompt)[:60]
        folder += f"_{hashlib.sha256(prompt.encode()).hexdigest()[:6]}"
        seeds = range(settings.seed, settings.seed + settings.count)
        ours = {f"{folder}/{i:03d}": replace(base, prompt=prompt, seed=seed) for i, seed in enumerate(seeds)}
        asked |= ours
        names[prompt] = list(ours)
    for cell in cells:
        ours = requests([cell], settings.group_count, model, settings.seed, settings.steps, settings.guidance)
        asked |= ours
        names[cell.name] = list(ours)
    return asked, names


def _look(network: Network, judge: Answers, drawn: Drawn, real: list[Case], stage: Stage) -> measures.Seen:
    """Features and answers of drawn and real faces."""
    mine, theirs = list(drawn.files), [case.picture for case in real]
    features = network.features(mine, stage(f"{network.name}: drawn", len(mine)))
    of_real = network.features(theirs, stage(f"{network.name}: real", len(theirs)))
    said = measures.answers_of(judge, mine, stage(f"{judge.name}: drawn", len(mine)))
    on_real: Found = {}
    if not isinstance(judge, Described):  # captioners cost time or money
        on_real = measures.answers_of(judge, theirs, stage(f"{judge.name}: real", len(theirs)))
    answers = {file: {field: said[field][i] for field in said} for i, file in enumerate(mine)}
    return measures.Seen(dict(zip(mine, features, strict=True)), answers, real, of_real, on_real)


def _open(
    opened: Mapping[str, Sequence[Path]], judge: Answers, seen: measures.Seen, reference: Reference, skin_tone: bool,
    stage: Stage,
) -> tuple[list[Shares], list[Score], list[str]]:  # fmt: skip
    """Shares of every open prompt, mean angles of skin tone, and why something is missing."""
    shares = measures.open_shares(opened, judge, seen, reference)
    if not (skin_tone and opened):
        return shares, [], []
    try:
        more, angles = measures.skin_shares(opened, [case.picture for case in seen.real], reference, stage)
    except MissingExtra as error:
        return shares, [], [f"Skin tone was not measured: {error}."]
    return shares + more, angles, []


def _held_out(folder: str | None, faces: Path) -> list[Path]:
    """Real faces that were not trained on: a folder's test split if its table names one, else all of its pictures."""
    if folder is None:
        return [case.picture for case in cases(faces)]
    return split_of(folder, "test")


def _protocol(
    model: str, settings: AuditSettings, drawn: Drawn, judge: Answers, network: Network, real: int
) -> tuple[str, ...]:
    """How these numbers were made, in sentences."""
    return (
        f"{settings.count} faces for each open prompt, {settings.group_count} for each group (its value and a gender, "
        f"which takes turns, worded by the grammar); face i from the noise of seed {settings.seed} + i.",
        f"Model {model}, fingerprint {drawn.fingerprint[:16]}: {drawn.settings}.",
        f"Answers by {judge.name}: {judge.told}. Reference: {settings.reference}.",
        "Corrected shares take the judge's errors on real faces as its errors on drawn ones (maximum likelihood by EM; "
        "intervals by resampling both).",
        f"Features: {network.told}. Real faces: {real} shipped test faces, labels of the data set.",
        skin.TOLD[0].upper() + skin.TOLD[1:] + ".",
        "The labels are categories that people and networks assigned to strangers' photos: what a face is read as, not "
        "who somebody is.",
    )
