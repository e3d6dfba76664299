"""What commands print: results on stdout, remarks on stderr."""

from __future__ import annotations

import json
import sys
from typing import Any


def result(text: str) -> None:
    print(text)


def remark(text: str) -> None:
    print(text, file=sys.stderr)


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def table(rows: list[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell; the last one runs free."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]).rstrip())
