"""What kinds of value a table's columns hold: readers that guess types from the first rows trip over later ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d(:\d\d(:\d\d)?)?(\.\d+)?Z?)?")
# Kinds that a reader widens to one another if it sees both; any other two in one column are an error to it.
WIDENED = ({"integer", "number"}, {"time", "text"})


def kinds(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every column of a row, nested ones as `a.b` and `a[]`, with the kind of its value; nulls say nothing."""
    if isinstance(value, dict):
        if path:
            yield path, "object"
        for key, inner in value.items():
            yield from kinds(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        yield path, "list"
        for inner in value:
            yield from kinds(inner, f"{path}[]")
    elif isinstance(value, bool):
        yield path, "yes/no"
    elif isinstance(value, int):
        yield path, "integer"
    elif isinstance(value, float):
        yield path, "number"
    elif isinstance(value, str):
        yield path, "time" if TIME.fullmatch(value) else "text"


class Columns:
    """The kinds seen so far. Holds one set a column, and no more than `most` columns."""

    def __init__(self, most: int = 2000) -> None:
        self.seen: dict[str, set[str]] = {}
        self.most = most

    def add(self, row: dict[str, Any]) -> bool:
        """Whether the row shows a column, or a kind of value in it, that no row before it had."""
        new = False
        for path, kind in kinds(row):
            if path not in self.seen and len(self.seen) >= self.most:
                continue
            found = self.seen.setdefault(path, set())
            new |= kind not in found
            found.add(kind)
        return new

    def mixed(self) -> dict[str, list[str]]:
        """Columns whose kinds exclude each other: `datasets` and pandas refuse such a table."""
        return {p: sorted(found) for p, found in self.seen.items() if len(found) > 1 and not clash_free(found)}


def clash_free(found: Iterable[str]) -> bool:
    return any(set(found) <= pair for pair in WIDENED)
