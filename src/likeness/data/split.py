"""train / val / test: shares that hold for every attribute, the same everywhere, and never a near-duplicate across."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from ..config import suggest
from ..errors import UsageError
from ..records import FIELDS, FaceRecord
from .decode import open_image
from .manifest import Manifest
from .merge_rows import strictness
from .paths import existing
from .strata import Union, allot

SHARES = {"train": 0.9, "val": 0.05, "test": 0.05}
SAME = {"validation": "val", "valid": "val", "dev": "val", "eval": "test", "training": "train"}  # other names of splits
HASH = "phash"  # the key of a row that may hold its picture's `filters.phash` as 64 hex digits
GROUP = "group"  # the key of a row that says who is shown: one person stays in one split
EXAMPLES = 10
BATCH = 256

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SplitConfig:
    """`shares` need not add up to 1. `by`: attributes that every split should show alike. `radius`: bits of 256 in
    which near-duplicates may differ (see `filters`); None looks at equal bytes only. `again`: forget present splits.
    """

    shares: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    by: tuple[str, ...] = ("gender", "age", "ethnicity")
    seed: int = 0
    radius: int | None = 44
    again: bool = False

    def __post_init__(self) -> None:
        if not self.shares or any(v < 0 for v in self.shares.values()) or sum(self.shares.values()) <= 0:
            raise UsageError("shares: write numbers above 0, such as train=0.9 val=0.05 test=0.05")
        known = ["age", "source", *FIELDS]
        for name in self.by:
            if name not in known:
                raise UsageError(f"cannot stratify by {name!r}{suggest(name, known)}")


@dataclass
class SplitReport:
    """How the pictures were divided. `uneven`: the label whose share in a split is furthest from the whole's."""

    folder: str
    pictures: dict[str, int] = field(default_factory=dict)
    kept: int = 0  # had a split, and have it still
    moved: int = 0  # had a split, but a near-duplicate or the same person is in one that is held out more
    groups: int = 0  # of two pictures and more that must stay together
    largest_group: int = 0
    unhashed: int = 0  # pictures that could not be read
    labels: dict[str, dict[str, int]] = field(default_factory=dict)  # label -> split -> pictures
    uneven: str = ""
    examples: dict[str, list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Face:
    """What splitting needs to know of a row."""

    name: str
    labels: tuple[str, ...]
    split: str | None
    ties: tuple[Hashable, ...]  # whatever must stay together shares one of these
    hash: int | None


def split(
    folder: str | Path,
    config: SplitConfig | None = None,
    write: bool = True,
    progress: Progress = lambda stage, done, total: None,
) -> SplitReport:
    """Give every picture of a folder a split; those that have one keep it, unless `config.again`.

    Near-duplicates, equal bytes and pictures of one person (`group`) stay together; where present splits part them, all
    go to the one that is held out most. A pure function of the rows, their pictures and the config; the order of rows
    plays no part. `write=False` only tells.
    """
    config = config or SplitConfig()
    shares = {s: v / sum(config.shares.values()) for s, v in config.shares.items()}
    manifest = Manifest(folder)
    faces = sorted(_faces(manifest, config, progress), key=lambda face: _shuffled(face.name, config.seed))
    groups = together(faces, config.radius)
    report = SplitReport(str(folder))
    fixed = [None if config.again else _settled([faces[i].split for i in group]) for group in groups]
    labels = [Counter(label for i in group for label in faces[i].labels) for group in groups]
    given = allot(
        labels, [len(g) for g in groups], shares, [SAME.get(f, f) if f and f not in shares else f for f in fixed]
    )
    splits: dict[str, str] = {}
    for group, settled, dealt in zip(groups, fixed, given, strict=True):
        _tell(report, [faces[i] for i in group], settled or dealt, config)
        splits |= {faces[i].name: settled or dealt for i in group}
    report.uneven = _uneven(report)
    if write:
        manifest.fold(lambda r: replace(r, split=splits.get(r.file_name, r.split)))
    return report


def together(faces: list[Face], radius: int | None) -> list[list[int]]:
    """Groups of positions that must not be parted, single ones too, in the order of their first."""
    union = Union(len(faces))
    first: dict[Hashable, int] = {}
    for i, face in enumerate(faces):
        for tie in face.ties:
            union.join(first.setdefault(tie, i), i)
    if radius is not None:
        from .filters import Duplicates

        hashed = [i for i, face in enumerate(faces) if face.hash is not None]
        for group in Duplicates(radius).groups([h for face in faces if (h := face.hash) is not None]):
            for i in group[1:]:
                union.join(hashed[group[0]], hashed[i])
    return union.groups()


def labels_of(record: FaceRecord, by: Iterable[str]) -> tuple[str, ...]:
    """`gender: male`, `age: 20-29`, ... of a record; exact ages count for their decade."""
    said = record.attributes.said() if record.attributes else {}
    found: list[str] = []
    for name in by:
        if name == "source":
            found.append(f"source: {record.source or 'not said'}")
        elif name == "age" and (age := said.get("age")):
            found.append(f"age: {age.low // 10 * 10}s" if age.exact else f"age: {age}")
        elif (value := said.get(name)) is not None:
            found += [f"{name}: {v}" for v in (value if isinstance(value, tuple) else (value,))]
    return tuple(found)


def _faces(manifest: Manifest, config: SplitConfig, progress: Progress) -> Iterator[Face]:
    from PIL import Image

    Image.init()  # threads that do it at the same time see half of the formats
    total, done = manifest.count(), 0
    records = manifest.records()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        while batch := list(islice(records, BATCH)):
            hashes: Iterable[int | None] = [None] * len(batch)
            if config.radius is not None:
                hashes = pool.map(lambda record: perceptual(manifest.folder, record), batch)
            for record, found in zip(batch, hashes, strict=True):
                ties: list[Hashable] = [("sha256", record.sha256)] if record.sha256 else []
                if (who := record.extra.get(GROUP)) is not None:
                    ties.append((GROUP, record.source, str(who)))
                yield Face(record.file_name, labels_of(record, config.by), record.split or None, tuple(ties), found)
            done += len(batch)
            progress("comparing", done, total)


def perceptual(folder: Path, record: FaceRecord) -> int | None:
    """The row's perceptual hash if it has one, else the picture's; None if it cannot be read."""
    known = record.extra.get(HASH)
    if isinstance(known, str) and re.fullmatch("[0-9a-f]{64}", known):
        return int(known, 16)
    from .filters import phash

    try:
        return phash(open_image(existing(folder, record.file_name)))
    except UsageError:  # `verify` says what is wrong with it
        return None


def _settled(splits: list[str | None]) -> str | None:
    said = [s for s in splits if s]
    return min(said, key=lambda s: (strictness(s), s)) if said else None


def _shuffled(name: str, seed: int) -> bytes:
    return blake2b(f"{seed} {name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _tell(report: SplitReport, group: list[Face], given: str, config: SplitConfig) -> None:
    report.pictures[given] = report.pictures.get(given, 0) + len(group)
    report.largest_group = max(report.largest_group, len(group))
    if len(group) > 1:
        report.groups += 1
        shown = report.examples.setdefault("together", [])
        if len(shown) < EXAMPLES:
            shown.append(f"{given}: " + ", ".join(face.name for face in group[:5]))
    for face in group:
        report.unhashed += config.radius is not None and face.hash is None
        for label in face.labels:
            counts = report.labels.setdefault(label, {})
            counts[given] = counts.get(given, 0) + 1
        if face.split and not config.again:
            report.kept += face.split == given
            report.moved += face.split != given
            shown = report.examples.setdefault("moved", [])
            if face.split != given and len(shown) < EXAMPLES:
                shown.append(f"{face.name}: {face.split} -> {given}")


def _uneven(report: SplitReport) -> str:
    total, worst, said = sum(report.pictures.values()), -1.0, ""
    for label, counts in report.labels.items():
        everywhere = sum(counts.values()) / total
        for name, pictures in report.pictures.items():
            here = counts.get(name, 0) / pictures
            if abs(here - everywhere) > worst:
                worst, said = abs(here - everywhere), f"{label}: {here:.1%} of {name}, {everywhere:.1%} of all"
    return said
