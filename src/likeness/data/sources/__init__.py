"""Where faces come from: one file a data set, one table of them.

open_source("ffhq", "data/ffhq").items() -> Item(path, attributes, text, license, origin, split, eyes, group)
open_source(…).problems()                -> what could not be used, each with its reason
source_table()                           -> what `likeness data sources` shows
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...config import suggest
from ...errors import UsageError
from . import (
    celeba,
    celeba_hq,
    easyportrait,
    fairface,
    ffhq,
    folder,
    huggingface,
    illinois,
    indian,
    laion_face,
    prefixes,
    table,
    text2face,
    utkface,
)
from .base import About, Item, Kind, Problem, Problems, Reader, Source, is_minor
from .cleaned import write_table
from .fairface import fairface_labels

_FILES: tuple[Any, ...] = (
    ffhq, easyportrait, laion_face, text2face, celeba, celeba_hq, utkface, fairface, illinois, indian, prefixes, folder,
    table, huggingface,
)  # fmt: skip
SOURCES: dict[str, Kind] = {file.ABOUT.name: Kind(file.ABOUT, file.items) for file in _FILES}

__all__ = [
    "SOURCES", "About", "Item", "Kind", "Problem", "Problems", "Reader", "Source", "fairface_labels", "is_minor",
    "open_source",
    "source_table", "write_table",
]  # fmt: skip


def open_source(name: str, path: str | Path, **options: Any) -> Reader:
    """The source `name` over a folder (for `csv` a file, for `huggingface` a name too).

    Raises `UsageError` for an unknown name, `ConfigError` for an unknown option; nothing is read before `items()`.
    """
    if name not in SOURCES:
        raise UsageError(f"no source {name!r}{suggest(name, list(SOURCES))}")
    return Reader(SOURCES[name], path, **options)


def source_table() -> list[dict[str, str]]:
    """One row a source: name, title, images, size, license, url, how, account."""
    return [asdict(kind.about) for kind in SOURCES.values()]
