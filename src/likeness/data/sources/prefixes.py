"""A folder of `indian_001.jpg`, `white_002.jpg`, …: the prefix tells the ethnicity (or sex), by a map that can grow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import RecordError
from ...records import FIELDS, Attributes
from ..paths import pictures
from .base import About, Item, Problems, folder_of
from .values import ETHNICITY, GENDER, plain, read_map

ABOUT = About(
    name="prefixes",
    title="Folder with telling names (indian_001.jpg)",
    images="yours",
    size="yours",
    license="yours",
    url="",
    how="put the pictures into a folder",
)
SPLIT = re.compile(r"[\s_.-]+")


def items(
    path: str | Path,
    problems: Problems,
    prefixes: str | Mapping[str, str] | None = None,
    license: str = "",
    follow_links: bool = False,
) -> Iterator[Item]:
    """`prefixes`: more words, as `desi=Indian,caucasian=White`; they come before the built-in ones.

    A prefix may have several words (`middle_eastern_7.jpg`), and a sex may follow it (`indian_male_3.jpg`). Names with
    no known prefix are problems, and counted by prefix.
    """
    root = folder_of(path, "give the folder of pictures")
    words = {**ETHNICITY, **read_map(prefixes)}
    if wrong := sorted(v for v in words.values() if v not in FIELDS["ethnicity"].values):
        raise RecordError(
            f"prefixes: {wrong[0]!r} is no ethnicity; choose from {', '.join(FIELDS['ethnicity'].values)}"
        )
    unknown: Counter[str] = Counter()
    for file, reason in pictures(root, follow_links=follow_links):
        found = None if reason else read_name(file.stem, words)
        if found:
            yield Item(
                file, attributes=Attributes(**found), license=license, origin=f"{root.name} {file.relative_to(root)}"
            )
            continue
        if reason is None:
            prefix = re.sub(r"[\W\d_]*\d.*$", "", plain(file.stem)) or plain(file.stem)
            unknown[prefix[:40]] += 1
            reason = f"unknown prefix {prefix[:40]!r}: add it with prefixes=…"
        problems.add(file, reason)
    for prefix, count in unknown.most_common(20):
        problems.note("prefixes", f"{prefix!r} is not in the map: {count} pictures left out")


def read_name(stem: str, words: Mapping[str, str]) -> dict[str, Any] | None:
    """Ethnicity, and sex where a word tells it, from the first words of a name; None if the first is in no map."""
    tokens = [t for t in SPLIT.split(stem.lower()) if t]
    if tokens:
        # indian001 without a separator
        tokens = [t for t in (*re.match(r"^(\D*)(\d*)", tokens[0]).groups(), *tokens[1:]) if t]  # type: ignore[union-attr]
    for count in range(min(4, len(tokens)), 0, -1):
        ethnicity = words.get(" ".join(tokens[:count]))
        # one letter tells a column's value, hardly a file's
        if ethnicity and len(" ".join(tokens[:count])) > 1:
            sex = next((GENDER[t] for t in tokens[count : count + 2] if t in GENDER and len(t) > 1), None)
            return {"ethnicity": (ethnicity,)} | ({"gender": sex} if sex else {})
    return None
