"""`metadata.jsonl`: one row a picture, read as a stream, appended to safely, rewritten whole.

    records = Manifest(folder).records()        FaceRecords, one a picture, in the order of the file
    with Manifest(folder).appending() as rows:  one writer at a time
        rows.append(record)

Every append is one write of whole lines at the end of the file, so that a killed writer leaves at most one torn line;
readers drop it and the next writer cuts it off. Appends are fsynced every `SYNC_SECONDS` and at the end: a kill loses
nothing, a power cut at most the last seconds. A picture that is appended again replaces its earlier row (`fold` then
leaves one row for each).
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import LikenessError, RecordError, UsageError
from ..files import DISK, atomic_path
from ..records import FaceRecord
from .columns import Columns
from .names import normal
from .writers import only_writer

NAME = "metadata.jsonl"
CSV = "metadata.csv"
LONGEST = 16 << 20  # bytes of a row; what is longer is no row
SYNC_SECONDS = 5.0
GUESSED = 8 << 20  # `datasets` guesses the columns from the first 10 MB of the file
FIRST = b'{"file_name": "'
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Note:
    """Something wrong with a row. `kind`: "torn" (a writer was killed), "repeated" (a later row replaces it), "bad"."""

    where: str
    kind: str
    reason: str


Tell = Callable[[Note], None]


class Manifest:
    """The table of a prepared folder. Making one reads nothing."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.path = self.folder / NAME

    def exists(self) -> bool:
        return self.path.is_file() or (self.folder / CSV).is_file()

    def records(self, tell: Tell | None = None) -> Iterator[FaceRecord]:
        """The rows as they are now, one a picture, names normalised to `images/...`, in memory one at a time.

        Torn and repeated rows are left out and told. A bad row raises `UsageError` with its line, or with `tell` is
        left out and told. A folder with only `metadata.csv` is read from that. Raises `UsageError` without a table.
        """
        if not self.path.is_file() and (self.folder / CSV).is_file():
            from .manifest_csv import read_csv

            yield from self._once(read_csv(self.folder / CSV, self.folder, tell), tell)
            return
        with self._open() as file:
            end = os.fstat(file.fileno()).st_size
            repeated = self._repeated(file, end)
            for number, row in self._rows(file, end, tell or refuse):
                where = f"{self.path}, line {number}"
                name = row["file_name"]
                if repeated and (key := hashed(name)) in repeated:
                    repeated[key] -= 1
                    if repeated[key]:
                        if tell:
                            tell(Note(where, "repeated", f"a later row replaces it: {name}"))
                        continue
                try:
                    record = FaceRecord.from_dict(row)
                except (RecordError, TypeError) as error:
                    (tell or refuse)(Note(where, "bad", str(error)))
                    continue
                yield record

    def names(self) -> set[str]:
        """The pictures that have a row; those of bad rows too."""
        if not self.path.is_file():
            return {r.file_name for r in self.records()} if self.exists() else set()
        with self._open() as file:
            return set(self._names(file, os.fstat(file.fileno()).st_size))

    def count(self) -> int:
        """The number of pictures that have a row."""
        if not self.path.is_file():
            return sum(1 for _ in self.records())
        with self._open() as file:
            end = os.fstat(file.fileno()).st_size
            repeated = self._repeated(file, end)
            file.seek(0)
            return sum(1 for _ in self._names(file, end)) - sum(repeated.values()) + len(repeated)

    @contextlib.contextmanager
    def appending(self, wait: float = 0.0) -> Iterator[Appender]:
        """The one writer of this table. Raises `UsageError` if there is another, `wait` seconds later still."""
        with only_writer(self.folder, wait):
            writer = Appender(self.path)
            try:
                yield writer
            finally:
                writer.close()

    def append(self, records: Iterable[FaceRecord], wait: float = 60.0) -> None:
        """Add rows in one write; waits for its turn."""
        with self.appending(wait) as writer:
            writer.append(*records)

    def write(self, records: Iterable[FaceRecord], wait: float | None = 60.0) -> int:
        """Replace the whole table at once by these rows, which may come from reading it; their number.

        Waits for its turn; `wait=None`: the caller is the `only_writer` already.
        """
        with _turn(self.folder, wait):
            for left in self.folder.glob(f".{self.path.stem}.????????{self.path.suffix}"):
                left.unlink(missing_ok=True)  # by a writer that was killed
            count = 0
            with atomic_path(self.path) as temporary, open(temporary, "wb", buffering=1 << 20) as file:
                for record in records:
                    file.write(line(record))
                    count += 1
            return count

    def fold(
        self,
        change: Callable[[FaceRecord], FaceRecord | None] = lambda r: r,
        tell: Tell | None = None,
        wait: float | None = 60.0,
    ) -> int:
        """Rewrite the table: one row a picture, names normalised, `change` applied (None drops the row); rows left.

        Rows are put in the order of `revealing_first`; `change` is called twice for each. Bad rows raise `UsageError`,
        or with `tell` go. `wait` as for `write`.
        """
        heard = False

        def rows() -> Iterator[FaceRecord]:
            nonlocal heard
            listener = tell and (_deaf if heard else tell)
            heard = True
            yield from (changed for record in self.records(listener) if (changed := change(record)) is not None)

        with _turn(self.folder, wait):
            return self.write(revealing_first(rows), wait=None)

    def _open(self) -> BinaryIO:
        try:
            return open(self.path, "rb", buffering=1 << 20)
        except OSError as error:
            why = "there is none" if isinstance(error, FileNotFoundError) else error.strerror
            raise UsageError(
                f"cannot read {self.path}: {why}. Give a folder made by `likeness data prepare`."
            ) from None

    def _rows(self, file: BinaryIO, end: int, tell: Tell) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, raw in lines(file, end):
            where = f"{self.path}, line {number}"
            try:
                row = parse(raw)
                row["file_name"] = normal(row.get("file_name"), self.folder)
            except LikenessError as error:
                torn = not raw.endswith(b"\n")
                note = Note(where, "torn", "cut short: a writer was killed") if torn else Note(where, "bad", str(error))
                if not torn or tell is not refuse:
                    tell(note)
                continue
            yield number, row

    def _names(self, file: BinaryIO, end: int) -> Iterator[str]:
        for _, raw in lines(file, end):
            try:
                yield normal(_name(raw), self.folder)
            except LikenessError:
                continue

    def _repeated(self, file: BinaryIO, end: int) -> dict[int, int]:
        """How many rows the pictures with more than one have, by hashed name. 8 bytes a row are held meanwhile."""
        import numpy as np

        found = array("Q", (hashed(name) for name in self._names(file, end)))
        file.seek(0)
        keys = np.frombuffer(found, np.uint64) if found else np.empty(0, np.uint64)
        keys.sort()
        again, times = np.unique(keys[1:][keys[1:] == keys[:-1]], return_counts=True)
        return {int(k): int(n) + 1 for k, n in zip(again, times, strict=True)}

    def _once(self, records: Iterable[FaceRecord], tell: Tell | None) -> Iterator[FaceRecord]:
        last: dict[str, FaceRecord] = {}
        for record in records:
            if last.pop(record.file_name, None) is not None and tell:
                tell(Note(str(self.folder / CSV), "repeated", f"a later row replaces it: {record.file_name}"))
            last[record.file_name] = record
        yield from last.values()


