"""Names of pictures in a table: normalised, never outside the folder, and free of words that mislead `datasets`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import RecordError

IMAGES = "images"
# `datasets` takes a file whose name holds one of these words between such signs for a split, and then loses the table.
SPLIT_WORDS = "training|train|validation|valid|val|dev|testing|test|evaluation|eval"
MISLEADING = re.compile(rf"(^|[-._ 0-9])({SPLIT_WORDS})(?=[-._ 0-9]|$)", re.IGNORECASE)
LONGEST_PART = 255  # bytes, on every common file system


def normal(name: Any, folder: Path) -> str:
    """A row's file name as `images/...` with forward slashes; a bare name is one beside `images/` or in it.

    Raises `RecordError` for a name that leaves the folder, and for one that no file can have.
    """
    if not isinstance(name, str) or not name.strip():
        raise RecordError("a row needs a file_name")
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".")]
    shown = name[:80]
    if name[0] in "/\\" or re.match(r"[A-Za-z]:", name) or "://" in name or ".." in parts or not parts:
        raise RecordError(f"file_name {shown!r} leads outside the folder")
    try:
        sizes = [len(p.encode("utf-8")) for p in parts]
    except UnicodeEncodeError:
        raise RecordError(f"file_name {shown!r} is not valid Unicode") from None
    if "\0" in name or max(sizes) > LONGEST_PART or sum(sizes) + len(sizes) > 4000:
        raise RecordError(f"file_name {shown!r} cannot be the name of a file")
    if len(parts) == 1 and not ((folder / parts[0]).is_file() and not (folder / IMAGES / parts[0]).exists()):
        parts.insert(0, IMAGES)
    return "/".join(parts)


def portable(name: str) -> str:
    """The name with split words made harmless: `images/train_95.webp` becomes `images/trainset_95.webp`."""
    if not MISLEADING.search(name.replace("/", ".")):
        return name
    return "/".join(MISLEADING.sub(lambda m: f"{m[1]}{m[2]}set", part) for part in name.split("/"))


def misleading(name: str) -> bool:
    """Whether `load_dataset("imagefolder")` would take this file for a split of its own."""
    return portable(name) != name
