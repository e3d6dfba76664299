"""Other people's csv and json as a stream: a BOM, CRLF, a torn or misquoted row costs that row and no other."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from ...errors import UsageError
from .base import Problems

LINE_LIMIT = 1 << 20  # characters; no honest row is longer, and a file without line ends must not fill the memory
ROW_LINES = 64  # a quoted text may run over lines; a quote that is still open after these was never closed
DELIMITERS = ",;\t|"

# Column names in use, most telling first; compared in lower case, without spaces and dashes.
FILE_COLUMNS = (
    "file_name", "filename", "file", "image", "image_name", "image_path", "path", "filepath", "file_path", "img",
    "img_path",
    "image_id", "img_name", "imagename", "photo", "photo_path", "name", "id", "key",
)  # fmt: skip
TEXT_COLUMNS = (
    "text", "caption", "captions", "description", "prompt", "sentence", "annotation", "comment", "blip_caption",
    "top_caption",
)  # fmt: skip


def open_text(path: Path) -> IO[str]:
    """A text file in UTF-8 or UTF-16; bytes that are neither survive in names. Raises `UsageError` when it cannot be
    read.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(4)
        wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return open(
            path,
            encoding="utf-16" if wide else "utf-8-sig",
            errors="surrogateescape" if not wide else "replace",
            newline="",
        )
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def clean(text: str) -> str:
    """Text that can be written as UTF-8: what `open_text` kept of foreign bytes becomes a replacement character."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def rows(
    path: Path, problems: Problems, *, delimiter: str | None = None, stream: IO[str] | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """`(where, row)` of a csv with a header; columns are `column_key`s, values stripped.

    The delimiter is guessed from the header. Rows with too many fields, an unclosed quote or an over-long line are
    problems; a row that is too short is one too, unless only empty trailing columns are missing.
    """
    with stream or open_text(path) as file:
        lines = _lines(file, path, problems)
        number, header = next(lines, (0, ""))
        if not header.strip():
            problems.add(path.name, "empty: no header row")
            return
        mark = delimiter or max(DELIMITERS, key=header.count)
        names = [column_key(n) for n in next(csv.reader([header], delimiter=mark))]
        if names[0] == "":
            names[0] = "#"  # a data frame's index
        keep = len(names)
        while keep > 1 and not names[keep - 1]:
            keep -= 1  # every line ends with a delimiter
        for number, fields in _records(lines, path, problems, mark):
            where = f"{path.name}, line {number}"
            if any(f.strip() for f in fields[keep:]):
                problems.add(where, f"{len(fields)} fields, but {keep} columns")
            elif len(fields) < keep:
                problems.add(where, f"torn: {len(fields)} fields of {keep}")
            else:
                yield where, {n: f.strip() for n, f in zip(names, fields, strict=False) if n}


def column_key(name: str) -> str:
    return "_".join(name.strip().lower().replace("-", " ").split())


def column(names: Iterable[str], wanted: str | None, candidates: Iterable[str], what: str, path: object) -> str:
    """The column to read: the one that was asked for, else the first candidate there is. Raises `UsageError` with what
    there is.
    """
    there = list(names)
    if wanted is not None:
        if column_key(wanted) in there:
            return column_key(wanted)
        raise UsageError(f"{path} has no column {wanted!r}: it has {', '.join(there)}")
    found = next((c for c in candidates if c in there), None)
    if found is None:
        raise UsageError(
            f"{path}: no column looks like the {what}; it has {', '.join(there)}. Name one with {what}_column=…"
        )
    return found


def peek(found: Iterator[tuple[str, dict[str, str]]]) -> tuple[list[str], Iterator[tuple[str, dict[str, str]]]]:
    """The column names (none in an empty table) and the rows, the first included."""
    head = next(found, None)
    if head is None:
        return [], iter(())

    def again() -> Iterator[tuple[str, dict[str, str]]]:
        yield head
        yield from found

    return list(head[1]), again()


def json_rows(path: Path, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(where, row)` of a JSON-lines file; a line that is no object is a problem."""
    with open_text(path) as file:
        for number, line in _lines(file, path, problems, ends="\n"):
            if not line.strip():
                continue
            where = f"{path.name}, line {number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                problems.add(where, "not valid JSON" if line.endswith("\n") else "torn: the last line is not whole")
                continue
            if isinstance(row, dict):
                yield where, row
            else:
                problems.add(where, "not a JSON object")


