"""What a preparation has done so far, so that a killed one goes on: one line an item, in the order of the sources.

The line is the commit: pictures are in place and rows appended before it is written, and it holds the table's length.
Whatever the table has beyond the last line is cut off when the work is taken up, and done again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import RecordError, UsageError
from ..files import DISK
from .decode import REASONS as UNREADABLE
from .manifest import lines, parse

EXAMPLES = 10
LISTED = 10_000  # pictures that could not be read, named in the report itself


@dataclass
class Tally:
    """Counts that the report is made of; the same whether the work was disturbed or not."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    quarantined: list[dict[str, str]] = field(default_factory=list)

    def add(self, entry: dict[str, Any]) -> None:
        """Count an item's line."""
        self.read += 1
        self.kept += entry["kept"]
        for reason, detail in entry["dropped"]:
            self.dropped[reason] += 1
            said = f"{entry['where']}: {detail}" if detail else entry["where"]
            if reason not in UNREADABLE and reason not in ("crashed", "too slow", "failed", "wrong eyes"):
                shown = self.examples.setdefault(reason, [])
                if len(shown) < EXAMPLES:
                    shown.append(said)
            elif len(self.quarantined) < LISTED:
                self.quarantined.append({"file": entry["where"], "reason": reason, "detail": detail})


class Journal:
    """The lines of an unfinished preparation. Opening it takes the table back to the last of them."""

    def __init__(self, path: Path, table: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self.done, end = self._recover(table.stat().st_size if table.exists() else 0)
            if table.exists():
                os.truncate(table, end)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}. Choose another folder.") from None

    def _recover(self, size: int) -> tuple[int, int]:
        """Cut off what is torn, and what the table does not have (a power cut); lines left, and the table's length."""
        count = end = good = 0
        with open(self.path, "rb") as file:
            for number, raw in lines(file, os.fstat(file.fileno()).st_size):
                try:
                    entry = parse(raw)
                    if not raw.endswith(b"\n") or entry["n"] != number - 1 or entry["end"] > size:
                        break
                except (RecordError, KeyError, TypeError):
                    break
                count, end, good = number, entry["end"], file.tell()
        os.ftruncate(self._file, good)
        return count, end

    def entries(self) -> Iterator[dict[str, Any]]:
        """The lines that were there when it was opened."""
        with open(self.path, "rb") as file:
            for number, raw in lines(file, os.fstat(file.fileno()).st_size):
                if number > self.done:
                    return
                yield parse(raw)

    def add(self, number: int, where: str, kept: int, dropped: list[tuple[str, str]], end: int) -> dict[str, Any]:
        """Commit an item. Raises `UsageError` when the disk is full."""
        entry = {"n": number, "where": where, "kept": kept, "dropped": [list(d) for d in dropped], "end": end}
        try:
            os.write(self._file, json.dumps(entry).encode() + b"\n")
        except OSError as error:
            if error.errno in DISK:
                raise UsageError(f"cannot write {self.path}: {error.strerror}. Make room and run it again.") from None
            raise
        return entry

    def left_out(self) -> Iterator[bytes]:
        """A JSON line for every item, or face of one, that was left out."""
        with open(self.path, "rb") as file:
            for _, raw in lines(file, os.fstat(file.fileno()).st_size):
                entry = parse(raw)
                for reason, detail in entry["dropped"]:
                    row = {"file": entry["where"], "reason": reason, "detail": detail}
                    yield json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"

    def close(self) -> None:
        os.close(self._file)
