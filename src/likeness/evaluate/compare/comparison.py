"""A comparison from end to end: the same words and seeds for every side, everything that can be measured, its change.

found = compare_models("mini", ["mini+runs/glasses:0.8"], "prompts.csv", "out")
found.to_dict()["improvements"]["words/glasses/judge"]["percent"]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ModelNotFound, UsageError
from ...records import ImageRequest
from ..adherence.answers import Answers, Options, make
from ..adherence.cases import FACES
from ..audit.memorisation import split_of
from ..networks import catalogue as table
from ..networks.catalogue import Network
from ..networks.features import pictures
from ..networks.weights import missing as missing_weights
from ..pairs.checks import look
from . import pictures as picture_by_picture
from . import populations
from .asked import Item, from_folders, from_table, from_test_faces
from .measures import Found, Stage, scores_of, words
from .sides import Side, draw_sides, folder_sides, named

TRIED = ("clip-b32", "inception", "eye")  # networks that measure where nobody names any, if they are on this disk
TEST = "test"  # in a table's place: the captions of the shipped test faces


@dataclass(frozen=True)
class Settings:
    """What a run may change. `count`: pictures of each prompt; `limit`: the first so many prompts, or pairs of folders.

    No `networks`: those of `TRIED` that are here. `real`: faces for set distances (default: the shipped test faces);
    `references`: of folders, the real pictures of the same names; `train`: look for copies of these faces.
    """

    count: int = 1
    limit: int | None = None
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    judges: tuple[str, ...] = ("judge", "eye")
    networks: tuple[str, ...] = ()
    lpips: str = "alex"
    weights: Mapping[str, str | Path] = field(default_factory=dict)
    captioner: Mapping[str, Any] = field(default_factory=dict)
    real: Path | None = None
    references: Path | None = None
    train: Path | None = None
    held_out: Path | None = None
    cache: Path | None = None
    device: str | None = None
    precision: str | None = None
    batch: int | None = None

    def __post_init__(self) -> None:
        if self.lpips not in ("alex", "vgg"):
            raise UsageError(f"no trunk {self.lpips!r} of LPIPS: choose alex or vgg")
        if min(self.count, 1 if self.limit is None else self.limit) < 1:
            raise UsageError("count and limit must be 1 or more")


@dataclass(frozen=True)
class Tools:
    """What measures, loaded before anything is drawn."""

    judges: tuple[Answers, ...]
    networks: tuple[Network, ...]
    lpips: Any
    missing: Mapping[str, str]
    real: tuple[Path, ...]
    training: tuple[Path, ...]
    held_out: tuple[Path, ...]


@dataclass(frozen=True)
class Comparison:
    """Every side's pictures and numbers; the base is the first."""

    items: tuple[Item, ...]
    sides: tuple[Side, ...]
    found: Found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON. `finetuned_model` and `improvements` are those of the last side; `models` has all when more."""
        models = [self._side(number) for number in range(len(self.sides))]
        base, *others = models
        plain = {
            "base_model": base,
            "finetuned_model": {k: v for k, v in others[-1].items() if k != "improvements"},
            "improvements": others[-1]["improvements"],
            "not_measured": self.found.missing,
            "protocol": self.found.protocol,
            "notes": self.found.notes,
            "prompts": [self._item(i) for i in range(len(self.items))],
        }
        return finite(plain | ({"models": models} if len(others) > 1 else {}))

    def _side(self, number: int) -> dict[str, Any]:
        side, found = self.sides[number], self.found
        scores = {key: asdict(score) for key, score in scores_of(found.measures, number).items()}
        told: dict[str, Any] = {"name": side.name, "fingerprint": side.fingerprint, "drawn": side.told}
        told["scores"] = {key: {k: v for k, v in row.items() if k != "metric"} for key, row in scores.items()}
        told["shares_left_open"] = {
            name: {s.answer: {"value": s.value, "interval": s.interval, "count": s.count} for s in of[number]}
            for name, of in found.shares.items()
        }
        if number:
            told["improvements"] = {
                m.key: {"title": m.title, "more_is_better": m.higher, **asdict(m.changes[number - 1])}
                for m in found.measures
            }
        return told

    def _item(self, i: int) -> dict[str, Any]:
        item, found = self.items[i], self.found
        of = {side.name: found.failed[number][i] for number, side in enumerate(self.sides)}
        seed = item.request.seed if item.request else None
        return {"name": item.name, "prompt": item.prompt, "seed": seed, "asked": found.asked[i], "failed": of}


def compare_models(
    base: str, finetuned: Sequence[str], prompts: str | Path, output: str | Path, settings: Settings | None = None,
    stage: Stage = lambda name, total: lambda done: None,
) -> Comparison:  # fmt: skip
    """Draw every prompt with every model from the same seeds into `output`/faces, and measure.

    `prompts` is a table, or "test". Faces that an earlier run drew there are taken. Raises `UsageError` (missing
    models, LoRAs, tables and weights, a prompt that cannot be drawn) before anything is drawn.
    """
    s = settings or Settings()
    like = ImageRequest("", steps=s.steps, guidance=s.guidance, seed=s.seed, count=s.count)
    items = from_test_faces(like, s.limit) if prompts == TEST else from_table(prompts, like, s.limit)
    models = [named(text) for text in (base, *finetuned)]
    _enough(items, "pictures: give more prompts, or more of each with --count")
    _readable(item.reference for item in items if item.reference)
    tools = _prepare(s)
    machine = {"device": s.device, "precision": s.precision, "batch_size": s.batch}
    sides = draw_sides(models, items, Path(output), machine, stage)
    return _measured(items, sides, tools, s, [], Path(output), stage)


def compare_folders(
    base: Path, others: Sequence[Path], output: str | Path, prompts: str | Path | None = None,
    settings: Settings | None = None, stage: Stage = lambda name, total: lambda done: None,
) -> Comparison:  # fmt: skip
    """Measure the pictures that lie in all folders, matched by name. Raises `UsageError`, naming what is broken."""
    s = settings or Settings()
    folders = [base, *others]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("a folder is named twice: a comparison needs folders that differ")
    items, files, notes = from_folders(folders, prompts, s.references, s.limit)
    _enough(items, "picture whose name is in all folders")
    _readable([path for of in files for path in of] + [item.reference for item in items if item.reference])
    tools = _prepare(s)
    return _measured(items, folder_sides(folders, files), tools, s, notes, Path(output), stage)


def finite(value: Any) -> Any:
    """With None for numbers that JSON has no word for, and lists for tuples."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _prepare(s: Settings) -> Tools:
    loaded, missing = [], {}
    for name in s.networks or TRIED:
        spec = table.find(name)
        if not s.networks and not table.here(spec) and name not in s.weights and spec.file:
            missing[name] = f"{missing_weights(name, spec.file)}; --network {name} makes its absence an error"
        else:
            loaded.append(table.load(name, s.weights, s.device))
    lpips = None
    try:
        lpips = table.lpips(s.lpips, s.weights, s.device)
    except ModelNotFound as error:
        missing[f"lpips-{s.lpips}"] = str(error)
    options = Options(s.captioner, s.weights, s.device)
    inside = s.real / "images" if s.real and (s.real / "images").is_dir() else s.real
    return Tools(
        tuple(make(name, options) for name in dict.fromkeys(s.judges)), tuple(loaded), lpips, missing,
        tuple(Path(p) for p in (pictures(inside) if inside else split_of(FACES, "test"))),
        tuple(split_of(s.train, "train")) if s.train else (),
        tuple(split_of(s.held_out or FACES, "test")) if s.train else (),
    )  # fmt: skip


