"""A csv (or tsv, or jsonl) with a column of pictures and one of captions; the columns are guessed, or named.

Columns that are called like ours (gender, race, age, hair, …) become attributes. It also reads back the cleaned csv.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import RecordError, UsageError
from ..compact import Numbers
from ..manifest import hashed
from ..paths import find
from .base import About, Item, Problems
from .folder import SPLITS
from .tables import FILE_COLUMNS, TEXT_COLUMNS, clean, column, column_key, json_rows, peek, rows
from .values import read_attributes

ABOUT = About(
    name="csv",
    title="Table with a column of pictures and one of captions",
    images="yours",
    size="yours",
    license="yours",
    url="",
    how="write a csv",
)


def items(
    path: str | Path,
    problems: Problems,
    images: str | None = None,
    file_column: str | None = None,
    text_column: str | None = None,
    delimiter: str | None = None,
    license: str = "",
    follow_links: bool = False,
) -> Iterator[Item]:
    """`path`: the table; `images`: the folder that its names start from, where that is not the table's own."""
    table = Path(path).expanduser()
    if not table.is_file():
        raise UsageError(f"no file {path}: give a csv with a column of pictures and one of captions")
    root = Path(images).expanduser() if images else table.parent
    found = _jsonl(table, problems) if table.suffix == ".jsonl" else rows(table, problems, delimiter=delimiter)
    names, found = peek(found)
    if not names:
        return
    file = column(names, file_column, FILE_COLUMNS, "file", table)
    text = (
        column(names, text_column, TEXT_COLUMNS, "text", table)
        if text_column or set(TEXT_COLUMNS) & set(names)
        else None
    )
    seen = Numbers()  # hashes: 300,000 paths would take 100 MB
    for where, row in found:
        try:
            name = row.get(file, "")
            picture = find(root, name, f"images/{name}", follow_links=follow_links)
            if hashed(str(picture)) in seen:
                raise UsageError(f"{name[:80]!r} is there twice")
            attributes = read_attributes({k: v for k, v in row.items() if k not in {file, text}}, problems)
        except (UsageError, RecordError) as error:
            problems.add(where, error)
            continue
        seen.add(hashed(str(picture)))
        yield Item(
            picture,
            attributes=attributes,
            text=" ".join(clean(row.get(text, "")).split()) if text else "",
            license=clean(row.get("license", "")) or license,
            origin=clean(row.get("source", "")) or f"{table.stem} {name}",
            split=SPLITS.get(row.get("split", "").lower(), row.get("split") or None),
            group=row.get("group") or None,
        )


def _jsonl(table: Path, problems: Problems) -> Iterator[tuple[str, dict[str, str]]]:
    for where, row in json_rows(table, problems):
        yield where, {column_key(k): "" if v is None else v if isinstance(v, str) else str(v) for k, v in row.items()}
