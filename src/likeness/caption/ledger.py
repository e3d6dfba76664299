"""The files that captions go to as they come: `captions.<start>-<end>.jsonl`, and `failures.<start>-<end>.jsonl`.

One line an outcome, written at once at the end of the file, so that a killed run leaves at most one torn line: readers
pass it over and the next run cuts it off. Fsynced every `SYNC_SECONDS` of data/manifest.py and at the end: a kill loses
nothing that came back, a power cut at most the last seconds. A range has one writer, and overlapping ranges have too.

    {"file_name", "text", "attributes"?, "caption": {"captioner", …, "time"}, "confidence"?, "usage"?, "seconds"}
    {"file_name", "text": "", "reason", "detail", "again", "tries", "time"}
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..data.manifest import Appender, Note, Tell, lines, parse
from ..data.names import normal
from ..data.shard import Shard
from ..data.writers import only_writer
from ..errors import LikenessError, RecordError, UsageError
from ..records import Attributes, FaceRecord
from .captioner import Caption, Failure

HIDDEN = ".captions"  # locks, and what members sent
MEMBERS = "members"
CAPTIONS, FAILURES = "captions", "failures"
NAME = re.compile(rf"({CAPTIONS}|{FAILURES})\.(\d{{1,12}})-(\d{{1,12}})\.jsonl")
TURN = 30.0  # seconds to wait while another process looks which ranges are taken


@dataclass(frozen=True, order=True)
class Range:
    """Positions of rows in the table's order, from `start` up to, not including, `end`."""

    start: int
    end: int

    @classmethod
    def of(cls, total: int, start: int | None = None, end: int | None = None, shard: str | None = None) -> Range:
        """The range that somebody asks for in a table of `total` rows; an end beyond the last row is the last row.

        Raises `UsageError` for a range without rows, and for a shard beside a start or end.
        """
        if shard is not None:
            if start is not None or end is not None:
                raise UsageError("give --shard, or --start and --end, not both")
            mine = Shard.parse(shard).range(total)
            return cls(mine.start, mine.stop)
        start, end = start or 0, total if end is None else end
        if start >= total > 0:
            raise UsageError(f"no rows from {start}: the table has {total:,}, from 0 to {total - 1}")
        if start < 0 or end <= start and total:
            raise UsageError(f"no rows from {start} to {end}: --end must be greater than --start")
        return cls(start, min(end, total))

    @classmethod
    def parse(cls, text: str) -> Range:
        start, _, end = text.partition("-")
        return cls(int(start), int(end))

    def __len__(self) -> int:
        return max(0, self.end - self.start)

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"

    def overlaps(self, other: Range) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Source:
    """A file of outcomes. `owner`: the member who sent it; empty for this folder's own."""

    path: Path
    kind: str
    span: Range
    owner: str = ""


class Ledger:
    """Writes the outcomes of one range; whoever makes one holds `claimed`."""

    def __init__(self, folder: Path, span: Range) -> None:
        self.folder, self.span = folder, span
        self._open: dict[str, Appender] = {}
        self._file(CAPTIONS)  # a folder that cannot be written is found out before anything is paid for

    def caption(self, caption: Caption, facts: dict[str, Any]) -> None:
        """Write a caption. Raises `UsageError` when the disk is full; nothing of the line is left then."""
        extra: dict[str, Any] = {"confidence": caption.confidence} if caption.confidence else {}
        extra |= {"usage": asdict(caption.usage)} if caption.usage else {}
        extra["seconds"] = round(caption.seconds, 3)
        made = {**facts, **caption.facts, "time": now()}
        row = FaceRecord(caption.name, caption.text, caption.attributes, caption=made, extra=extra)
        self._file(CAPTIONS).append(row)

    def failure(self, failure: Failure, tries: int) -> None:
        facts = {"reason": failure.reason, "detail": failure.detail, "again": failure.again}
        row = FaceRecord(failure.name, extra={**facts, "tries": tries, "time": now()})
        self._file(FAILURES).append(row)

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _file(self, kind: str) -> Appender:
        if kind not in self._open:
            self._open[kind] = Appender(self.folder / f"{kind}.{self.span}.jsonl")
        return self._open[kind]


@contextlib.contextmanager
def claimed(folder: Path, span: Range) -> Iterator[None]:
    """Be the only one who captions these rows. Raises `UsageError` if a live process has any of them."""
    locks = folder / HIDDEN / "locks"
    with contextlib.ExitStack() as held:
        with only_writer(locks, TURN):
            try:
                for other in sorted(p for p in locks.iterdir() if p.is_dir()):
                    if Range.parse(other.name).overlaps(span) and other.name != str(span):
                        with only_writer(other):
                            pass
                held.enter_context(only_writer(locks / str(span)))
            except UsageError as error:
                raise UsageError(f"rows {span} cannot be captioned now: {error}") from None
        yield


def sources(folder: Path) -> list[Source]:
    """Every file of outcomes of a folder, its own first, then by member and range."""
    members = folder / HIDDEN / MEMBERS
    homes = {"": folder} | {p.name: p for p in (sorted(members.iterdir()) if members.is_dir() else []) if p.is_dir()}
    return [source for owner, home in homes.items() for source in found(home, owner)]


def found(home: Path, owner: str = "") -> list[Source]:
    """The files of outcomes that lie in a folder, or the file itself; sorted by kind and range."""
    paths = sorted(home.iterdir()) if home.is_dir() else [home]
    named = [(p, NAME.fullmatch(p.name)) for p in paths if p.is_file()]
    made = [Source(p, m[1], Range(int(m[2]), int(m[3])), owner) for p, m in named if m]
    return sorted(made, key=lambda s: (s.kind, s.span))


def rows(source: Source, folder: Path, tell: Tell) -> Iterator[tuple[int, dict[str, Any]]]:
    """(byte offset, row) of every line that can be used; the others are told. Memory: one line.

    The file may be growing: what is written after the start is left out.
    """
    try:
        with open(source.path, "rb", buffering=1 << 20) as file:
            for number, raw in lines(file, os.fstat(file.fileno()).st_size):
                try:
                    yield file.tell() - len(raw), checked(parse(raw), source.kind, folder)
                except LikenessError as error:
                    kind = "bad" if raw.endswith(b"\n") else "torn"
                    tell(Note(f"{source.path}, line {number}", kind, str(error)))
    except OSError as error:
        raise UsageError(f"cannot read {source.path}: {error.strerror}.") from None


def checked(row: dict[str, Any], kind: str, folder: Path) -> dict[str, Any]:
    """The row with its name normalised. Raises `RecordError` for one that says nothing of a picture, or nonsense."""
    row["file_name"] = normal(row.get("file_name"), folder)
    if kind == CAPTIONS and not (isinstance(row.get("text"), str) and row["text"].strip()):
        raise RecordError("a caption without a text")
    if kind == CAPTIONS and isinstance(row.get("attributes"), dict):
        Attributes.from_dict(row["attributes"])
    if kind == FAILURES and not isinstance(row.get("reason"), str):
        raise RecordError("a failure without a reason")
    return row


def now() -> str:
    """The time in UTC, to the millisecond: texts of it sort as the times do."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def when(text: Any) -> float:
    """Seconds since 1970 of such a time; 0 for what is none."""
    try:
        made = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return 0.0
    return (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()


def made_at(row: dict[str, Any]) -> float:
    """When a row of either kind was written."""
    facts = row.get("caption")
    return when(facts.get("time") if isinstance(facts, dict) else row.get("time"))
