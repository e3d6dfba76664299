"""A table as csv and back, without loss: `attributes.hair_color`, lists joined by `; `, everything nested as JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import LikenessError, RecordError, UsageError
from ..files import atomic_path
from ..records import FIELDS, FaceRecord
from .manifest import LONGEST, Manifest, Note, Tell, refuse
from .names import normal

PLAIN = ("file_name", "text", "source", "license", "split", "sha256")
ATTRIBUTE = "attributes."
JOIN = "; "


def to_csv(folder: str | Path, target: str | Path) -> int:
    """Write the folder's table as csv (UTF-8, comma, header); the number of rows."""
    manifest = Manifest(folder)
    columns = dict.fromkeys(PLAIN[:2])
    for record in manifest.records():
        columns |= dict.fromkeys(cells(record))
    count = 0
    with atomic_path(target) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        for record in manifest.records():
            writer.writerow({k: _clean(v) for k, v in cells(record).items()})
            count += 1
    return count


def from_csv(source: str | Path, folder: str | Path, tell: Tell | None = None, drop: bool = False) -> int:
    """Replace the folder's `metadata.jsonl` by the rows of a csv; the number of rows.

    Raises `UsageError` for a bad row, or with `tell` leaves it out and tells; and unless `drop`, for rows of the table
    that the csv does not have.
    """
    manifest = Manifest(folder)
    if not drop and manifest.path.is_file():
        come = {r.file_name for r in read_csv(Path(source), manifest.folder, tell and (lambda note: None))}
        if lost := [r.file_name for r in manifest.records() if r.file_name not in come]:
            raise UsageError(
                f"{source} lacks {len(lost):,} rows of the table, {lost[0]} first: add them, or drop them with --drop"
            )
    count = manifest.write(read_csv(Path(source), manifest.folder, tell))
    return manifest.fold(tell=tell) if count else count


def read_csv(source: Path, folder: Path, tell: Tell | None = None) -> Iterator[FaceRecord]:
    """The rows of a csv, in memory one at a time. Columns that no record has go to `extra` as text."""
    tell = tell or refuse
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
    try:
        with open(source, encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.DictReader((text.replace("\0", "") for text in file), restkey="", strict=False)
            if "file_name" not in (reader.fieldnames or ()):
                raise UsageError(f"{source} has no column file_name, only {', '.join(reader.fieldnames or ['none'])}")
            yield from _records(reader, source, folder, tell)
    except OSError as error:
        raise UsageError(f"cannot read {source}: {error.strerror}.") from None
    except csv.Error as error:
        raise UsageError(f"{source}: {error}. Mend the csv.") from None


def _records(reader: Any, source: Path, folder: Path, tell: Tell) -> Iterator[FaceRecord]:
    for row in reader:
        where = f"{source}, line {reader.line_num}"
        try:
            if row.pop("", None):
                raise RecordError("more cells than columns: quote texts that hold commas")
            record = record_of(row)
            name = normal(record.file_name, folder)
        except (LikenessError, TypeError, ValueError) as error:
            tell(Note(where, "bad", str(error)))
            continue
        yield FaceRecord.from_dict(record.to_dict() | {"file_name": name})


def cells(record: FaceRecord) -> dict[str, str]:
    """A record as csv cells by column."""
    row = record.to_dict()
    found = {name: row.pop(name) for name in PLAIN if isinstance(row.get(name), str)}
    if record.attributes is not None:
        for name, value in row.pop("attributes", {}).items():
            found[ATTRIBUTE + name] = JOIN.join(value) if isinstance(value, list) else value
    for name, value in row.items():
        # a text that reads as JSON is quoted, so that "5" comes back as a text and 5 as a number
        bare = isinstance(value, str) and not _is_json(value)
        found[name] = value if bare else json.dumps(value, ensure_ascii=False)
    return found


def record_of(cells: dict[str, str | None]) -> FaceRecord:
    """Inverse of `cells`; empty cells say nothing. Raises `RecordError`."""
    row: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, cell in cells.items():
        if cell is None or cell == "" or name is None:
            continue
        if name in PLAIN:
            row[name] = cell
        elif name.startswith(ATTRIBUTE):
            key = name.removeprefix(ATTRIBUTE)
            attributes[key] = cell.split(JOIN) if key in FIELDS and FIELDS[key].many else cell
        else:
            row[name] = json.loads(cell) if _is_json(cell) else cell
    return FaceRecord.from_dict(row | ({"attributes": attributes} if attributes else {}))


def _is_json(text: str) -> bool:
    if text[:1] not in '"[{-0123456789tfn':
        return False
    try:
        json.loads(text)
        return True
    except (ValueError, RecursionError):
        return False


def _clean(text: Any) -> str:
    return str(text).encode("utf-8", "replace").decode("utf-8")
