"""Folders of labelled faces: `labels.jsonl` (a label table) or `metadata.jsonl` (ImageFolder) -> FaceRecord."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import read_jsonl
from ..records import FIELDS, Age, Attributes, FaceRecord
from .manifest import Manifest

SOURCE = "FairFace (Karkkainen & Joo, 2021)"
LICENSE = "CC BY 4.0"

# What the label table calls a mark -> our field and value. A mark that is absent says nothing.
MARKS: dict[str, tuple[str, str]] = {
    "looking away": ("eye_state", "looking away"),
    "eyes closed": ("eye_state", "closed"),
    "fringe": ("fringe", "full"),
    "earrings": ("jewellery", "earrings"),
    "bindi": ("jewellery", "bindi"),
    "thick eyebrows": ("brows", "thick"),
    "thin eyebrows": ("brows", "thin"),
    "receding hairline": ("hairline", "receding"),
    "hand on face": ("occlusion", "hand on face"),
    "microphone": ("occlusion", "microphone"),
    "round face": ("face_shape", "round"),
    "long face": ("face_shape", "long"),
    "big nose": ("nose", "big"),
    "double chin": ("chin", "double"),
    "square jaw": ("chin", "square"),
    "full lips": ("lips", "full"),
    "sideburns": ("facial_hair", "sideburns"),
}  # fmt: skip
# What goes without saying: nobody remarks that a woman has no beard.
UNSAID = {("facial_hair", "none", "female"), ("makeup", "none", "male")}
COPIED = (
    "gender", "ethnicity", "hair_color", "hair_length", "hair_texture", "facial_hair", "expression", "mouth", "glasses",
    "headwear", "makeup", "pose", "quality",
)  # fmt: skip


def attributes_of(row: dict[str, Any]) -> Attributes:
    """A row of the label table as `Attributes`. Values that our fields do not have ("other" expression) stay unsaid."""
    pairs = [(name, row[name]) for name in COPIED if row.get(name) is not None]
    for mark in row.get("marks", ()):
        pairs.append(MARKS.get(mark, ("marks", mark)))
    values: dict[str, Any] = {}
    for name, value in pairs:
        if value not in FIELDS[name].values or (name, value, row.get("gender")) in UNSAID:
            continue
        if FIELDS[name].many:
            values[name] = tuple(v for v in values.get(name, ()) if v != "none") + (value,)
        else:
            values[name] = value
    return Attributes(age=Age.parse(row["age"]) if row.get("age") else None, **values)


def read_faces(folder: str | Path, split: str | None = None) -> list[FaceRecord]:
    """Records of a folder, of one split if named. Raises `UsageError` when there is no table or no such split."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}: give --data a folder with labels.jsonl or metadata.jsonl")
    if (folder / "labels.jsonl").exists():
        records = [_from_labels(row) for row in read_jsonl(folder / "labels.jsonl")]
    elif Manifest(folder).exists():
        records = list(Manifest(folder).records())
    else:
        raise UsageError(f"{folder} has neither labels.jsonl nor metadata.jsonl")
    if split is not None and any(r.split for r in records):
        records = [r for r in records if r.split == split]
    if not records:
        raise UsageError(f"{folder} has no faces in its {split or 'whole'} split")
    return records


def _from_labels(row: dict[str, Any]) -> FaceRecord:
    return FaceRecord(
        file_name=row["file_name"],
        attributes=attributes_of(row),
        source=SOURCE,
        license=LICENSE,
        split=row.get("split"),
        caption={"labelled": row["labelled"]} if "labelled" in row else None,
    )
