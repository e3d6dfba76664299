"""What is known about every picture, from all files of outcomes of a folder: 17 bytes a line, the texts stay on disk.

The newest caption of a picture counts, or that of a preferred member; a failure only where there is no caption, unless
somebody rejected the caption after it was written.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..data.manifest import BOM, Tell, hashed, parse
from ..errors import UsageError
from .ledger import CAPTIONS, HIDDEN, Source, checked, made_at, rows, sources

MISSING, AGAIN, FAILED, CAPTIONED = STATES = ("missing", "again", "failed", "captioned")
OFFSET = 48  # bits; the number of the file stands above them
PREFERRED = "preferred.json"
PREFER = 2  # rank of such captions; 1 of others, and of rejections; 0 of failures


@dataclass(frozen=True)
class Clash:
    """A picture that several files caption: `label`s of the files, the one whose text counts last."""

    name: str
    files: tuple[str, ...]
    differ: bool


class Index:
    """Made by `Index.read`. A context manager, because it holds files open."""

    def __init__(self, folder: Path, files: list[Source]) -> None:
        self.folder, self.files = folder, files
        self.keys, self.places = np.empty(0, np.uint64), np.empty(0, np.uint64)
        self.marks = np.empty(0, np.uint8)
        self._open: dict[int, BinaryIO] = {}

    @classmethod
    def read(cls, folder: str | Path, tell: Tell = lambda note: None, since: float = 0.0) -> Index:
        """Read every file of the folder; lines that cannot be used are told. `since`: what is older counts for nothing.

        Memory: 25 bytes a line, and as much again while they are sorted.
        """
        index = cls(Path(folder), sources(Path(folder)))
        keys, places, times, marks = array("Q"), array("Q"), array("d"), array("B")
        first = preferred(index.folder)
        for number, source in enumerate(index.files):
            rank = PREFER if label(source) in first else 1
            for offset, row in rows(source, index.folder, tell):
                if (made := made_at(row)) < since:
                    continue
                state = 3 if source.kind == CAPTIONS else 1 if row.get("again", True) else 2
                counts = source.kind == CAPTIONS or row["reason"] == "rejected"
                keys.append(hashed(row["file_name"]))
                places.append(number << OFFSET | offset)
                times.append(made)
                marks.append((rank if counts else 0) << 2 | state)
        if keys:
            index._sort(keys, places, times, marks)
        return index

    def _sort(self, keys: array[int], places: array[int], times: array[float], marks: array[int]) -> None:
        """By picture; of the lines about one, the one that counts comes last."""
        found, mark = np.frombuffer(keys, np.uint64), np.frombuffer(marks, np.uint8)
        order = np.lexsort((np.frombuffer(times), mark >> 2, found))  # stable: the later line of equal ones counts
        self.keys, self.places = found[order], np.frombuffer(places, np.uint64)[order]
        self.marks = mark[order]

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def __len__(self) -> int:
        """Lines."""
        return len(self.keys)

    def captioned(self) -> int:
        """Pictures that have a caption."""
        last = np.r_[self.keys[1:] != self.keys[:-1], True] if len(self) else np.empty(0, bool)
        return int(((self.marks & 3) == 3)[last].sum())

    def state(self, name: str) -> str:
        """One of `STATES`."""
        at = self._last(name)
        return MISSING if at < 0 else STATES[int(self.marks[at]) & 3]

    def row(self, name: str) -> dict[str, Any] | None:
        """The line that counts; None if there is none."""
        at = self._last(name)
        row = None if at < 0 else self._line(at)
        return row if row and row["file_name"] == name else None

    def preferred(self, name: str) -> bool:
        """Whether the line that counts is of a member whose captions count before newer ones."""
        at = self._last(name)
        return at >= 0 and int(self.marks[at]) >> 2 == PREFER

    def clashes(self) -> Iterator[Clash]:
        """Pictures that more than one file captions, with whether the texts differ. Reads the texts of those only."""
        captions = np.flatnonzero((self.marks & 3) == 3)
        keys = self.keys[captions]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.empty(0, int)
        ends = np.r_[starts[1:], len(keys)]
        for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
            found: dict[int, dict[str, Any]] = {}
            for at in captions[start:end]:
                number = int(self.places[at]) >> OFFSET
                found.pop(number, None)
                found[number] = self._line(int(at))
            if len(found) > 1:
                texts = {row["text"] for row in found.values()}
                names = tuple(label(self.files[number]) for number in found)
                yield Clash(self._line(int(captions[end - 1]))["file_name"], names, len(texts) > 1)

    def _last(self, name: str) -> int:
        key = np.uint64(hashed(name))
        at = int(np.searchsorted(self.keys, key, side="right")) - 1
        return at if at >= 0 and self.keys[at] == key else -1

    def _line(self, at: int) -> dict[str, Any]:
        place = int(self.places[at])
        number, offset = place >> OFFSET, place & ((1 << OFFSET) - 1)
        source = self.files[number]
        if number not in self._open:
            self._open[number] = open(source.path, "rb")
        file = self._open[number]
        file.seek(offset)
        return checked(parse(file.readline().removeprefix(BOM)), source.kind, self.folder)


def label(source: Source) -> str:
    """What a file is called: the member who sent it, or its name if it is the folder's own."""
    return source.owner or source.path.name


def preferred(folder: Path) -> set[str]:
    """Whose captions count before newer ones."""
    try:
        return set(json.loads((folder / HIDDEN / PREFERRED).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"cannot read {folder / HIDDEN / PREFERRED}: {error}. Delete it.") from None
