"""EasyPortrait: `images/{train,val,test}/<id>.jpg`, and `annotations/meta.zip` with who is on which picture.

The official split is by person; `user_id` becomes the item's group, so that any other split can keep that too. The
masks of `annotations/` are not read. Kapitanov, Kvanchiani et al. 2023, https://github.com/hukenovs/easyportrait
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ...errors import UsageError
from ..paths import pictures
from .base import About, Item, Problems, first, folder_of
from .tables import rows

ABOUT = About(
    name="easyportrait",
    title="EasyPortrait",
    images="40,000 (first release 20,000)",
    size="26 GB (first release, up to full HD)",
    license="a variant of CC BY-SA 4.0, see its repository",
    url="https://github.com/hukenovs/easyportrait",
    how="likeness data download easyportrait",
)
SPLITS = ("train", "val", "test")
TABLES = (
    "annotations/meta*.csv",
    "annotations/meta*.tsv",
    "meta*.csv",
    "annotations/meta.zip",
    "meta.zip",
    "annotations/*/meta*.csv",
)


def items(path: str | Path, problems: Problems, split: str | None = None, follow_links: bool = False) -> Iterator[Item]:
    """`split`: read only train, val or test."""
    root = folder_of(path, "give the folder that holds images/train, images/val and images/test")
    top = root / "images" if (root / "images").is_dir() else root
    there = [s for s in SPLITS if (top / s).is_dir()]
    if not there:
        raise UsageError(f"{root} has no images/train, images/val or images/test: unpack images.zip there")
    people = _people(root, problems)
    for name in [split] if split else there:
        for file, reason in pictures(folder_of(top / name, f"there is {', '.join(there)}"), follow_links=follow_links):
            if reason:
                problems.add(file, reason)
                continue
            user = people.get(file.stem)
            yield Item(
                file, license=ABOUT.license, origin=f"EasyPortrait {file.stem}", split=name,
                group=f"easyportrait:{user}" if user else None,
            )  # fmt: skip


def _people(root: Path, problems: Problems) -> dict[str, str]:
    """Picture id -> person, from the meta table; empty without one."""
    table = first(root, *TABLES)
    if table is None:
        problems.note("annotations/meta.zip", "not there: nobody knows who is on which picture")
        return {}
    try:
        found = rows(table, problems) if table.suffix != ".zip" else _zipped(table, problems)
        return {
            row["attachment_id"]: row["user_id"] for _, row in found if row.get("attachment_id") and row.get("user_id")
        }
    except (UsageError, OSError, zipfile.BadZipFile) as error:
        problems.note(table.name, f"cannot be read: {error}")
        return {}


def _zipped(table: Path, problems: Problems) -> Iterator[tuple[str, dict[str, str]]]:
    with zipfile.ZipFile(table) as archive:
        for name in archive.namelist():
            if name.endswith((".csv", ".tsv")) and "__MACOSX" not in name:
                with archive.open(name) as raw:
                    stream: IO[str] = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="")
                    yield from rows(Path(name), problems, stream=stream)