def json_members(path: Path, problems: Problems, chunk: int = 1 << 20) -> Iterator[tuple[str, Any]]:
    """`(key, value)` of a JSON object or `(position, value)` of an array, one member in memory at a time (FFHQ's has
    255 MB).
    """
    decoder = json.JSONDecoder()
    with open_text(path) as file:
        text = file.read(chunk).lstrip()
        if not text or text[0] not in "{[":
            problems.add(path.name, "not a JSON object or array")
            return
        keyed, text, number = text[0] == "{", text[1:], 0
        while True:
            text = text.lstrip(" \t\r\n,")
            if text.startswith(("}", "]")):
                return
            try:
                key, end = decoder.raw_decode(text) if keyed else (str(number), 0)
                after = text[end:].lstrip()
                if keyed and after and after[0] != ":":
                    problems.add(f"{path.name}, {key!r}", "not valid JSON from here on")
                    return
                after = after[1:].lstrip() if keyed else after
                value, end = decoder.raw_decode(after)
                if end == len(after):
                    raise ValueError  # a number may go on in the next chunk
            except (ValueError, RecursionError):
                more = file.read(max(chunk, len(text)))
                if not more:
                    problems.add(f"{path.name}, member {number}", "torn: not valid JSON from here on")
                    return
                text += more
                continue
            yield str(key), value
            text, number = after[end:], number + 1


def _lines(file: IO[str], path: Path, problems: Problems, ends: str = "\r\n") -> Iterator[tuple[int, str]]:
    """Numbered lines with their ends; over-long ones are problems."""
    number = 0
    while True:
        try:
            line = file.readline(LINE_LIMIT)
        except UnicodeError as error:
            problems.add(path.name, f"not text: {error}")
            return
        if not line:
            return
        number += 1
        if len(line) < LINE_LIMIT or line.endswith(tuple(ends)):
            yield number, line
            continue
        problems.add(f"{path.name}, line {number}", f"longer than {LINE_LIMIT} characters")
        while (rest := file.readline(LINE_LIMIT)) and not rest.endswith(tuple(ends)):
            pass


def _records(
    lines: Iterator[tuple[int, str]], path: Path, problems: Problems, delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """csv records; where a quote was never closed, its line is a problem and reading goes on with the line after."""
    waiting: list[tuple[int, str]] = []
    while True:
        head = waiting.pop(0) if waiting else next(lines, None)
        if head is None:
            return
        number, text = head
        if not text.strip():
            continue
        taken: list[tuple[int, str]] = []
        while (fields := _parse(text, delimiter)) is None:
            tried = len(taken) < ROW_LINES and not _broken(text, delimiter)
            more = (waiting.pop(0) if waiting else next(lines, None)) if tried else None
            if more is None:
                problems.add(f"{path.name}, line {number}", "a quote is never closed")
                waiting = taken + waiting
                break
            taken.append(more)
            text += more[1]
        else:
            yield number, fields


def _parse(text: str, delimiter: str) -> list[str] | None:
    """The fields of one record; None while a quote is open, or if it was closed within another line's field."""
    if '"' not in text:
        return text.rstrip("\r\n").split(delimiter)
    try:
        # the whole text is one string: the reader takes the line ends within a quote for part of the field
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except StopIteration:
        return []
    except csv.Error as error:
        if "unexpected end" in str(error) or "\n" in text.rstrip("\r\n"):
            return None
    try:
        return next(csv.reader([text.rstrip("\r\n")], delimiter=delimiter))  # "a"b: one careless line
    except (csv.Error, StopIteration):
        return None


def _broken(text: str, delimiter: str) -> bool:
    """Whether no further line can mend the record."""
    try:
        next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), None)
    except csv.Error as error:
        return "unexpected end" not in str(error)
    return False
