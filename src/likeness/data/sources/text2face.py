"""The published Text2Face captions of FFHQ, EasyPortrait and LAION-Face, joined by the picture's name.

Any file of captions will do: csv, tsv, json (`{"00000.png": "…"}`, or a list of rows), jsonl, or lines
`name<TAB>caption`. The pictures come from any other source. https://github.com/michaeltrs/Text2Face
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .base import About, Item, Kind, Problems
from .tables import FILE_COLUMNS, TEXT_COLUMNS, clean, column, json_members, json_rows, peek, rows

ABOUT = About(
    name="text2face",
    title="Text2Face captions of FFHQ, EasyPortrait and LAION-Face",
    images="captions for 70,000 + 39,000 + 156,000",
    size="not stated",
    license="MIT (the repository); the pictures their own",
    url="https://github.com/michaeltrs/Text2Face",
    how="likeness data download text2face; then prepare with captions=FILE and images=ffhq|easyportrait|laion-face",
    account="none (Google Drive)",
)


def items(
    path: str | Path,
    problems: Problems,
    captions: str = "",
    images: str = "folder",
    file_column: str | None = None,
    text_column: str | None = None,
    all_images: bool = False,
) -> Iterator[Item]:
    """`images`: the source that reads the pictures at `path`; `captions`: the file; `all_images`: also those without a
    caption.
    """
    from . import SOURCES

    if not captions:
        raise UsageError("text2face needs the file of captions: captions=FILE")
    if images not in SOURCES or images == ABOUT.name:
        raise UsageError(
            f"images={images!r} is no source: choose from {', '.join(s for s in SOURCES if s != ABOUT.name)}"
        )
    index = Captions(read_captions(Path(captions), problems, file_column, text_column), problems)
    kind: Kind = SOURCES[images]
    for item in kind.read(path, problems):
        text = index.of(item)
        if text:
            yield replace(item, text=text)
        elif all_images:
            yield item
        else:
            problems.add(item.path, "no caption")
    index.unused()


class Captions:
    """Captions by name: the whole path first, then the file's name, its stem, and the source's own id."""

    def __init__(self, found: Iterator[tuple[str, str]], problems: Problems) -> None:
        self._problems = problems
        self._texts: list[str] = []
        self._names: list[str] = []
        self._index: dict[str, int] = {}
        for name, text in found:
            key = _key(name)
            if not key or not text:
                problems.add(f"caption of {name[:80]!r}", "no name" if not key else "empty caption")
                continue
            at = len(self._texts)
            self._texts.append(text)
            self._names.append(name)
            for alias in {key, _stem(key), key.rpartition("/")[2], _stem(key.rpartition("/")[2])}:
                # -1: two captions claim the short name, so only the whole path tells them apart
                self._index[alias] = at if alias not in self._index or alias == key and self._index[alias] < 0 else -1
        self._used = bytearray(len(self._texts))

    def of(self, item: Item) -> str:
        parts = [_key(p) for p in item.path.parts]
        tried = ["/".join(parts[-depth:]) for depth in range(min(4, len(parts)), 0, -1)]
        for name in [*tried, *map(_stem, tried), item.origin.rpartition(" ")[2].lower()]:
            at = self._index.get(name, -1)
            if at >= 0:
                self._used[at] = 1
                return self._texts[at]
        return ""

    def unused(self) -> None:
        left = len(self._used) - sum(self._used)
        if left:
            example = self._names[self._used.index(0)]
            self._problems.note("captions", f"{left} captions have no picture, the first for {example[:80]!r}")


def read_captions(
    path: Path, problems: Problems, file_column: str | None = None, text_column: str | None = None
) -> Iterator[tuple[str, str]]:
    """`(name, caption)` of a file in any of the usual forms; of several captions the first. Raises `UsageError` if
    unreadable.
    """
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        yield from (_pair(row, file_column, text_column) for _, row in json_rows(path, problems))
    elif suffix == ".json":
        for key, value in json_members(path, problems):
            if isinstance(value, dict):
                name, text = _pair(value, file_column, text_column)
                yield name or key, text
            else:
                yield key, _text(value)
    elif suffix == ".txt":
        for number, line in enumerate(_plain(path), 1):
            name, tab, text = line.partition("\t") if "\t" in line else line.partition(" ")
            if line.strip() and not tab:
                problems.add(f"{path.name}, line {number}", "no caption after the name")
            elif tab:
                yield name, _text(text.partition("|")[0])
    else:
        names, found = peek(rows(path, problems))
        if names:
            file = column(names, file_column, FILE_COLUMNS, "file", path)
            text = column([n for n in names if n != file], text_column, TEXT_COLUMNS, "text", path)
            yield from ((row[file], _text(row[text])) for _, row in found)


def _plain(path: Path) -> Iterator[str]:
    from .tables import open_text

    with open_text(path) as file:
        yield from (line.rstrip("\r\n") for line in file)


def _pair(row: dict[str, Any], file_column: str | None, text_column: str | None) -> tuple[str, str]:
    name = next((row[c] for c in ([file_column] if file_column else FILE_COLUMNS) if row.get(c) not in (None, "")), "")
    text = next((row[c] for c in ([text_column] if text_column else TEXT_COLUMNS) if row.get(c)), "")
    return str(name), _text(text)


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = next((v for v in value if isinstance(v, str) and v.strip()), "")
    return " ".join(clean(value).split()) if isinstance(value, str) else ""


def _key(name: str) -> str:
    return name.replace("\\", "/").strip("/ ").lower()


def _stem(name: str) -> str:
    head, dot, tail = name.rpartition(".")
    return head if dot and len(tail) <= 5 and "/" not in tail else name
