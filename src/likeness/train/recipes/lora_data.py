"""What a LoRA is trained on: which face comes when, how it is cut, and what is said of it.

Everything that is drawn is a pure function of (seed, position), so that a resumed run, and one spread over several
processes, sees what a single undisturbed one would.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ...config import suggest
from ...data.buckets import BucketBatches, Buckets
from ...data.dataset import opened, upright_size
from ...data.decode import read_bytes
from ...data.labels import read_faces
from ...data.manifest import Manifest
from ...data.paths import PICTURES, existing
from ...data.split import SAME
from ...data.transforms import Transform, as_pixels, generator, resized
from ...errors import UsageError
from ...grammar import mirror
from ...records import FIELDS, Age, Attributes, FaceRecord
from ..captions import caption
from ..latents import file_key
from ..sampler import Sampler

HELD_OUT_AT_MOST = 10  # one in so many faces, where the folder has no validation split of its own


@dataclass(frozen=True)
class Face:
    """A picture and what is known of it."""

    path: Path
    text: str = ""
    attributes: Attributes | None = None


@dataclass(frozen=True)
class Draw:
    """One training sample: a face, the place of its crop in [0, 1)², whether it is mirrored, its words."""

    face: int
    at: tuple[float, float]
    mirrored: bool
    text: str
    variant: str = ""  # names a crop that can be cached; empty: it comes once


def members(data: str) -> list[tuple[Path, float]]:
    """`"faces:2,more:1"` -> folders with the weight of each of their faces, 1 if none is said. Raises `UsageError`."""
    found = []
    for part in filter(None, (p.strip() for p in data.split(","))):
        folder, colon, weight = part.rpartition(":")
        number = _number(weight) if colon and not Path(part).exists() else None
        found.append((Path(folder), number) if number is not None else (Path(part), 1.0))
    if not found or any(weight <= 0 for _, weight in found):
        raise UsageError(f"--data {data!r}: name a folder, or several with weights above 0: faces:2,more:1")
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def load(
    folder: Path, split: str | None, where: Sequence[str], held_out: int, most: int | None = None
) -> tuple[list[Face], list[Face]]:
    """(to train on, held out) of a prepared folder, one with a label table, or one of bare pictures.

    Held out is the validation split if there is one, else a choice by the names' hashes, at most one face in ten; so
    are the `most` faces that are trained on. Raises `UsageError` when nothing is left.
    """
    if folder.is_dir() and not (folder / "labels.jsonl").exists() and not Manifest(folder).exists():
        names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
        records = [FaceRecord(name, "") for name in names if not any(part[0] == "." for part in Path(name).parts)]
    else:
        records = read_faces(folder)
    wanted = [_condition(text) for text in where]
    chosen = [r for r in records if all(r.attributes and test(r.attributes) for test in wanted)]
    splits = any(r.split for r in records)
    train = [r for r in chosen if not splits or split is None or r.split == split]
    if not train:
        what = f" with {', '.join(where)}" if where else ""
        raise UsageError(f"{folder} has no pictures{what} in its {split or 'whole'} split: check --data and --where")
    held = [r for r in chosen if r.split and SAME.get(r.split, r.split) == "val" and r.split != split][:held_out]
    order = sorted(train, key=lambda r: hashlib.sha256(r.file_name.encode()).hexdigest())
    if not held:
        cut = min(held_out, len(order) // HELD_OUT_AT_MOST)
        held, order = order[:cut], order[cut:]
    kept = {r.file_name for r in order[:most]}
    return _faces(folder, [r for r in train if r.file_name in kept]), _faces(folder, held)


def _faces(folder: Path, records: Iterable[FaceRecord]) -> list[Face]:
    return [Face(existing(folder, r.file_name), r.text, r.attributes) for r in records]


def _condition(text: str) -> Any:
    """`glasses=eyeglasses` -> a test of attributes; a range of ages holds those within it."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--where {text!r}: write field=value, such as glasses=eyeglasses")
    if name == "age":
        span = Age.parse(value)
        return lambda a: a.age is not None and span.low <= a.age.low and a.age.high <= span.high
    if name not in FIELDS:
        raise UsageError(f"--where {text!r}: no such field{suggest(name, ['age', *FIELDS])}")
    if value not in FIELDS[name].values:
        raise UsageError(f"--where {text!r}: no such value{suggest(value, list(FIELDS[name].values))}")
    return lambda a: value in getattr(a, name) if FIELDS[name].many else getattr(a, name) == value


class Words:
    """What is said of a face: its own text; else the instance prompt; else its attributes in fresh words.

    `variants` limits the fresh words to so many texts a face, which can be cached; 0 is no limit. Of the fields in
    `unsaid` the fresh words say nothing: what all faces share is then learnt as what goes without saying.
    """

    def __init__(
        self, faces: Sequence[Face], instance_prompt: str | None, variants: int, seed: int, unsaid: Sequence[str] = ()
    ) -> None:
        self.faces, self.instance_prompt, self.variants, self.seed = faces, instance_prompt, variants, seed
        if strange := [name for name in unsaid if name not in {f.name for f in fields(Attributes)}]:
            raise UsageError(f"unsaid: no field {strange[0]!r}{suggest(strange[0], list(FIELDS))}")
        self.unsaid: dict[str, Any] = {f.name: f.default for f in fields(Attributes) if f.name in unsaid}
        for face in faces:
            if not (face.text.strip() or instance_prompt or (face.attributes and face.attributes.said())):
                raise UsageError(
                    f"{face.path} has no caption: give --instance-prompt 'a photo of a person', or caption the folder"
                )

    def say(self, face: int, number: int, mirrored: bool) -> str:
        """`number` chooses among fresh texts."""
        own = self.faces[face].text.strip() or self.instance_prompt
        if own:
            return mirror(own) if mirrored else own
        known = self.faces[face].attributes or Attributes()
        if self.variants:
            number = random.Random(f"{self.seed} {self.faces[face].path.name} {number % self.variants}").getrandbits(32)
        return caption(replace(known, **self.unsaid), number, mirrored)[0]

    def all(self, flipped: bool) -> list[str] | None:
        """Every text that can be drawn, each once; None when they have no end."""
        if not self.variants and any(not (f.text.strip() or self.instance_prompt) for f in self.faces):
            return None
        numbers, sides = range(max(1, self.variants)), (False, True) if flipped else (False,)
        every = (self.say(f, n, m) for f in range(len(self.faces)) for n in numbers for m in sides)
        return list(dict.fromkeys(every))