class Appender:
    """Writes at the end of a table; made by `Manifest.appending`, which sees to it that there is only one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}. Choose another folder.") from None
        mend(self._file)
        self._synced = time.monotonic()

    def append(self, *records: FaceRecord) -> None:
        """One write of whole lines. Raises `UsageError` when the disk is full; nothing of them is left then."""
        data = b"".join(map(line, records))
        before = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, data)
            while written < len(data):  # the disk is filling up, or a write of more than 2 GB
                written += os.write(self._file, data[written:])
        except OSError as error:
            os.ftruncate(self._file, before)
            if error.errno in DISK:
                raise UsageError(f"cannot write {self.path}: {error.strerror}. Make room and run it again.") from None
            raise
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        self.sync()
        os.close(self._file)


def revealing_first(rows: Callable[[], Iterable[FaceRecord]]) -> Iterator[FaceRecord]:
    """The rows; in a table of many megabytes, those that show a column or a kind of value first come at the top.

    `datasets` guesses the columns from the first 10 MB, silently drops what comes later and fails on other kinds.
    `rows` is called twice.
    """
    columns, size, moved = Columns(), 0, {}
    for record in rows():
        if columns.add(record.to_dict()) and size > GUESSED:
            moved[record.file_name] = record
        size += len(line(record))
    yield from moved.values()
    yield from (record for record in rows() if record.file_name not in moved)


def line(record: FaceRecord) -> bytes:
    """A record as a line of the table. Raises `RecordError` for a number that JSON does not have."""
    try:
        text = json.dumps(record.to_dict(), ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise RecordError(f"{record.file_name}: cannot be written as JSON ({error})") from None
    return text.encode("utf-8", "replace") + b"\n"


def parse(raw: bytes) -> dict[str, Any]:
    """A line of the table as an object; NaN, which is no JSON but common, as null. Raises `RecordError`."""
    if len(raw) > LONGEST:
        raise RecordError(f"a row of more than {LONGEST >> 20} MB")
    try:
        row = json.loads(raw.decode("utf-8"), parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        raise RecordError("not valid JSON. Mend or delete that line") from None
    if not isinstance(row, dict):
        raise RecordError("not a JSON object. Mend or delete that line")
    return row


def lines(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank, up to byte `end`; no more than `LONGEST` + 1 bytes of one are kept."""
    number = 0
    while file.tell() < end:
        raw = file.readline(min(LONGEST + 1, end - file.tell()))
        number += 1
        if len(raw) > LONGEST and not raw.endswith(b"\n"):
            while (rest := file.readline(min(1 << 20, end - file.tell()))) and not rest.endswith(b"\n"):
                pass
            raw += rest[-1:]  # so that the caller sees whether it ended
        if number == 1:
            raw = raw.removeprefix(BOM)
        if raw.strip():
            yield number, raw


