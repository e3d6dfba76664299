"""The cleaned csv: items of any sources in one standardised table, which the `csv` source reads back."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...files import atomic_path
from ...records import Attributes
from .base import Item, Problems, is_minor

FACTS = ("file_name", "text", "source", "license", "split", "group")
NAMES = tuple(f.name for f in fields(Attributes))


def write_table(
    found: Iterable[Item | tuple[Item, dict[str, Any]]],
    target: str | Path,
    *,
    adults: bool = True,
    problems: Problems | None = None,
) -> int:
    """Write the items, each with further columns if it comes in a pair; how many rows were written.

    File names are relative to the table's folder, so the table belongs beside or above its pictures; items elsewhere
    are problems, since no reader would follow a name that leads out. Values that hold several are joined by `; `. Whole
    or not there. `adults`: leave out who is, or may be, under 18.
    """
    target, problems = Path(target), problems or Problems()
    home = os.path.realpath(target.parent)
    count = 0
    with atomic_path(target) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer: Any = None
        for entry in found:
            item, extra = entry if isinstance(entry, tuple) else (entry, {})
            name = os.path.relpath(os.path.realpath(item.path), home)
            if name.startswith("..") or item.data is not None:
                problems.add(item.path, f"not below {target.parent}: the table could not name it")
                continue
            if adults and is_minor(item):
                problems.add(item.path, "under 18, or may be")
                continue
            if writer is None:
                writer = csv.DictWriter(file, [*FACTS, *NAMES, *extra], extrasaction="ignore", lineterminator="\n")
                writer.writeheader()
            said = item.attributes.to_dict() if item.attributes else {}
            row = {"file_name": name, "text": item.text, "source": item.origin, "license": item.license}
            row |= {"split": item.split or "", "group": item.group or ""}
            row |= {k: "; ".join(v) if isinstance(v, list) else v for k, v in said.items()}
            writer.writerow({k: _safe(v) for k, v in (row | extra).items()})
            count += 1
        if writer is None:
            csv.writer(file, lineterminator="\n").writerow([*FACTS, *NAMES])
    return count


def _safe(value: Any) -> Any:
    return "" if value is None else value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
