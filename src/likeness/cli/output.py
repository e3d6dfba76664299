"""What commands print: results on stdout, remarks on stderr."""

from __future__ import annotations

import json
import sys
from typing import Any


def result(text: str) -> None:
    print(tame(text))


def remark(text: str) -> None:
    print(tame(text), file=sys.stderr)


def tame(text: str) -> str:
    """Without what would command a terminal: names of files and words of servers are somebody else's."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def table(rows: list[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell; the last one runs free."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]).rstrip())
