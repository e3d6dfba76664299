"""UTKFace: everything is in the name, `age_gender_race_date.jpg` (`.jpg.chip.jpg` for the aligned ones).

About half a dozen official names lack a part; they are problems. Zhang et al. 2017, https://susanqq.github.io/UTKFace/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import RecordError
from ...records import Age, Attributes
from ..paths import pictures
from .base import About, Item, Problems, folder_of

ABOUT = About(
    name="utkface",
    title="UTKFace",
    images="23,708 (with children)",
    size="1.3 GB, aligned 0.1 GB",
    license="non-commercial research only",
    url="https://susanqq.github.io/UTKFace/",
    how="likeness data download utkface",
    account="its agreement (non-commercial research)",
)
NAME = re.compile(r"^(\d{1,3})_([01])_([0-4])_(\d{4,})\b")
GENDERS = ("male", "female")
RACES: tuple[tuple[str, ...], ...] = (("White",), ("Black",), ("Asian",), ("Indian",), ())  # the last is "others"


def items(path: str | Path, problems: Problems, follow_links: bool = False) -> Iterator[Item]:
    root = folder_of(path, "give the folder with the unpacked pictures")
    for file, reason in pictures(root, follow_links=follow_links):
        found = NAME.match(file.name)
        if reason or not found:
            problems.add(file, reason or "the name is not age_gender_race_date")
            continue
        try:
            age = Age(int(found[1]))
        except RecordError as error:
            problems.add(file, error)
            continue
        attributes = Attributes(age=age, gender=GENDERS[int(found[2])], ethnicity=RACES[int(found[3])])
        yield Item(file, attributes=attributes, license=ABOUT.license, origin=f"UTKFace {file.name.split('.')[0]}")