def _measured(
    items: Sequence[Item], sides: Sequence[Side], tools: Tools, s: Settings, notes: Sequence[str], output: Path,
    stage: Stage,
) -> Comparison:  # fmt: skip
    found = Found(notes=list(notes), missing=dict(tools.missing))
    if not any(item.prompt for item in items):
        found.missing["whether the words are followed"] = "no words are known for these pictures: give --prompts"
    words(found, items, sides, tools.judges, stage)
    for network in tools.networks:
        picture_by_picture.cosines(found, items, sides, network, stage)
    picture_by_picture.references(found, items, sides, tools.lpips, tools.networks, stage)
    for network in tools.networks:
        populations.sets(found, sides, tools.real, network, s.cache, stage)
        features = [network.features(list(side.files)) for side in sides]
        populations.diversity(found, sides, features, network)
        populations.groups(found, items, features, FACES, network, s.cache)
        found.protocol.append(f"Features of {network.name}: {network.told}.")
    if tools.training:
        network, cache = tools.networks[0], output / "training.safetensors"
        populations.copies(found, sides, network, tools.held_out, tools.training, cache, stage)
    else:
        found.missing["copies of training faces"] = "no training faces were given (--train)"
    found.protocol.append(_told(items, s))
    return Comparison(tuple(items), tuple(sides), found)


def _told(items: Sequence[Item], s: Settings) -> str:
    seeds = [item.request.seed for item in items if item.request and item.request.seed is not None]
    drawn = f"; every side drew them from the same seeds, {min(seeds)} to {max(seeds)}" if seeds else ""
    prompts = len({item.prompt for item in items if item.prompt})
    return (
        f"{len(items)} pictures of each side, {prompts} different prompts{drawn}. Intervals are 95 % and for these "
        "prompts; of 20 changes that are chance alone, about one looks better or worse."
    )


def _enough(items: Sequence[Item], what: str) -> None:
    if len(items) < 2:
        raise UsageError(f"{len(items)} {what}: one picture tells nothing of a difference, a comparison needs two")


def _readable(paths: Iterable[Path | None]) -> None:
    tick: Callable[[int], None] = lambda done: None  # noqa: E731
    for path, found in look([path for path in paths if path], tick).items():
        if found.problem:
            raise UsageError(f"{found.problem.rstrip('.')}: draw or fetch {path.name} again, or take it out")
