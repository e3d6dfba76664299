"""FairFace: `train/1.jpg` and `fairface_label_train.csv`; and our label table of 13,475 of its adults.

With `labels="shipped"` only the faces of the table are read, with its eyes (which replace detection), its attributes
and its split: so the folder that the embedded models are trained on is rebuilt from the public set. Karkkainen & Joo
2021, https://github.com/joojs/fairface
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import RecordError, UsageError
from ...files import atomic_path, read_jsonl
from ..labels import LICENSE, attributes_of
from ..paths import MISSING, existing
from .base import About, Eyes, Item, Problems, first, folder_of
from .tables import rows
from .values import read_attributes

ABOUT = About(
    name="fairface",
    title="FairFace (224 px with margin 0.25, or 448 px with margin 1.25)",
    images="97,698 with labels (with children); 13,475 adults in our label table",
    size="about 0.6 GB (margin 0.25), 2 GB (margin 1.25)",
    license="CC BY 4.0",
    url="https://github.com/joojs/fairface",
    how="likeness data download fairface",
    account="none (Google Drive)",
)
CSVS = ("fairface_label_train.csv", "fairface_label_val.csv")
SHIPPED = Path(__file__).parents[2] / "assets" / "fairface" / "labels.csv.gz"
FIELDS = (
    "quality", "pose", "glasses", "headwear", "hair_color", "hair_length", "hair_texture", "facial_hair", "expression",
    "mouth",
    "makeup",
)  # fmt: skip
HEADER = (
    "source_file",
    "split",
    "x0",
    "y0",
    "x1",
    "y1",
    "age",
    "gender",
    "ethnicity",
    *FIELDS,
    "marks",
    "labelled",
    "p",
)


def items(
    path: str | Path, problems: Problems, labels: str | None = None, follow_links: bool = False
) -> Iterator[Item]:
    """`labels`: "shipped", or a table of that form (.csv.gz) or labels.jsonl; only its faces are read then."""
    root = folder_of(path, "give the folder that holds train/, val/ and the fairface_label_*.csv")
    if labels and labels != "none":
        yield from _labelled(root, SHIPPED if labels == "shipped" else Path(labels), problems, follow_links)
        return
    tables = [t for name in CSVS if (t := first(root, name, name.replace("fairface_label_", "")))]
    if not tables:
        raise UsageError(f"{root} has no {CSVS[0]} or {CSVS[1]}")
    for table in tables:
        for where, row in rows(table, problems):
            try:
                name = row["file"]
                file = existing(root, name, follow_links=follow_links)
                attributes = read_attributes({k: row.get(k) for k in ("age", "gender", "race")}, problems)
            except KeyError:
                raise UsageError(f"{table} is not FairFace's table: it has no column `file`") from None
            except (UsageError, RecordError) as error:
                problems.add(where, error)
                continue
            yield Item(
                file, attributes=attributes, license=LICENSE, origin=f"FairFace {name}",
                split="val" if "val" in table.name else "train",
            )  # fmt: skip


def _labelled(root: Path, table: Path, problems: Problems, follow_links: bool) -> Iterator[Item]:
    missing: list[str] = []
    for name, row in fairface_labels(table).items():
        try:
            file = existing(root, name, follow_links=follow_links)
            attributes = attributes_of(row)
        except (UsageError, RecordError) as error:
            if str(error).endswith(MISSING):
                missing.append(name)
            else:
                problems.add(f"{table.name}, {name}", error)
            continue
        yield Item(
            file, attributes=attributes, license=LICENSE, origin=f"FairFace {name}", split=row.get("split"),
            eyes=_eyes(row.get("eyes")),
        )  # fmt: skip
    if missing:  # most of them, where only a part of the set was downloaded: one line, not thousands
        problems.add(table.name, f"{len(missing)} of its pictures are not here, the first {missing[0]}")


def _eyes(value: Any) -> Eyes | None:
    return ((value[0][0], value[0][1]), (value[1][0], value[1][1])) if value else None


def fairface_labels(path: str | Path = SHIPPED) -> dict[str, dict[str, Any]]:
    """`source_file` (`train/2.jpg`) -> its row, in the form of labels.jsonl: what was left out of the packed table is
    None.

    Raises `UsageError` when the table cannot be read.
    """
    path = Path(path)
    if path.suffix == ".jsonl":
        return {row["source_file"]: row for row in read_jsonl(path) if "source_file" in row}
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            lines = file.read().split("\n")
        if tuple(lines[0].split(",")) != HEADER:
            raise ValueError("another header")
        found = (_unpack(line.split(",")) for line in lines[1:] if line)
        return {row["source_file"]: row for row in found}
    except (OSError, EOFError, ValueError) as error:
        raise UsageError(f"cannot read the label table {path}: {error}") from None


def _unpack(cells: list[str]) -> dict[str, Any]:
    cell = dict(zip(HEADER, cells, strict=True))
    name = cell["source_file"]
    row: dict[str, Any] = {
        "file_name": "images/" + name.replace("/", "_").replace(".jpg", ".webp"),
        "split": cell["split"],
        "source_file": name,
        "eyes": [[float(cell["x0"]), float(cell["y0"])], [float(cell["x1"]), float(cell["y1"])]],
        **{k: cell[k] for k in ("age", "gender", "ethnicity")},
        **{k: cell[k] or None for k in FIELDS},
        "marks": cell["marks"].split("|") if cell["marks"] else [],
        "labelled": cell["labelled"],
    }
    if cell["p"]:
        pairs = [cell["p"][i : i + 2] for i in range(0, 2 * len(FIELDS), 2)]
        # a probability is at least 0.5, so that 00 can stand for 1
        row["p"] = {f: int(p) / 100 or 1.0 for f, p in zip(FIELDS, pairs, strict=True) if p != "--"}
    return row


def pack_labels(rows: list[dict[str, Any]], target: str | Path) -> None:
    """Write rows of a labels.jsonl as the packed table; the same rows give the same bytes."""
    lines = [",".join(HEADER)]
    for row in rows:
        (x0, y0), (x1, y1) = row["eyes"]
        known = row.get("p")
        chances = "".join(f"{round(known[f] * 100) % 100:02d}" if f in known else "--" for f in FIELDS) if known else ""
        cells = [row["source_file"], row["split"], x0, y0, x1, y1, row["age"], row["gender"], row["ethnicity"]]
        cells += [row[f] or "" for f in FIELDS] + ["|".join(row["marks"]), row["labelled"], chances]
        lines.append(",".join(map(str, cells)))
        if _unpack(lines[-1].split(",")) != json.loads(json.dumps(row)):
            raise UsageError(f"{row['source_file']}: this row does not fit the packed table")
    with atomic_path(target) as temporary, open(temporary, "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=9) as file:
            file.write(("\n".join(lines) + "\n").encode())
