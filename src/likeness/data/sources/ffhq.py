"""FFHQ: `images1024x1024/00000/00000.png` and `ffhq-dataset-v2.json`, as the official download script leaves them.

The JSON gives each picture's own licence with its author, the split, and 68 landmarks, from whose eye points the eye
centres are taken. Without it the pictures alone are read. FFHQ has no ages and shows children too. Karras et al. 2019,
https://github.com/NVlabs/ffhq-dataset
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ..paths import find, pictures
from .base import About, Eyes, Item, Problems, folder_of
from .tables import clean, json_members

ABOUT = About(
    name="ffhq",
    title="Flickr-Faces-HQ",
    images="70,000",
    size="89.1 GB (1024 px PNG)",
    license="CC BY-NC-SA 4.0 (the set); each picture its own, mostly CC BY / BY-NC 2.0",
    url="https://github.com/NVlabs/ffhq-dataset",
    how="likeness data download ffhq",
    account="none, but Google Drive stops at a daily quota: run again, or copy the folder to a Drive of your own",
)
METADATA = "ffhq-dataset-v2.json"
FOLDERS = ("images1024x1024", "thumbnails128x128")
SPLITS = {"training": "train", "validation": "val"}
TRAINING = 60_000  # the first 60,000 are the training set


def items(
    path: str | Path, problems: Problems, metadata: str | None = None, follow_links: bool = False
) -> Iterator[Item]:
    """`metadata`: the JSON file, where it does not lie beside the pictures."""
    root = folder_of(path, f"give the folder that holds {FOLDERS[0]}/ and {METADATA}")
    if root.name in FOLDERS:
        root = root.parent
    folder = next((f for f in FOLDERS if (root / f).is_dir()), None)
    table = Path(metadata) if metadata else root / METADATA
    if table.is_file():
        yield from _listed(root, folder, table, problems, follow_links)
        return
    if metadata:
        raise UsageError(f"no file {metadata}")
    problems.note(METADATA, "not there: no licences, no eyes; splits by number")
    for file, reason in pictures(root / folder if folder else root, follow_links=follow_links):
        if reason:
            problems.add(file, reason)
        else:
            split = ("train" if int(file.stem) < TRAINING else "val") if file.stem.isdecimal() else None
            yield Item(file, license=ABOUT.license, origin=f"FFHQ {file.stem}", split=split)


def _listed(root: Path, folder: str | None, table: Path, problems: Problems, follow_links: bool) -> Iterator[Item]:
    part = "thumbnail" if folder == FOLDERS[1] else "image"
    for key, row in json_members(table, problems):
        where = f"{table.name}, {key}"
        try:
            name = row[part]["file_path"]
            bare = name.rpartition("/")[2]  # a folder without the shards 00000/, 01000/ is common too
            file = find(root, name, f"{folder}/{bare}" if folder else bare, follow_links=follow_links)
            credit = row.get("metadata") or {}
            credits = (str(credit.get(k) or "") for k in ("license", "author", "photo_url"))
            yield Item(
                file,
                license=clean("; ".join(filter(None, credits))) or ABOUT.license,
                origin=f"FFHQ {int(key):05d}",
                split=SPLITS.get(row.get("category")),
                eyes=_eyes(row["image"].get("face_landmarks")) if part == "image" else None,
            )
        except UsageError as error:
            problems.add(where, error)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.add(where, f"not a row of FFHQ's metadata ({type(error).__name__}: {error})")


def _eyes(landmarks: Any) -> Eyes | None:
    """Centres of the points 36-41 and 42-47 of dlib's 68: the eyes on the left and on the right of the picture."""
    if not isinstance(landmarks, list) or len(landmarks) != 68:
        return None
    left, right = (
        (sum(float(p[0]) for p in points) / 6, sum(float(p[1]) for p in points) / 6)
        for points in (landmarks[36:42], landmarks[42:48])
    )
    return left, right
