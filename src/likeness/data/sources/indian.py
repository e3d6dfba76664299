"""Indian faces by a csv of paths and labels.

From the Indian Movie Face Database (IMFDB), Kaggle's sets made of it, and their like.

The label may be an age group (`YOUNG`), a sex, an expression, or a class that stays text-free; everybody counts as
Indian unless the row says otherwise. "Young" is 12-30 there, and so may be a minor.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import RecordError, UsageError
from ...records import Attributes
from ..compact import Numbers
from ..manifest import hashed
from ..paths import find
from .base import About, Item, Problems, first
from .tables import FILE_COLUMNS, column, peek, rows
from .values import AGE_WORDS, COLUMNS, EXPRESSION, GENDER, plain, read_age, read_attributes

ABOUT = About(
    name="indian",
    title="Indian faces by csv (path, label)",
    images="20,000-34,500 by set",
    size="0.1-1 GB",
    license="research only, see the set",
    url="http://cvit.iiit.ac.in/projects/IMFDB/",
    how="get the archive by hand; `likeness data download indian --option archive=FILE` unpacks it",
    account="Kaggle, or the authors' form",
)
LABELS = ("label", "class", "category", "target")
PEOPLE = ("person", "actor", "identity", "subject", "person_id")


def items(
    path: str | Path,
    problems: Problems,
    table: str | None = None,
    file_column: str | None = None,
    label_column: str | None = None,
    follow_links: bool = False,
) -> Iterator[Item]:
    """`path`: the folder of pictures or the csv itself; `table`: the csv, where it lies elsewhere."""
    given = Path(path).expanduser()
    csv = Path(table) if table else given if given.is_file() else first(given, "*.csv", "*/*.csv")
    if csv is None or not csv.is_file():
        raise UsageError(f"no csv in {path}: name it with table=FILE")
    root = given if given.is_dir() else csv.parent
    names, found = peek(rows(csv, problems))
    if not names:
        return
    file = column(names, file_column, FILE_COLUMNS, "file", csv)
    label = column(names, label_column, LABELS, "label", csv) if label_column or set(LABELS) & set(names) else None
    person = next((p for p in PEOPLE if p in names), None)
    seen = Numbers()  # hashes take little room
    for where, row in found:
        try:
            name = row[file]
            bare = name.replace("\\", "/").rpartition("/")[2]
            tried = [name, f"images/{bare}", f"{csv.stem}/{bare}", f"{csv.stem.title()}/{bare}", bare]
            picture = find(root, *dict.fromkeys(tried), follow_links=follow_links)
            if hashed(str(picture)) in seen:
                raise UsageError(f"{name[:80]!r} is there twice")
            attributes = _attributes(row, label, problems)
        except (UsageError, RecordError) as error:
            problems.add(where, error)
            continue
        seen.add(hashed(str(picture)))
        yield Item(
            picture, attributes=attributes, license=ABOUT.license, origin=f"Indian faces {picture.relative_to(root)}",
            group=f"indian:{row[person]}" if person and row[person] else None,
        )  # fmt: skip


def _attributes(row: dict[str, str], label: str | None, problems: Problems) -> Attributes:
    cells: dict[str, object] = {k: v for k, v in row.items() if k in COLUMNS}
    if label:
        word = plain(row[label])
        if word in AGE_WORDS:
            cells.setdefault("age", row[label])
        elif word in GENDER:
            cells.setdefault("gender", word)
        elif word in EXPRESSION:
            cells.setdefault("expression", word)
        elif word[:1].isdigit():
            read_age(word)  # a number that is no age is a problem
            cells.setdefault("age", word)
        elif word:
            problems.unsaid(label, row[label])
    said = read_attributes(cells, problems) or Attributes()
    return Attributes(**{"ethnicity": ("Indian",)} | said.said())
