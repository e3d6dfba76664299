"""CelebA-HQ in the form of CelebAMask-HQ: `CelebA-HQ-img/0.jpg` and `CelebAMask-HQ-attribute-anno.txt`.

With CelebA's `list_eval_partition.txt` beside it, the mapping file gives CelebA's own splits. Karras et al. 2018; Lee
et al. 2020, https://github.com/switchablenorms/CelebAMask-HQ
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import UsageError
from ..paths import find, pictures
from .base import About, Item, Problems, first, folder_of
from .celeba_attributes import read_attributes, read_splits
from .tables import open_text

ABOUT = About(
    name="celeba-hq",
    title="CelebA-HQ (as in CelebAMask-HQ, 1024 px)",
    images="30,000",
    size="2.9 GB",
    license="non-commercial research and education only",
    url="https://github.com/switchablenorms/CelebAMask-HQ",
    how="likeness data download celeba-hq",
    account="its agreement (non-commercial); Google Drive stops at a daily quota, Kaggle wants an account",
)
TABLES = ("CelebAMask-HQ-attribute-anno.txt", "*attribute*.txt", "list_attr_celeba*.txt", "list_attr_celeba*.csv")
SUFFIXES = (".jpg", ".png", ".jpeg", ".webp")


def items(path: str | Path, problems: Problems, follow_links: bool = False) -> Iterator[Item]:
    root = folder_of(path, "give the folder that holds CelebA-HQ-img/ and CelebAMask-HQ-attribute-anno.txt")
    folder = first(root, "CelebA-HQ-img", "celeba_hq*", "images") or root
    table = first(root, *TABLES)
    if table is None:
        problems.note(TABLES[0], "not there: no attributes")
        for file, reason in pictures(folder, follow_links=follow_links):
            if reason:
                problems.add(file, reason)
            else:
                yield Item(file, license=ABOUT.license, origin=f"CelebA-HQ {file.stem}")
        return
    splits = _splits(root, problems)
    for where, name, attributes in read_attributes(table, problems):
        try:
            stem = name.rpartition(".")[0] or name
            # the table says .jpg where many copies hold .png
            file = find(folder, name, *(stem + s for s in SUFFIXES), follow_links=follow_links)
        except UsageError as error:
            problems.add(where, error)
            continue
        yield Item(
            file,
            attributes=attributes,
            license=ABOUT.license,
            origin=f"CelebA-HQ {file.stem}",
            split=splits.get(Path(name).stem),
        )


def _splits(root: Path, problems: Problems) -> dict[str, str]:
    """Number in CelebA-HQ -> split, through the mapping `idx orig_idx orig_file`."""
    mapping = first(root, "CelebA-HQ-to-CelebA-mapping.txt")
    partition = read_splits(first(root, "list_eval_partition.txt", "list_eval_partition.csv"), problems)
    if mapping is None or not partition:
        return {}
    with open_text(mapping) as file:
        words = [w for line in file if len(w := line.split()) == 3 and w[0].isdecimal()]
    return {w[0]: partition[w[2]] for w in words if w[2] in partition}
