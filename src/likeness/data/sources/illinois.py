"""Mug shots of the Illinois DOC: `front/front/<id>.jpg` and `person.csv` (semicolons), with `marks.csv` if there.

Names, offences and sentences are never read into an item: only sex, race, hair, eyes, height, age at admission, and
scars and tattoos of the face. Nobody here agreed to be in a data set, and being photographed says nothing about guilt:
read the card's limits before use. `clean_table` writes the standardised table.
https://www.kaggle.com/datasets/davidjfisher/illinois-doc-labeled-faces-dataset
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ...errors import RecordError, UsageError
from ...records import Age, Attributes
from ..paths import find
from .base import About, Item, Problems, first, folder_of
from .tables import rows
from .values import NOTHING, plain, read_age, read_attributes

ABOUT = About(
    name="illinois",
    title="Illinois DOC labeled faces (mug shots)",
    images="about 68,000 front views",
    size="about 7 GB",
    license="public records, no licence stated; photographed without consent",
    url="https://www.kaggle.com/datasets/davidjfisher/illinois-doc-labeled-faces-dataset",
    how="likeness data download illinois",
    account="Kaggle",
)
TABLES = ("person.csv", "csv/person.csv", "*person*.csv", "*.csv")
FOLDERS = ("front/front", "front", "images", "faces", "")
COLUMNS = {"sex": "gender", "gender": "gender", "race": "ethnicity", "hair": "hair_color", "eyes": "eye_color"}
DATES = (
    (re.compile(r"^(\d{4})-(\d{1,2})-(\d{1,2})"), (1, 2, 3)),
    (re.compile(r"^(\d{1,2})[/-](\d{1,2})[/-](\d{4})"), (3, 1, 2)),
)
FEET = re.compile(r"""^(\d)\s*(?:'|ft\.?|-|feet)\s*(\d{1,2})?(?:\.\d+)?\s*(?:"|''|in\.?|inches)?$""")
NUMBER = re.compile(r"^(\d{2,3})(?:\.\d+)?\s*(in\.?|inches|\"|cm)?$")
FACE = re.compile(r"\b(face|facial|cheek|forehead|eye|eyebrow|brow|nose|lip|mouth|chin|jaw|temple)s?\b")


def items(path: str | Path, problems: Problems, table: str | None = None, follow_links: bool = False) -> Iterator[Item]:
    """`table`: the csv, where it is not `person.csv` in the folder."""
    root = folder_of(path, "give the folder that holds front/ and person.csv")
    for row in cleaned(root, problems, table, follow_links):
        yield row["item"]


def cleaned(
    root: Path, problems: Problems, table: str | None = None, follow_links: bool = False
) -> Iterator[dict[str, Any]]:
    """One dict a person: `id`, `height_cm`, `weight_kg` and the `item`."""
    file = Path(table) if table else first(root, *TABLES)
    if file is None or not file.is_file():
        raise UsageError(f"{root} has no person.csv: name the table with table=FILE")
    marks = _marks(file.parent / "marks.csv", problems)
    seen: set[str] = set()
    for where, row in rows(file, problems):
        number = row.get("id") or row.get("inmate_id") or row.get("idoc_id") or ""
        if not number or number in seen:
            problems.add(where, "no id" if not number else f"{number!r} is there twice")
            continue
        seen.add(number)
        try:
            names = [f"{f}/{number}{s}" if f else f"{number}{s}" for s in (".jpg", ".jpeg", ".png") for f in FOLDERS]
            named = row.get("photo_path") or row.get("file") or row.get("image")
            picture = find(root, *([named] if named else []), *names, follow_links=follow_links)
            said = read_attributes({k: row.get(k) for k in COLUMNS}, problems, COLUMNS) or Attributes()
            values = said.said() | {"age": age_of(row), "marks": marks.get(number, ())}
            attributes = Attributes(**values)
        except (UsageError, RecordError) as error:
            problems.add(where, error)
            continue
        item = Item(
            picture,
            attributes=attributes,
            license=ABOUT.license,
            origin=f"Illinois DOC {picture.stem}",
            group=f"illinois:{number}",
        )
        tall, heavy = height(row.get("height", "")), weight(row.get("weight", ""))
        yield {"id": number, "height_cm": tall, "weight_kg": heavy, "item": item}


def age_of(row: Mapping[str, str]) -> Age | None:
    """The age column, else years from birth to admission (the face is that old or older). Raises `RecordError`."""
    if plain(row.get("age", "")) not in NOTHING:
        return read_age(row["age"])
    born, taken = (_date(next((row[k] for k in keys if row.get(k)), "")) for keys in (
        ("date_of_birth", "dob", "birth_date"), ("photo_date", "admission_date", "custody_date", "booking_date"),
    ))  # fmt: skip
    if born is None or taken is None:
        return None
    years = taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
    if not 10 <= years <= 110:
        raise RecordError(f"born {born}, admitted {taken}: the dates cannot be right")
    return Age(years)


def _date(text: str) -> date | None:
    if plain(text) in NOTHING:
        return None
    for pattern, (year, month, day) in DATES:
        if found := pattern.match(text.strip()):
            try:
                return date(int(found[year]), int(found[month]), int(found[day]))
            except ValueError:
                break
    raise RecordError(f"{text[:40]!r} is not a date")


def height(text: str) -> int | None:
    """Centimetres from `70`, `70 in`, `5'10"`, `5 ft 10`, `511` (five feet eleven) or `178 cm`; None if it cannot be
    read.
    """
    word = plain(text).replace("ft. ", "ft ")
    if found := FEET.match(word):
        inches = 12 * int(found[1]) + int(found[2] or 0)
    elif found := NUMBER.match(word):
        number, unit = int(found[1]), found[2]
        if unit == "cm" or unit is None and 120 <= number <= 229:
            return number
        inches = number if number < 100 else 12 * (number // 100) + number % 100
    else:
        return None
    return round(inches * 2.54) if 48 <= inches <= 96 else None


def weight(text: str) -> int | None:
    """Kilograms from pounds (`180`, `180 lbs`) or `82 kg`; None if it cannot be read."""
    found = re.match(r"^(\d{2,3})(?:\.\d+)?\s*(kg|lbs?\.?|pounds)?$", plain(text))
    if not found:
        return None
    kilograms = float(found[1]) if found[2] == "kg" else int(found[1]) * 0.45359237
    return round(kilograms) if 30 <= kilograms <= 300 else None


def _marks(path: Path, problems: Problems) -> dict[str, tuple[str, ...]]:
    """Person -> scars, tattoos and moles of the face."""
    if not path.is_file():
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for _, row in rows(path, problems):
        text = plain(row.get("mark", ""))
        kinds = [
            k
            for word, k in (("scar", "scar"), ("tattoo", "tattoo"), ("mole", "mole"), ("birthmark", "birthmark"))
            if word in text
        ]
        if kinds and FACE.search(text) and row.get("id"):
            found[row["id"]] = tuple(dict.fromkeys((*found.get(row["id"], ()), *kinds)))
    return found


def clean_table(path: str | Path, target: str | Path, table: str | None = None, adults: bool = True) -> list:
    """Write the standardised table (`write_table`'s columns, and height and weight) and return the problems.

    Names and offences are not in it. `adults`: without people who were, or may have been, under 18.
    """
    from .cleaned import write_table

    problems = Problems()
    root = folder_of(path, "give the folder that holds front/ and person.csv")
    found = cleaned(root, problems, table)
    extra = ((row["item"], {"height_cm": row["height_cm"], "weight_kg": row["weight_kg"]}) for row in found)
    write_table(extra, target, adults=adults, problems=problems)
    return problems.all()
