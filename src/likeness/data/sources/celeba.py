"""CelebA: `img_align_celeba/000001.jpg` and `list_attr_celeba.txt`, or Kaggle's csv files; splits, eyes, persons.

The landmarks of the aligned pictures give the eyes. CelebA has no ages. Liu et al. 2015,
https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import UsageError
from ..paths import existing
from .base import About, Eyes, Item, Problems, first, folder_of
from .celeba_attributes import read_attributes, read_splits, read_table

ABOUT = About(
    name="celeba",
    title="CelebA (aligned, 178x218)",
    images="202,599",
    size="1.4 GB",
    license="non-commercial research only",
    url="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    how="likeness data download celeba",
    account="its agreement (non-commercial research); Google Drive stops at a daily quota, Kaggle wants an account",
)
FOLDERS = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba", "img_celeba", "images")


def items(path: str | Path, problems: Problems, follow_links: bool = False) -> Iterator[Item]:
    root = folder_of(path, "give the folder that holds img_align_celeba/ and list_attr_celeba.txt")
    table = first(root, *_names("list_attr_celeba"))
    if table is None:
        raise UsageError(f"{root} has no list_attr_celeba.txt or .csv")
    folder = next((root / f for f in FOLDERS if (root / f).is_dir()), root)
    splits = read_splits(first(root, *_names("list_eval_partition")), problems)
    eyes = _eyes(first(root, *_names("list_landmarks_align_celeba")), problems) if "align" in folder.name else {}
    people = first(root, *_names("identity_CelebA"))
    persons = (
        {n: next(iter(r.values())) for _, n, r in read_table(people, problems, header=False) if r} if people else {}
    )
    for where, name, attributes in read_attributes(table, problems):
        try:
            file = existing(folder, name, follow_links=follow_links)
        except UsageError as error:
            problems.add(where, error)
            continue
        yield Item(
            file,
            attributes=attributes,
            license=ABOUT.license,
            origin=f"CelebA {file.stem}",
            split=splits.get(name),
            eyes=eyes.get(name),
            group=f"celeba:{persons[name]}" if name in persons else None,
        )


def _names(stem: str) -> list[str]:
    return [f"{folder}{stem}.{suffix}" for folder in ("", "Anno/", "Eval/") for suffix in ("txt", "csv")]


def _eyes(path: Path | None, problems: Problems) -> dict[str, Eyes]:
    """`lefteye` is the one on the left of the picture."""
    found: dict[str, Eyes] = {}
    for where, name, row in read_table(path, problems) if path else ():
        try:
            x0, y0, x1, y1 = (float(row[k]) for k in ("lefteye_x", "lefteye_y", "righteye_x", "righteye_y"))
            found[name] = ((x0, y0), (x1, y1))
        except (KeyError, ValueError):
            problems.note(where, "landmarks cannot be read")
    return found
