"""A folder of drawn faces with its index `metadata.jsonl` (ImageFolder), which can be stopped and gone on with.

A picture's row is written right behind the picture. Its `key` says what was asked for, so that the same command run
again draws only what is missing, also after a kill.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import UsageError
from ..files import read_jsonl, write_text
from ..provenance import UNTOUCHED, Marks, inputs_of, save_png
from ..records import ImageRequest, Sample

METADATA = "metadata.jsonl"


@dataclass(frozen=True)
class Planned:
    """One picture to come: its request (one seed), its key in the index, its place, and the name it was given."""

    request: ImageRequest
    key: str
    number: int
    name: str | None = None


def plan(
    requests: Sequence[ImageRequest], fingerprint: str, names: Sequence[str | None] | None = None
) -> list[Planned]:
    """Every picture of these requests, each under its own seed. Pictures that are asked for twice have two keys."""
    planned: list[Planned] = []
    seen = Counter[str]()
    for request, name in zip(requests, names or [None] * len(requests), strict=True):
        for i in range(request.count):
            one = replace(request, count=1, seed=None if request.seed is None else request.seed + i)
            called = name if name is None or request.count == 1 else f"{name.removesuffix('.png')}-{i + 1}.png"
            said = json.dumps([asdict(one), fingerprint, called], sort_keys=True)
            seen[said] += 1
            key = hashlib.sha256(f"{said} {seen[said]}".encode()).hexdigest()[:16]
            planned.append(Planned(one, key, len(planned) + 1, called))
    return planned


def missing(folder: str | Path, planned: Iterable[Planned]) -> list[Planned]:
    """Those whose picture is not in the folder yet."""
    there = {row.get("key") for row in _index(Path(folder)) if (Path(folder) / str(row.get("file_name"))).is_file()}
    return [one for one in planned if one.key not in there]


def pictures(folder: str | Path, planned: Iterable[Planned]) -> list[Path]:
    """Where the pictures are that the folder holds of these, in their order."""
    files = {row.get("key"): Path(folder) / str(row.get("file_name")) for row in _index(Path(folder))}
    return [files[one.key] for one in planned if one.key in files]


def others(folder: str | Path, planned: Iterable[Planned]) -> list[str]:
    """Names of the listed pictures that are none of these."""
    known = {one.key for one in planned}
    return [str(row.get("file_name")) for row in _index(Path(folder)) if row.get("key") not in known]


def seed_of(folder: str | Path) -> int | None:
    """The first seed of the pictures in a folder: a run without a seed of its own goes on from it."""
    return next((row["base_seed"] for row in _index(Path(folder)) if isinstance(row.get("base_seed"), int)), None)


def save_folder(
    folder: str | Path,
    samples: Iterable[Sample],
    tell: Callable[[Path, Sample], None] | None = None,
    planned: Sequence[Planned] | None = None,
    base_seed: int | None = None,
    marks: Marks | None = None,
) -> list[Path]:
    """Save pictures as `00001-<seed>.png` …, or as planned, and list each in `metadata.jsonl` as it comes.

    A folder that holds some already is added to; a listed picture is never written over. `tell` is called after each.
    Raises `UsageError` when the folder cannot be written.
    """
    folder, saved = Path(folder), []
    rows = _index(folder)
    if rows:  # without a line that was torn, and without pictures that are gone
        rows = [row for row in rows if (folder / str(row.get("file_name"))).is_file()]
        write_text(folder / METADATA, "".join(_line(row) for row in rows))
    taken = {str(row.get("file_name")) for row in rows}
    next_number = 1 + max(_numbers(folder, rows), default=0)
    for i, sample in enumerate(samples):
        entry = planned[i] if planned is not None else None
        name = entry.name if entry and entry.name else None
        number = entry.number if entry else next_number + i
        while name is None or name in taken:  # listed already: another command's picture
            name, number = f"{number:05d}-{sample.seed}.png", number + 1
        taken.add(name)
        path = save(folder / name, sample, marks)
        row = {"file_name": name, "text": sample.request.prompt, "seed": sample.seed}
        row |= {"key": entry.key} if entry else {}
        _append(folder / METADATA, row | ({"base_seed": base_seed} if base_seed is not None else {}))
        saved.append(path)
        if tell:
            tell(path, sample)
    return saved


def save(path: str | Path, sample: Sample, marks: Marks | None = None) -> Path:
    """One sample as a PNG with its recipe, and with `marks` what they say."""
    from .inpaint import without_watermark

    facts = sample.image.info.get("likeness", {})
    extra = {"drawn": facts} | {k: v for k, v in sample.image.info.items() if k == "mixture"}
    extra |= inputs_of(sample.request)
    marks = marks or UNTOUCHED
    image = without_watermark(sample.image, sample.request) if marks.watermark else sample.image
    return save_png(path, image, sample.request, sample.seed, sample.fingerprint, extra, marks)


def _index(folder: Path) -> list[dict]:
    return read_jsonl(folder / METADATA) if (folder / METADATA).is_file() else []


def _numbers(folder: Path, rows: list[dict]) -> Iterator[int]:
    """Of the listed pictures; one that a kill left unlisted is drawn again under the same name. Without a list, all."""
    names = [str(row.get("file_name")) for row in rows] or [p.name for p in folder.glob("[0-9]" * 5 + "-*.png")]
    return (int(name[:5]) for name in names if name[:5].isdigit() and name[5:6] == "-")


def _line(row: dict) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _append(path: Path, row: dict) -> None:
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}. Choose another output path.") from None
