"""Whether a prepared folder is what its table says: every picture there, whole, described, and nothing beside it.

`verify` changes nothing. `repair` moves what cannot be used into `.quarantine/`, hidden in the same folder (readers of
folders pass it over), with the rows it had; nothing is deleted.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import BadImage, UsageError
from ..records import FaceRecord
from .columns import Columns
from .decode import inspect_bytes, read_bytes
from .manifest import CSV, Manifest, Note, hashed
from .names import IMAGES, misleading
from .paths import existing, pictures

KINDS = {
    "missing": "rows whose picture is not there",
    "orphan": "pictures without a row",
    "duplicate": "pictures that are byte for byte another one",
    "unreadable": "files that are no whole picture",
    "changed": "pictures whose sha256 is not the row's",
    "empty caption": "rows without a text",
    "wrong size": "pictures of another size than the rest",
    "bad row": "rows that cannot be used",
    "repeated row": "rows that a later row replaces",
    "torn row": "a last line cut short by a killed writer",
    "misleading name": "names that load_dataset takes for a split: rename, or merge into a new folder",
    "mixed column": "columns that hold values of different kinds, which load_dataset refuses",
    "stray table": "metadata.csv beside metadata.jsonl, which load_dataset refuses",
}
NOTED = {"bad": "bad row", "repeated": "repeated row", "torn": "torn row"}
EXAMPLES = 10
MOST = 0.9  # if this share of the pictures has one size, others are wrong
WINDOW = 64  # pictures in hand for each worker


@dataclass
class VerifyReport:
    """Counts and up to ten examples of each kind of trouble; `ok` if there is none."""

    folder: str
    rows: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    size: str | None = None  # the size that was expected, given or found
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    hashed: bool = True
    decoded: bool = True

    @property
    def ok(self) -> bool:
        return not any(self.counts.values())

    def add(self, kind: str, example: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        shown = self.examples.setdefault(kind, [])
        if len(shown) < EXAMPLES:
            shown.append(example)

    def to_dict(self) -> dict[str, Any]:
        return {"ok": self.ok} | asdict(self)


@dataclass(frozen=True)
class Seen:
    """What a look at one picture gave; `trouble` is (kind, reason)."""

    size: tuple[int, int] | None = None
    sha256: str | None = None
    trouble: tuple[str, str] | None = None


def verify(
    folder: str | Path,
    size: int | None = None,
    hashes: bool = True,
    decode: bool = True,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
    found: Callable[[str, str], None] = lambda kind, name: None,
) -> VerifyReport:
    """Check a folder. `size`: the wanted length of both sides in pixels; without it, the size that most pictures have.

    `hashes=False` finds no duplicates and no changed pictures; `decode=False` does not look for damaged pixels.
    `found(kind, name)` is told of every picture that is in trouble, of wrong sizes only the first. Raises `UsageError`
    without a table.
    """
    manifest = Manifest(folder)
    report = VerifyReport(str(folder), hashed=hashes, decoded=decode)
    if not manifest.exists():
        raise UsageError(f"{folder} has no metadata.jsonl: give a folder that `likeness data prepare` made")

    def trouble(kind: str, name: str, reason: str = "") -> None:
        report.add(kind, f"{name}: {reason}" if reason else name)
        found(kind, name)

    def note(note: Note) -> None:
        report.add(NOTED[note.kind], f"{note.where}: {note.reason}")

    if manifest.path.is_file() and (manifest.folder / CSV).is_file():
        report.add("stray table", CSV)
    digests, names, places = array("Q"), array("Q"), {IMAGES}
    sizes = Sizes(size)
    columns = Columns()
    for record, seen in _looks(manifest, note, hashes, decode, workers):
        report.rows += 1
        name = record.file_name
        names.append(hashed(name))
        places.add(top(name))
        digests.append(int(seen.sha256[:16], 16) if seen.sha256 else report.rows)
        columns.add(record.to_dict())
        if seen.trouble:
            trouble(seen.trouble[0], name, seen.trouble[1])
        elif seen.size:
            sizes.add(name, seen.size)
        for kind in _remarks(record, seen):
            trouble(kind, name)
        progress(report.rows)
    report.sizes, report.size = sizes.table(), sizes.expected()
    for name, shape in sizes.wrong():
        trouble("wrong size", name, shape)
    report.counts["wrong size"] = sizes.wrong_count()
    for path, kept in columns.mixed().items():
        report.add("mixed column", f"{path}: {' and '.join(kept)}")
    for name, first in _duplicates(manifest, digests):
        trouble("duplicate", name, f"the same as {first}")
    for name in _orphans(manifest.folder, names, places):
        trouble("orphan", name)
    report.counts = {k: n for k in KINDS if (n := report.counts.get(k))}
    return report


def _remarks(record: FaceRecord, seen: Seen) -> Iterator[str]:
    if seen.sha256 and record.sha256 and record.sha256.lower() != seen.sha256:
        yield "changed"
    if not record.text.strip():
        yield "empty caption"
    if misleading(record.file_name):
        yield "misleading name"


class Sizes:
    """How many pictures have which size, and examples of each, so that the odd ones can be named at the end."""

    def __init__(self, wanted: int | None) -> None:
        self.wanted = (wanted, wanted) if wanted else None
        self.counts: Counter[tuple[int, int]] = Counter()
        self.examples: dict[tuple[int, int], list[str]] = {}

    def add(self, name: str, size: tuple[int, int]) -> None:
        self.counts[size] += 1
        if len(self.examples) < 1000:
            shown = self.examples.setdefault(size, [])
            if len(shown) < EXAMPLES:
                shown.append(name)

    def _right(self) -> tuple[Any, Any] | None:
        if self.wanted:
            return self.wanted
        most = self.counts.most_common(1)
        return most[0][0] if most and most[0][1] >= MOST * self.counts.total() else None

    def expected(self) -> str | None:
        right = self._right()
        return f"{right[0]}x{right[1]}" if right else None

    def table(self) -> dict[str, int]:
        """The ten most frequent sizes."""
        return {f"{w}x{h}": n for (w, h), n in self.counts.most_common(10)}

    def wrong_count(self) -> int:
        right = self._right()
        return sum(n for size, n in self.counts.items() if right and size != right)

    def wrong(self) -> Iterator[tuple[str, str]]:
        right = self._right()
        odd = ((n, f"{s[0]}x{s[1]}") for s, names in self.examples.items() if right and s != right for n in names)
        return islice(odd, EXAMPLES)


def _looks(
    manifest: Manifest, note: Callable[[Note], None], hashes: bool, decode: bool, workers: int | None
) -> Iterator[tuple[FaceRecord, Seen]]:
    """Every record with what its picture shows, in order; a bounded number of pictures is in memory."""
    from PIL import Image

    Image.init()  # threads that do it at the same time see half of the formats
    records = manifest.records(note)
    many = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(many) as pool:  # decoding and hashing let other threads run
        while batch := list(islice(records, WINDOW * many)):
            seen = pool.map(lambda record: look(manifest.folder, record.file_name, hashes, decode), batch)
            yield from zip(batch, seen, strict=True)


def look(folder: Path, name: str, hashes: bool = True, decode: bool = True) -> Seen:
    """One picture: its size and sha256, or what is wrong with it. Never raises for a bad file."""
    digest = None
    try:
        data = read_bytes(existing(folder, name))
        digest = hashlib.sha256(data).hexdigest() if hashes else None
        picture = inspect_bytes(data)
        if decode:
            picture.draw()
        return Seen(picture.size, digest)
    except BadImage as error:
        kind = "missing" if error.reason == "missing" else "unreadable"
        return Seen(None, digest, (kind, error.detail or error.reason))
    except UsageError as error:  # a name that leads elsewhere
        return Seen(trouble=("unreadable" if os.path.lexists(folder / name) else "missing", str(error)))


def _duplicates(manifest: Manifest, digests: array[int]) -> Iterator[tuple[str, str]]:
    """(name, name of the first picture with the same bytes), in order of the table."""
    import numpy as np

    keys = np.frombuffer(digests, np.uint64) if digests else np.empty(0, np.uint64)
    values, times = np.unique(keys, return_counts=True)
    again = set(values[times > 1].tolist())
    if not again:
        return
    first: dict[int, str] = {}
    for key, record in zip(digests, manifest.records(_deaf), strict=False):
        if key in again:
            if key in first:
                yield record.file_name, first[key]
            else:
                first[key] = record.file_name


def top(name: str) -> str:
    """The folder that a name begins with; empty for one that lies beside the table."""
    return name.partition("/")[0] if "/" in name else ""


def _orphans(folder: Path, names: array[int], places: set[str]) -> Iterator[str]:
    """Pictures without a row, in the places where rows have theirs: a contact sheet beside the table is none."""
    import numpy as np

    known = np.sort(np.frombuffer(names, np.uint64)) if names else np.empty(0, np.uint64)
    for path, _ in pictures(folder):
        name = path.relative_to(folder).as_posix()
        key = np.uint64(hashed(name))
        at = int(np.searchsorted(known, key))
        if top(name) in places and (at >= len(known) or known[at] != key):
            yield name


def _deaf(note: Note) -> None:
    """The second reading of a table: everything has been told at the first."""
