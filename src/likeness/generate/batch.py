"""A file of prompts -> what to draw: one request a row, with the settings that its columns give."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path, PurePosixPath
from typing import Any

from ..config import build
from ..errors import ConfigError, UsageError
from ..files import read_jsonl
from ..records import ImageRequest
from .guidance import read_interval

COLUMNS = ("prompt", "text", "caption")
LONGEST_NAME = 200  # bytes; file systems take 255, and rounds are numbered behind the name
# what a row may say for itself; other columns are left alone: files of captions often describe their source pictures
SETTINGS = ("negative_prompt", "seed", "steps", "guidance", "scheduler")


@dataclass(frozen=True)
class Row:
    """A prompt, fields of `ImageRequest` that differ from the command's, what its picture is to be called, and a real
    picture that it may be held against."""

    prompt: str
    changes: dict[str, Any] = field(default_factory=dict)
    file_name: str | None = None
    reference: str | None = None
    where: str = field(default="", compare=False)  # for messages: file and row


def read_rows(path: str | Path) -> list[Row]:
    """The rows of a .txt file (a prompt a line), or of a .csv or .jsonl file with a column prompt, text or caption.

    Columns `negative_prompt`, `seed`, `steps`, `guidance`, `guidance_interval` (0,0.6), `scheduler`, `size` (128x160)
    and `file_name` hold for their row where they are filled in. Raises `UsageError` for a file that is missing, of
    another kind, or without prompts, and for a value that is none.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no prompts file {path}")
    readers: dict[str, Callable[[Path], list[dict[str, Any]]]] = {".txt": _lines, ".csv": _csv, ".jsonl": _jsonl}
    if path.suffix.lower() not in readers:
        raise UsageError(f"{path}: prompts come from a .txt, .csv or .jsonl file")
    try:
        found = readers[path.suffix.lower()](path)
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"{path} is no csv that can be read ({error}): save it again") from None
    column = _column(path, [name for row in found for name in row]) if found else ""
    rows = [
        _row(f"{path}, row {number}", column, row)
        for number, row in enumerate(found, 1)
        if str(row.get(column) or "").strip()
    ]
    if not rows:
        raise UsageError(f"{path} holds no prompts")
    return rows


def requests(rows: Iterable[Row | str], like: ImageRequest, pictures: int | None = None) -> list[ImageRequest]:
    """One request a row, the other settings of `like`; with a seed, row i starts at `seed + i * count`.

    With `pictures` so many requests, the rows again and again; a row's own seed counts up at each round.
    """
    plain = [Row(row) if isinstance(row, str) else row for row in rows]
    made = []
    for i, row in enumerate(plain if pictures is None else islice(cycle(plain), pictures)):
        request = build_on(like, row.changes) if row.changes else like
        seed = None if like.seed is None else like.seed + i * like.count
        if row.changes.get("seed") is not None:
            seed = int(row.changes["seed"]) + i // len(plain) * like.count
        made.append(replace(request, prompt=row.prompt, seed=seed))
    return made


def names(rows: Iterable[Row], pictures: int | None = None) -> list[str | None]:
    """What the pictures of `requests` are to be called; a number tells later rounds apart.

    Raises `UsageError` when two rows of the file want one name.
    """
    plain = list(rows)
    wanted = [row.file_name for row in plain if row.file_name]
    if twice := [name for name, times in Counter(wanted).items() if times > 1]:
        raise UsageError(f"two rows have the file_name {twice[0]}: give each its own, or leave the column out")
    made: list[str | None] = []
    for i in range(len(plain) if pictures is None else pictures):
        name, again = plain[i % len(plain)].file_name, i // len(plain)
        made.append(f"{name.removesuffix('.png')}-round{again + 1}.png" if name and again else name)
    return made


def build_on(like: ImageRequest, changes: dict[str, Any]) -> ImageRequest:
    """`like` with changes whose values may still be texts. Raises `ConfigError` for a value that is none."""
    checked = build(ImageRequest, {"prompt": ""} | changes)
    return replace(like, **{name: getattr(checked, name) for name in changes})


def read_size(text: str, where: str = "--size") -> dict[str, int]:
    """`128` or `128x160` -> width and height. Raises `UsageError`."""
    found = re.fullmatch(r"\s*(\d{1,6})(?:\s*[xX×*]\s*(\d{1,6}))?\s*", text)
    if not found:
        raise UsageError(f"{where} {text!r}: write 128 or 128x160 (width x height)")
    return {"width": int(found[1]), "height": int(found[2] or found[1])}


def _row(where: str, column: str, row: dict[str, Any]) -> Row:
    filled = {k: str(v).strip() for k, v in row.items() if k is not None and v is not None and str(v).strip()}
    changes: dict[str, Any] = {name: filled[name] for name in SETTINGS if name in filled}
    if "size" in filled:
        changes |= read_size(filled["size"], f"{where}: size")
    try:
        if "guidance_interval" in filled:
            changes["guidance_interval"] = read_interval(filled["guidance_interval"], "guidance_interval")
        build_on(ImageRequest(""), changes)
    except (ConfigError, UsageError) as error:
        raise UsageError(f"{where}: {error}") from None
    name = _file_name(where, filled["file_name"]) if "file_name" in filled else None
    return Row(filled[column], changes, name, filled.get("reference"), where)


def _file_name(where: str, text: str) -> str:
    """A path below the output folder, as .png, which carries the recipe."""
    path = PurePosixPath(text.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in text or not path.name:
        raise UsageError(f"{where}: file_name {text!r} leads out of the output folder: write a plain name")
    if not text.isprintable() or any(len(part.encode()) > LONGEST_NAME for part in path.parts):
        raise UsageError(
            f"{where}: file_name {text[:40]!r} is too long, or has signs that cannot be printed: change it"
        )
    return str(path.with_suffix(".png"))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [{"prompt": line.strip()} for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


def _csv(path: Path) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        _column(path, reader.fieldnames or ())
        return list(reader)


def _jsonl(path: Path) -> list[dict[str, Any]]:
    rows = read_jsonl(path)
    if not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{path}: every line must be a JSON object with a prompt, text or caption")
    return rows


def _column(path: Path, names: Iterable[str]) -> str:
    found = next((c for c in COLUMNS if c in set(names)), None)
    if found is None:
        raise UsageError(f"{path} has no column prompt, text or caption")
    return found
