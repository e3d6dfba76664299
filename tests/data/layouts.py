"""Small copies of data sets in their owners' layouts, and what a source reads from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from likeness.data.sources import Item, open_source


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def write(root: Path, name: str, text: str) -> Path:
    put(root, name)
    (root / name).write_bytes(text.encode())
    return root / name


def read(name: str, path: Path, **options: Any) -> tuple[dict[str, Item], list[str]]:
    """Items by their file's name, and reasons of lost rows."""
    source = open_source(name, path, **options)
    found = list(source.items())
    assert all(i.data is not None or i.path.is_file() for i in found)
    assert len({i.path for i in found}) == len(found)
    assert [i.path for i in source.items()] == [i.path for i in found]  # the same every time
    return {i.path.name: i for i in found}, [f"{p.where}: {p.reason}" for p in source.problems() if p.lost]
