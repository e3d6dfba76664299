"""What every side of a comparison is asked for: words, what they say, a seed, and a real picture where there is one."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import UsageError
from ...generate import batch
from ...grammar import parse
from ...models.judge import AGES
from ...records import Age, Attributes, ImageRequest
from ..adherence.cases import FACES, cases
from ..pairs.pairing import Pair, match, with_texts

KNOWN = (*batch.COLUMNS, *batch.SETTINGS, "size", "file_name", "reference")


@dataclass(frozen=True)
class Item:
    """One picture of each side. `reference`: the real picture that the drawn ones are held against, if there is one."""

    name: str
    prompt: str
    attributes: Attributes
    request: ImageRequest | None = None
    reference: Path | None = None


def from_test_faces(like: ImageRequest, limit: int | None = None, folder: Path = FACES) -> list[Item]:
    """The captions of the test faces that the package carries, each with its face as the reference."""
    return [
        Item(f"{c.index:04d}{mark}", c.caption, c.attributes, replace(one, prompt=c.caption), c.picture)
        for c in cases(folder, like.seed or 0, limit)
        for mark, one in _seeds(replace(like, seed=c.seed))
    ]


def from_table(path: str | Path, like: ImageRequest, limit: int | None = None) -> list[Item]:
    """Rows of a .csv, .jsonl or .txt file as `batch.read_rows` reads them, and their column `reference`.

    Each row gives `like.count` items, whose seeds follow each other. What a prompt says is read by the grammar. A path
    in `reference` is taken from the table's folder. Raises `UsageError`, also for a reference that is not there.
    """
    rows = _rows(path)[:limit]
    found = []
    for i, (row, request) in enumerate(zip(rows, batch.requests(rows, like), strict=True)):
        name = str(Path(row.file_name).with_suffix("")) if row.file_name else f"{i:04d}"
        said, reference = read(row.prompt), _reference(Path(path), row)
        found += [Item(name + mark, row.prompt, said, one, reference) for mark, one in _seeds(request)]
    names = [item.name for item in found]
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise UsageError(f"{path}: two rows would draw {twice[0]}.png: give each its own file_name")
    return found


def from_folders(
    folders: Sequence[Path], prompts: str | Path | None = None, real: Path | None = None, limit: int | None = None
) -> tuple[list[Item], list[tuple[Path, ...]], list[str]]:
    """Pictures that lie in every folder, by name: items, the files of each folder, and what is to be known.

    Words come from `prompts` (file_name, prompt, reference), else from the pictures' recipes or metadata.jsonl; real
    pictures from the table's column `reference`, else from the folder `real`, by name. Raises `UsageError`.
    """
    base, *others = folders
    matched = [match(base, other) for other in others]
    shared = [{pair.name for pair in found.pairs} for found in matched]
    names = [pair.name for pair in matched[0].pairs if all(pair.name in known for known in shared)][:limit]
    if not names:
        raise UsageError("no picture's name is in all folders: pairs are found by name, without the suffix")
    paths = [{p.name: p.generated for p in matched[0].pairs}, *({p.name: p.real for p in m.pairs} for m in matched)]
    files = [tuple(of[name] for name in names) for of in paths]
    if prompts:
        _check_columns(Path(prompts))
    both = [Pair(name, a, b) for name, a, b in zip(names, files[0], files[1], strict=True)]
    pairs = with_texts(both, base, others[0], prompts)
    references = _references(names, folders[0], prompts, real)
    items = [Item(p.name, p.text, read(p.text), None, references.get(p.name)) for p in pairs]
    alone = sum(len(m.only_generated) + len(m.only_real) for m in matched)
    notes = [f"Pictures without a partner of their name, left out: {alone}."] if alone else []
    return items, files, notes


def read(text: str) -> Attributes:
    """What a text says of a person; nothing for an empty one. An age within a group of the judge's is that group."""
    said = parse(text).attributes if text.strip() else Attributes()
    within = [g for g in map(Age.parse, AGES) if said.age and g.low <= said.age.low and said.age.high <= g.high]
    return replace(said, age=within[0]) if within else said


def _seeds(request: ImageRequest) -> list[tuple[str, ImageRequest]]:
    """A request for each picture, and what tells its name apart."""
    start = request.seed or 0
    marks = [f"-{i + 1}" for i in range(request.count)] if request.count > 1 else [""]
    return [(mark, replace(request, seed=start + i, count=1)) for i, mark in enumerate(marks)]


def _rows(path: str | Path) -> list[batch.Row]:
    rows = batch.read_rows(path)
    _check_columns(Path(path))
    return rows


def _check_columns(path: Path) -> None:
    """Raises `UsageError` for a column that is nearly one of ours; others describe what they like."""
    names: set[str] = set()
    if path.suffix.lower() == ".csv" and path.is_file():
        with open(path, encoding="utf-8-sig", newline="") as file:
            names = set(csv.DictReader(file).fieldnames or ())
    elif path.suffix.lower() == ".jsonl" and path.is_file():
        with open(path, encoding="utf-8-sig") as file:
            names = {str(name) for line in file if line.strip() for name in json.loads(line)}
    for name in sorted(names - set(KNOWN)):
        if near := difflib.get_close_matches(name.lower(), KNOWN, 1, 0.8):
            raise UsageError(f"{path}: unknown column {name!r}: did you mean {near[0]!r}?")


def _reference(table: Path, row: batch.Row) -> Path | None:
    path = table.parent / row.reference if row.reference else None
    if path is not None and not path.is_file():
        raise UsageError(f"{row.where}: no reference picture {path}")
    return path


def _references(
    names: Sequence[str], folder: Path, prompts: str | Path | None, real: Path | None
) -> Mapping[str, Path]:
    if prompts:
        rows = [row for row in batch.read_rows(prompts) if row.reference and row.file_name]
        told = {str(Path(row.file_name or "").with_suffix("")): row for row in rows}
        found = {name: _reference(Path(prompts), told[name]) for name in names if name in told}
        if found:
            return {name: path for name, path in found.items() if path}
    return {pair.name: pair.real for pair in match(folder, real).pairs} if real else {}