class Cuts:
    """How faces are cut: the shape that each is given, the crop, and names for crops that come again."""

    def __init__(self, faces: Sequence[Face], transform: Transform, size: int, buckets: bool, crops: int) -> None:
        self.faces, self.transform, self.size, self.crops = faces, transform, size, crops
        self.buckets = Buckets(size) if buckets else None

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of every picture, by its header."""
        return [upright_size(f.path, str(f.path)) for f in self.faces]

    @cached_property
    def contents(self) -> list[str]:
        """SHA-256 of every file."""
        return [file_key(f.path) for f in self.faces]

    @property
    def repeatable(self) -> bool:
        """Whether there are so few crops of a face that they can be cached."""
        return self.transform.crop != "random" or self.crops > 0

    def shape(self, face: int) -> tuple[int, int]:
        """Width and height that a face is given."""
        return self.buckets.shape_for(*self.sizes[face]) if self.buckets else (self.size, self.size)

    def place(self, face: int, random_: np.ndarray) -> tuple[tuple[float, float], str]:
        """Three numbers in [0, 1) -> where the crop lies, and its name if it comes again."""
        if self.transform.crop != "random":
            return (0.5, 0.5), self.transform.crop
        if not self.crops:
            return (float(random_[0]), float(random_[1])), ""
        return self.spot(face, int(random_[2] * self.crops))

    def spot(self, face: int, number: int) -> tuple[tuple[float, float], str]:
        across, down = np.random.default_rng([int(self.contents[face][:12], 16), number]).random(2)
        return (float(across), float(down)), f"random-{number}"

    def every(self, face: int) -> list[tuple[tuple[float, float], str]]:
        """All crops of a face that can come; only if they are `repeatable`."""
        if self.transform.crop != "random":
            return [((0.5, 0.5), self.transform.crop)]
        return [self.spot(face, n) for n in range(self.crops)]

    def batches(self, size: int) -> Iterator[list[int]]:
        """Every face once, in batches of one shape."""
        for _, alike in groupby(sorted(range(len(self.faces)), key=self.shape), self.shape):
            faces = list(alike)
            yield from (faces[i : i + size] for i in range(0, len(faces), size))

    def pixels(self, face: int, at: tuple[float, float], mirrored: bool) -> Tensor:
        """(3, H, W) float32 in [-1, 1]."""
        path = self.faces[face].path
        picture, shape = opened(str(path), read_bytes(path)), self.shape(face)
        found = as_pixels(resized(picture, self.transform.box(picture.size, shape, *at), shape))
        return found.flip(-1) if mirrored else found

    def framing(self, face: int, at: tuple[float, float], mirrored: bool) -> tuple[tuple[int, int], tuple[int, int]]:
        """SDXL's conditioning: (height, width) of the original; (top, left) of the crop after resizing."""
        (width, height), shape = self.sizes[face], self.shape(face)
        left, top, right, bottom = self.transform.box((width, height), shape, *at)
        down, across = shape[1] / (bottom - top), shape[0] / (right - left)
        return (height, width), (round(top * down), round((width - right if mirrored else left) * across))


class Order:
    """Which face stands at a position of the endless stream; with buckets, positions of one batch have one shape.

    A face of weight 2 comes twice as often as one of weight 1; of equal weights, each comes once an epoch. A batch that
    its shape does not fill is filled up from its own start.
    """

    def __init__(
        self, weights: Sequence[float], seed: int, batch: int, shapes: Sequence[tuple[int, int]] | None = None
    ) -> None:
        uneven = len(set(weights)) > 1
        if shapes is not None and uneven:
            raise UsageError("aspect buckets cannot go with weights: give the folders one weight, or leave buckets out")
        self.sampler = Sampler(len(weights), 1, seed, np.array(weights) if uneven else None)
        self.buckets = BucketBatches(shapes, batch, seed) if shapes is not None else None
        self.batch = batch
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

    def face(self, position: int) -> int:
        if self.buckets is None:
            return self.sampler.indices(position)[0]
        number, offset = divmod(position, self.batch)
        epoch, number = divmod(number, len(self.buckets))
        if epoch != self._epoch[0]:
            self.buckets.set_epoch(epoch)
            self._epoch = (epoch, list(self.buckets))
        chosen = self._epoch[1][number]
        return chosen[offset % len(chosen)]


def draw(position: int, order: Order, cuts: Cuts, words: Words, seed: int, dropout: float) -> Draw:
    """The sample at a position: always the same numbers are drawn, whatever the settings."""
    random_ = generator(seed, position)
    numbers, said = random_.random(5), int(random_.integers(2**32))
    face, mirrored = order.face(position), bool(numbers[3] < cuts.transform.flip)
    at, variant = cuts.place(face, numbers)
    text = "" if numbers[4] < dropout else words.say(face, said, mirrored)
    return Draw(face, at, mirrored, text, variant)
