"""Making a folder whole again: what cannot be used goes to `.quarantine/` with its row, nothing is deleted.

Order: rows are copied to `.quarantine/rows.jsonl`, then files are moved, then the table is rewritten at once. Killed in
between, the next repair finishes: a moved picture's row is then a missing picture's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .manifest import NAME, Manifest, Note, lines
from .verify import VerifyReport, verify
from .writers import only_writer

QUARANTINE = ".quarantine"
DROPPED = ("missing", "unreadable", "duplicate")  # their rows leave the table
MOST, FEW = 0.2, 10  # so many rows may go unasked: a disk that is not mounted must not empty a table
FOLDED = {"bad row", "repeated row", "torn row"}
MOVED = ("unreadable", "duplicate", "orphan")  # their files leave the folder


@dataclass
class Repair:
    """What was done: rows dropped and files moved, by reason; `before` is the report that it was done after."""

    folder: str
    before: VerifyReport
    rows: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    left: int = 0  # rows in the table

    def to_dict(self) -> dict[str, Any]:
        return {
            "folder": self.folder, "rows_dropped": self.rows, "files_moved": self.files, "rows_left": self.left,
            "quarantine": str(Path(self.folder) / QUARANTINE), "before": self.before.to_dict(),
        }  # fmt: skip


def repair(
    folder: str | Path, progress: Callable[[int], None] = lambda done: None, most: float = MOST, **options: Any
) -> Repair:
    """Verify, then drop rows of missing, unreadable and duplicate pictures and move their files and the orphans away.

    Repeated and torn rows are folded; bad rows go to the quarantine as they are. Empty captions, wrong sizes, changed
    pictures and names are left: they need a decision. `options` are `verify`'s. Raises `UsageError` without a table,
    while something writes to the folder, and when more than the share `most` of the rows would go.
    """
    manifest = Manifest(folder)
    if manifest.exists() and not manifest.path.is_file():
        raise UsageError(f"{folder} has only a csv table: turn it into {NAME} first")
    with only_writer(manifest.folder):  # a running `prepare` has pictures whose rows come in a moment
        troubles: dict[str, str] = {}

        def remember(kind: str, name: str) -> None:
            if kind in DROPPED or kind in MOVED:
                troubles.setdefault(name, kind)

        before = verify(folder, progress=progress, found=remember, **options)
        done = Repair(str(folder), before, left=before.rows)
        gone = sum(kind in DROPPED for kind in troubles.values())
        if gone > max(FEW, most * before.rows):
            raise UsageError(
                f"{gone:,} of {before.rows:,} rows would go: look at the report of `likeness data verify` first; "
                "if they really should, raise `most`"
            )
        if troubles or set(before.counts) & FOLDED:
            _repair(manifest, troubles, done)
        return done


def _repair(manifest: Manifest, troubles: dict[str, str], done: Repair) -> None:
    place = manifest.folder / QUARANTINE
    place.mkdir(exist_ok=True)
    doomed = {name: kind for name, kind in troubles.items() if kind in DROPPED}
    bad: list[Note] = []
    with open(place / "rows.jsonl", "a", encoding="utf-8", errors="replace") as file:
        for record in manifest.records(lambda note: bad.append(note) if note.kind == "bad" else None):
            if kind := doomed.get(record.file_name):
                done.rows[kind] = done.rows.get(kind, 0) + 1
                file.write(json.dumps({"reason": kind, "row": record.to_dict()}) + "\n")
        for note, raw in _raw(manifest.path, bad):
            done.rows["bad"] = done.rows.get("bad", 0) + 1
            file.write(json.dumps({"reason": f"{note.where}: {note.reason}", "raw": raw}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    for name, kind in troubles.items():
        if kind in MOVED and _move(manifest.folder, name, place):
            done.files[kind] = done.files.get(kind, 0) + 1
    done.left = manifest.fold(lambda r: None if r.file_name in doomed else r, lambda note: None, wait=None)


def _move(folder: Path, name: str, place: Path) -> bool:
    source = folder / name
    real = os.path.realpath(source.parent)
    if not os.path.lexists(source) or os.path.commonpath([real, os.path.realpath(folder)]) != os.path.realpath(folder):
        return False  # a folder that is a link: what lies there is somebody else's
    target = place / name
    number = 1
    while os.path.lexists(target):
        number += 1
        target = (place / name).with_stem(f"{Path(name).stem}-{number}")
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(source, target)
    return True


def _raw(path: Path, notes: list[Note]) -> Iterator[tuple[Note, str]]:
    """The lines of bad rows as they stand in the table, up to 100 kB of each."""
    wanted = {int(note.where.rpartition(" ")[2]): note for note in notes}
    with open(path, "rb") as file:
        for number, raw in lines(file, os.fstat(file.fileno()).st_size):
            if number in wanted:
                yield wanted[number], raw[:100_000].decode("utf-8", "replace").rstrip("\r\n")
