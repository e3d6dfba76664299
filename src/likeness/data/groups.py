"""Which face belongs to which group: by an attribute of its record, or by how its file's name begins."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..config import suggest
from ..errors import UsageError
from ..records import FIELDS, Attributes
from .labels import read_faces
from .manifest import Manifest
from .paths import pictures

SHOWN = 8  # kinds of each trouble that are named
NOTHING, SEVERAL = "(nothing said)", "(several values)"


@dataclass(frozen=True)
class GroupConfig:
    """`attribute`: the field whose values are the groups; None makes one group of all, without a name.

    `names`: value -> what the group is called; others are left out. Empty takes every value as it is.
    `prefixes`: how a file's name begins -> what the group is called; where given, the attribute is not looked at.
    `least`: groups of fewer faces are left out: a face that stands for its whole group would be learned by heart.
    """

    attribute: str | None = "ethnicity"
    names: dict[str, str] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    least: int = 2

    @property
    def named(self) -> bool:
        return bool(self.prefixes or self.attribute)

    @property
    def wanted(self) -> set[str]:
        """Names of groups that are asked for."""
        return set((self.prefixes or (self.names if self.attribute else {})).values())


@dataclass(frozen=True)
class GroupReport:
    """What was found: pictures by group, and what was left out and why.

    `unknown`: value or prefix that is no group's -> pictures; `empty`: groups asked for that have no picture; `small`:
    groups of too few; `broken`: file -> why it cannot be read; `sizes`: "256x256" -> pictures.
    """

    groups: dict[str, int]
    unknown: dict[str, int]
    empty: tuple[str, ...]
    small: dict[str, int]
    broken: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self, size: int = 0) -> list[str]:
        """For people, a line for each thing to know; `size` is the one that the pictures are brought to, if any."""
        wide = {tuple(map(int, text.split("x"))): n for text, n in self.sizes.items()}
        enlarged = sum(n for shape, n in wide.items() if min(shape) < size)
        cropped = sum(n for (w, h), n in wide.items() if w != h)
        told = [
            ("groups", _counted(self.groups)),
            ("left out, of no group", _counted(self.unknown)),
            ("no picture of", ", ".join(self.empty)),
            ("left out, too few pictures", _counted(self.small)),
            ("left out, cannot be read", _told(self.broken)),
            ("sizes", _counted(self.sizes) if len(self.sizes) > 1 else ""),
            (f"smaller than {size} px and enlarged", f"{enlarged:,} pictures" if enlarged else ""),
            ("not square, cropped at the centre", f"{cropped:,} pictures" if cropped else ""),
        ]
        return [f"{title}: {text}" for title, text in told if text]


@dataclass(frozen=True)
class Grouped:
    """Files, the number of each one's group (N,), the groups' names, and what there is to say about them.

    `rows`: where each file stands among those that were found.
    """

    files: list[Path]
    labels: np.ndarray
    names: tuple[str, ...]
    report: GroupReport
    rows: list[int]


@dataclass(frozen=True)
class Found:
    """Files that say that they belong to a group, and the name of each one's; the rest by why it is left out."""

    folder: Path
    files: list[Path]
    said: list[str]
    unknown: dict[str, int]
    broken: dict[str, str]

    def grouped(
        self, config: GroupConfig, broken: Mapping[int, str] | None = None, sizes: Mapping[str, int] | None = None
    ) -> Grouped:
        """Groups in the order of their names, without those of too few faces.

        `broken`: position -> why that file cannot be read; `sizes` are for the report. Raises `UsageError` when nothing
        is left.
        """
        broken = broken or {}
        counts = Counter(name for i, name in enumerate(self.said) if i not in broken)
        small = {name: n for name, n in sorted(counts.items()) if config.named and n < config.least}
        rows = [i for i, name in enumerate(self.said) if i not in broken and name not in small]
        report = GroupReport(
            {name: n for name, n in sorted(counts.items()) if name not in small}, self.unknown,
            tuple(sorted({*config.wanted, *self.said} - set(counts))), small,
            self.broken | {str(self.files[i]): why for i, why in broken.items()}, dict(sizes or {}),
        )  # fmt: skip
        if not rows:
            by = "the beginning of its name" if config.prefixes else f"its {config.attribute}"
            why = f"no face in {self.folder} belongs to a group by {by}"
            why = why if config.named else f"{self.folder} holds no picture that can be read"
            raise UsageError("; ".join([why, *report.lines()]))
        names = tuple(report.groups) if config.named else ()
        labels = np.array([names.index(self.said[i]) if names else 0 for i in rows], np.int64)
        return Grouped([self.files[i] for i in rows], labels, names, report, rows)


