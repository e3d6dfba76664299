"""The sides of a comparison: a model, with LoRAs or without, or a folder of pictures that somebody drew."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...generate.generator import FaceGenerator
from ...generate.loras import Weighted, check, split
from ...models.adapters import locate_lora
from ...models.registry import find
from ...provenance import digest
from ...records import ImageRequest
from ..drawing import draw
from .asked import Item

Stage = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True)
class Side:
    """Pictures in the order of the items. `told`: what drew them, for the protocol."""

    name: str
    files: tuple[Path, ...]
    told: str
    fingerprint: str = ""


@dataclass(frozen=True)
class Named:
    """A model and the LoRAs that it is drawn with."""

    model: str
    loras: tuple[Weighted, ...] = ()

    @property
    def label(self) -> str:
        model = Path(self.model).name if Path(self.model).exists() else self.model
        return " + ".join([model, *(f"{Path(name).name}:{weight:g}" for name, weight in self.loras)])


def named(text: str) -> Named:
    """`mini`, `mini+runs/glasses` or `sd21+one:0.8+two:0.5`. A path that exists is taken as it stands.

    Raises `UsageError` for a model or a LoRA that is not there, before anything is loaded.
    """
    model, *loras = [text] if Path(text).exists() else text.split("+")
    if not model.strip() or not all(lora.strip() for lora in loras):
        raise UsageError(f"{text!r} names no model: write a model, and LoRAs behind plus signs: mini+runs/glasses:0.8")
    one = Named(model.strip(), check(split(lora) for lora in loras))
    find(one.model)
    for lora, _ in one.loras:
        locate_lora(lora)
    return one


def draw_sides(
    models: Sequence[Named], items: Sequence[Item], output: Path, machine: Mapping[str, Any], stage: Stage
) -> list[Side]:
    """Every item drawn by every model with the item's seed, into a folder a side; what lies there already is taken.

    A side's folder is named by its weights, so another checkpoint beside it leaves its pictures alone, and a LoRA that
    was trained on is drawn anew. One model is in memory at a time. Raises `UsageError` when two sides would draw the
    same, and for a LoRA that does not fit, before its model draws anything.
    """
    if len(set(models)) < len(models):
        raise UsageError("a side is named twice: a comparison needs models, LoRAs or weights that differ")
    found: dict[Named, Side] = {}
    for model in dict.fromkeys(one.model for one in models):
        engine = FaceGenerator(model, **machine)
        ours = [one for one in models if one.model == model]
        requests = {one: _requests(one, items, engine) for one in ours}
        for one in [one for one in ours if one.loras]:
            with engine.session(next(iter(requests[one].values())), 1):
                pass  # a LoRA that does not fit says so now
        for one in ours:
            found[one] = _draw(one, requests[one], engine, output, stage)
    return _distinct([found[one] for one in models])


def folder_sides(folders: Sequence[Path], files: Sequence[tuple[Path, ...]]) -> list[Side]:
    """Folders as sides; the fingerprint is of the pictures."""
    return _distinct(
        [
            Side(folder.name, of, f"{len(of)} pictures of a folder", _digest_of(digest(file) for file in of))
            for folder, of in zip(folders, files, strict=True)
        ]
    )


def _requests(one: Named, items: Sequence[Item], engine: FaceGenerator) -> dict[str, ImageRequest]:
    return {item.name: replace(item.request, model=engine.spec.name, loras=one.loras) for item in items if item.request}


def _draw(one: Named, requests: Mapping[str, ImageRequest], engine: FaceGenerator, output: Path, stage: Stage) -> Side:
    loras = {name: digest(locate_lora(name)) for name, _ in one.loras}
    mark = _digest_of([one.model, *(f"{loras[name]}:{weight:g}" for name, weight in one.loras)])
    folder = output / "faces" / f"{re.sub(r'[^A-Za-z0-9.]+', '-', one.label)[:60]}-{mark[:8]}"
    drawn = draw(engine, requests, folder, stage(f"drawing {one.label}", len(requests)))
    hashes = "".join(f", LoRA {Path(name).name} SHA-256 {sha[:16]}" for name, sha in loras.items())
    told = f"fingerprint {drawn.fingerprint[:16]}{hashes}; {drawn.settings}"
    return Side(one.label, drawn.files, told, _digest_of([drawn.fingerprint, mark]) if loras else drawn.fingerprint)


def _digest_of(texts: Any) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _distinct(sides: list[Side]) -> list[Side]:
    """Names that tell the sides apart."""
    names = [side.name for side in sides]
    return [
        replace(side, name=f"{side.name} ({i + 1})") if names.count(side.name) > 1 else side
        for i, side in enumerate(sides)
    ]
