"""Any folder of pictures, with `metadata.jsonl` or `metadata.csv` (Hugging Face ImageFolder) or without.

Folders named after splits give the split; with `classes="ethnicity"` the folders below tell the ethnicity, as in
`train/indian/1.jpg`. A caption in a text file of the same name is read too, as the trainers of the field lay it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import RecordError, UsageError
from ...records import Attributes
from ..compact import Numbers
from ..manifest import hashed
from ..paths import SIDECARS, find, pictures, walk
from .base import About, Eyes, Item, Problems, folder_of
from .tables import TEXT_COLUMNS, clean, json_rows, rows
from .values import ETHNICITY, plain, read_attributes, read_map

ABOUT = About(
    name="folder",
    title="Folder of pictures, with or without metadata (ImageFolder)",
    images="yours",
    size="yours",
    license="yours",
    url="https://huggingface.co/docs/datasets/image_dataset",
    how="put the pictures into a folder",
)
TABLES = ("metadata.jsonl", "metadata.csv")
SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test",
    "testing": "test",
}  # fmt: skip
TEXT_LIMIT = 1 << 16


def items(
    path: str | Path,
    problems: Problems,
    classes: str | None = None,
    class_map: str | Mapping[str, str] | None = None,
    license: str = "",
    follow_links: bool = False,
) -> Iterator[Item]:
    """`classes`: "ethnicity" if the folders' names tell it, with `class_map` for more names (`desi=Indian`).

    With metadata, its rows are read, and pictures without a row are problems.
    """
    if classes not in {None, "none", "ethnicity"}:
        raise UsageError(f"classes={classes!r}: folders can tell the ethnicity, or nothing")
    root = folder_of(path, "give a folder of pictures")
    names = {**ETHNICITY, **read_map(class_map)} if classes == "ethnicity" else {}
    tables = [f for f, reason in walk(root, follow_links=follow_links) if f.name in TABLES and not reason]
    if not tables:
        for file, reason in pictures(root, follow_links=follow_links):
            if reason:
                problems.add(file, reason)
            else:
                yield _bare(root, file, names, license, problems)
        return
    used = Numbers()  # hashes: 300,000 paths would take 100 MB
    for table in tables:
        for where, row in json_rows(table, problems) if table.suffix == ".jsonl" else rows(table, problems):
            try:
                item = _row(root, table, row, names, license, follow_links, problems)
                if not used.add(hashed(str(item.path))):
                    raise UsageError(f"{str(row['file_name'])[:80]!r} is there twice")
            except (UsageError, RecordError) as error:
                problems.add(where, error)
                continue
            yield item
    for file, reason in pictures(root, follow_links=follow_links):
        if reason or hashed(str(file)) not in used:
            problems.add(file, reason or "no row in the metadata")


def _bare(root: Path, file: Path, names: Mapping[str, str], license: str, problems: Problems) -> Item:
    text = ""
    beside = file.with_suffix(".txt")
    if ".txt" in SIDECARS and beside.is_file() and not beside.is_symlink():
        with open(beside, "rb") as opened:
            text = " ".join(opened.read(TEXT_LIMIT).decode("utf-8-sig", "replace").split())
    return Item(
        file, attributes=_class(root, file, names, problems), text=text, license=license, split=_split(root, file),
        origin=f"{root.name} {file.relative_to(root)}",
    )  # fmt: skip


def _split(root: Path, file: Path) -> str | None:
    return next((SPLITS[p.lower()] for p in file.relative_to(root).parts[:-1] if p.lower() in SPLITS), None)


def _class(root: Path, file: Path, names: Mapping[str, str], problems: Problems) -> Attributes | None:
    folders = [plain(p) for p in file.relative_to(root).parts[:-1] if p.lower() not in SPLITS]
    if not names or not folders:
        return None
    told = next((names[f] for f in reversed(folders) if f in names), None)
    if told is None:
        problems.unsaid("folder", folders[-1])
        return None
    try:
        return Attributes(ethnicity=(told,))
    except RecordError as error:
        raise UsageError(f"class_map: {error}") from None


def _row(
    root: Path,
    table: Path,
    row: Mapping[str, Any],
    names: Mapping[str, str],
    license: str,
    follow_links: bool,
    problems: Problems,
) -> Item:
    name = row.get("file_name")
    if not isinstance(name, str) or not name.strip():
        raise UsageError("no file_name")
    # bare names beside images/ are accepted, as they are in manifests
    file = find(table.parent, name, f"images/{name}", follow_links=follow_links)
    text = next((row[c] for c in TEXT_COLUMNS if isinstance(row.get(c), str) and row[c].strip()), "")
    attributes = row.get("attributes")
    if isinstance(attributes, dict):
        try:
            said: Attributes | None = Attributes.from_dict(attributes)
        except (TypeError, ValueError) as error:
            raise RecordError(f"attributes: {error}") from None
    else:
        said = read_attributes(row, problems) or _class(root, file, names, problems)
    return Item(
        file,
        attributes=said,
        text=" ".join(clean(text).split()),
        license=_text(row.get("license")) or license,
        origin=_text(row.get("source")) or f"{root.name} {file.relative_to(root)}",
        split=_text(row.get("split")) or _split(root, file),
        eyes=read_eyes(row.get("eyes")),
        group=_text(row.get("group")) or None,
    )


def _text(value: Any) -> str:
    return clean(value).strip() if isinstance(value, str) else ""


def read_eyes(value: Any) -> Eyes | None:
    """`[[x, y], [x, y]]`, or None for anything else."""
    try:
        (x0, y0), (x1, y1) = value
        return (float(x0), float(y0)), (float(x1), float(y1))
    except (TypeError, ValueError):
        return None