def read_groups(folder: str | Path, split: str | None, config: GroupConfig) -> Grouped:
    """The faces of a folder by group, before any file is opened. Raises `UsageError` as `find` and `Found.grouped`."""
    return find(folder, split, config).grouped(config)


def find(folder: str | Path, split: str | None, config: GroupConfig) -> Found:
    """The faces of a folder that belong to a group, in the order of its table.

    Without a table (labels.jsonl or metadata.jsonl) prefixes, or one group of all, take every picture below the folder,
    in the order of names. Raises `UsageError` for an attribute that does not exist, or a folder that cannot be read.
    """
    folder = Path(folder)
    if config.attribute and config.attribute not in ("age", *FIELDS):
        raise UsageError(f"no attribute {config.attribute!r}{suggest(config.attribute, ['age', *FIELDS])}")
    files, said, broken = [], [], {}
    unknown: Counter[str] = Counter()
    for file, person, reason in faces(folder, split, config):
        value = key(file, person, config)
        group = name_of(value, config)
        if reason:
            broken[str(file)] = reason
        elif group is None:
            unknown[value] += 1
        else:
            files.append(file)
            said.append(group)
    return Found(folder, files, said, dict(unknown.most_common()), broken)


def faces(folder: Path, split: str | None, config: GroupConfig) -> Iterator[tuple[Path, Attributes | None, str | None]]:
    """Each picture, what is known of the person, and why it cannot be used, or None."""
    table = (folder / "labels.jsonl").exists() or Manifest(folder).exists()
    if table or not folder.is_dir() or (config.attribute and not config.prefixes):
        for record in read_faces(folder, split):  # says what is missing, too
            yield folder / record.file_name, record.attributes, None
    else:
        for file, reason in pictures(folder):
            yield file, None, reason


def key(file: Path, person: Attributes | None, config: GroupConfig) -> str:
    """What decides on a face's group: how its file's name begins, or the value of its attribute."""
    if config.prefixes:
        return prefix(file.stem, config.prefixes)
    if not config.attribute:
        return ""
    value = getattr(person, config.attribute, None)
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    return SEVERAL if isinstance(value, tuple) and value else str(value) if value else NOTHING


def name_of(value: str, config: GroupConfig) -> str | None:
    """What the group is called; None for a value that makes no group."""
    if config.prefixes:
        return config.prefixes.get(value)
    if value in (NOTHING, SEVERAL):
        return None
    return config.names.get(value) if config.names else value


def prefix(stem: str, known: Mapping[str, str]) -> str:
    """The longest known prefix that a name begins with as whole words, whatever their case; else its own beginning."""
    words = _plain(stem)
    for name in sorted(known, key=len, reverse=True):
        rest = words.removeprefix(_plain(name))
        if rest != words and not rest[:1].isalpha():  # asian_1, asian1, asian; not asiana
            return name
    return re.sub(r"[\W\d]*\d.*$", "", words)[:40] or words[:40]


def _plain(text: str) -> str:
    return re.sub(r"[\s_.-]+", " ", text).strip().lower()


def _counted(counts: Mapping[str, int]) -> str:
    shown = [f"{name or 'all faces'} {n:,}" for name, n in list(counts.items())[:SHOWN]]
    return ", ".join(shown) + (f" and {len(counts) - SHOWN} more kinds" if len(counts) > SHOWN else "")


def _told(broken: Mapping[str, str]) -> str:
    if not broken:
        return ""
    shown = [f"{Path(file).name} ({why})" for file, why in list(broken.items())[:SHOWN]]
    return f"{len(broken):,} files: " + ", ".join(shown) + (", …" if len(broken) > SHOWN else "")
