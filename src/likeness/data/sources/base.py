"""What a source of faces is: a name, items, and the rows that it could not use.

A file gives `ABOUT` (what `likeness data sources` shows) and `items(folder, problems, **options)`, a generator;
`Reader` binds the two to a folder. A bad row is a `Problem` with a reason, never an exception: one torn line must not
cost a night.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ...config import suggest
from ...errors import ConfigError, UsageError
from ...records import Attributes

Eyes = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Item:
    """A picture and what is known about it.

    `eyes`: centres in pixels of the stored picture, the one on the left of the picture first; where given they replace
    detection. `group`: who is shown, if known; one person's pictures must not be spread over splits. `data`: the
    encoded picture where it lies in an archive or a table (then `path` only names it).
    """

    path: Path
    attributes: Attributes | None = None
    text: str = ""
    license: str = ""
    origin: str = ""
    split: str | None = None
    eyes: Eyes | None = None
    group: str | None = None
    data: bytes | None = None


@dataclass(frozen=True)
class Problem:
    """A row or file that could not be used (`lost`), or a remark about some that could; `where` names it."""

    where: str
    reason: str
    lost: bool = True


@dataclass
class Problems:
    """Collects problems while a source is read; values that no table knows are counted, not listed one by one."""

    found: list[Problem] = field(default_factory=list)
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, where: object, reason: object) -> None:
        self.found.append(Problem(str(where), str(reason)))

    def note(self, where: object, reason: object) -> None:
        self.found.append(Problem(str(where), str(reason), lost=False))

    def unsaid(self, column: str, value: str) -> None:
        """A value that was left unsaid because its table does not have it."""
        if len(self.unknown) < 1000 or (column, value) in self.unknown:
            self.unknown[column, value[:80]] += 1

    def all(self) -> list[Problem]:
        """What was found, in the order of reading; the counted values last, the most frequent first."""
        counted = [
            Problem(f"column {column}", f"{value!r} is not known: left unsaid in {count} rows", lost=False)
            for (column, value), count in self.unknown.most_common()
        ]
        return self.found + counted


@dataclass(frozen=True)
class About:
    """A row of `likeness data sources`. `account`: what must be had or signed first, empty if nothing."""

    name: str
    title: str
    images: str
    size: str
    license: str
    url: str
    how: str
    account: str = ""


class Source(Protocol):
    """What preparation reads."""

    @property
    def name(self) -> str: ...

    def items(self) -> Iterator[Item]:
        """The usable rows, in an order that is the same every time. Raises `UsageError` if there is nothing to read."""
        ...

    def problems(self) -> list[Problem]:
        """What was left out by the last (or running) `items()`."""
        ...


@dataclass(frozen=True)
class Kind:
    """A kind of source: what it is, and the generator that reads it."""

    about: About
    read: Callable[..., Iterator[Item]]

    def options(self) -> dict[str, Any]:
        """Names and defaults of the options that the reader takes."""
        parameters = list(inspect.signature(self.read).parameters.values())[2:]
        return {p.name: p.default for p in parameters}


class Reader:
    """A kind of source bound to a folder (or file, or name) and options; a `Source`."""

    def __init__(self, kind: Kind, path: str | Path, **options: Any) -> None:
        known = kind.options()
        for key in options:
            if key not in known:
                raise ConfigError(
                    f"{kind.about.name} has no option {key!r}{suggest(key, sorted(known)) if known else ''}"
                )
        self.name, self.path, self._kind, self._options = kind.about.name, path, kind, options
        self._problems = Problems()

    def items(self) -> Iterator[Item]:
        self._problems = Problems()
        return self._kind.read(self.path, self._problems, **self._options)

    def problems(self) -> list[Problem]:
        return self._problems.all()


def folder_of(path: str | Path, what: str) -> Path:
    """`path` as a folder. Raises `UsageError` naming what was expected there."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UsageError(f"no folder {path}: {what}")
    return folder


def first(folder: Path, *names: str) -> Path | None:
    """The first of these names (they may hold `*`) that exists in the folder."""
    for name in names:
        if found := sorted(folder.glob(name)):
            return found[0]
    return None


def is_minor(item: Item) -> bool:
    """Whether the item shows, or may show, somebody under 18: by its age or age range, or by what its text says.

    A range counts from its lower end (FairFace's 10-19 is a minor). Nothing known is not a minor: sets without ages
    (FFHQ has children) need a look by other means. The text is read by the grammar, which errs on the careful side.
    """
    if item.attributes and item.attributes.age:
        return item.attributes.age.low < 18
    if not item.text:
        return False
    from ...grammar import parse

    age = parse(item.text[:2000]).attributes.age
    return age is not None and age.low < 18