def mend(file: int) -> None:
    """Cut a torn last line off an open table, or end a whole one that lacks its newline."""
    size = start = os.fstat(file).st_size
    tail = b""
    while start > 0 and b"\n" not in tail:
        step = min(1 << 16, start)
        start -= step
        tail = os.pread(file, step, start) + tail
    tail = tail[tail.rfind(b"\n") + 1 :]
    if not tail:
        return
    try:
        parse(tail.removeprefix(BOM))
        os.write(file, b"\n")
    except RecordError:
        os.ftruncate(file, size - len(tail))


def refuse(note: Note) -> None:
    """What to do with a bad row when nobody is told."""
    raise UsageError(f"{note.where}: {note.reason}")


def tally(notes: Counter[str]) -> Tell:
    """A listener that only counts, by kind."""
    return lambda note: notes.update([note.kind])


def _turn(folder: Path, wait: float | None) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if wait is None else only_writer(folder, wait)


def hashed(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _name(raw: bytes) -> Any:
    """The file name of a line, without parsing a line of our own writing."""
    if raw.startswith(FIRST) and raw.endswith(b"\n") and raw.count(b'"file_name"') == 1:
        name, quote, rest = raw[len(FIRST) :].partition(b'"')
        if quote and b"\\" not in name and rest.rstrip().endswith(b"}"):
            with contextlib.suppress(UnicodeDecodeError):
                return name.decode("utf-8")
    return parse(raw).get("file_name")


def _deaf(note: Note) -> None:
    """The second reading of a table: everything has been told at the first."""
