"""Look through captions in a browser: accept, edit or reject them, and write the decisions back to the table.

write(folder)               one page that works from a file: pictures inside, decisions are downloaded
apply(folder, decisions)    put a downloaded file of decisions into the table
serve(folder)               the same page on this machine, which writes every decision down at once
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from ..errors import UsageError
from ..files import write_text
from .decisions import Applied, apply
from .problems import Checks
from .review_page import embedded, page
from .review_rows import ONLY, Row, select
from .review_server import serve

__all__ = ["ONLY", "Applied", "apply", "serve", "write"]

PER_PAGE = 2000  # rows: about 15 MB


def write(
    folder: str | Path,
    output: str | Path | None = None,
    only: str = "all",
    limit: int | None = None,
    seed: int = 0,
    checks: Checks | None = None,
    per_page: int = PER_PAGE,
    progress: Callable[[int], None] = lambda done: None,
) -> Path:
    """Write `review.html` into the folder, or `output`; beyond `per_page` rows also `review-2.html` and so on.

    The path of the first page. A page holds everything it needs and asks no network for anything. Memory: one page.
    Raises `UsageError` without a table, or with nothing to review.
    """
    target = Path(output) if output else Path(folder) / "review.html"
    rows, number, done = select(folder, only, limit, seed, checks), 0, 0
    chunk = list(islice(rows, per_page))
    if not chunk:
        raise UsageError(f"{folder} has no captions to review ({ONLY[only]})")
    while chunk:
        following = list(islice(rows, per_page))
        write_text(_nth(target, number), _page(folder, target, number, chunk, more=bool(following)))
        done, number, chunk = done + len(chunk), number + 1, following
        progress(done)
    return target


def _page(folder: str | Path, target: Path, number: int, chunk: list[Row], more: bool) -> str:
    rows = [row.to_dict(embedded(folder, row.file_name)) for row in chunk]
    about = {
        "title": f"Captions of {Path(folder).resolve().name}",
        # of the rows too: another table of the same name has other decisions
        "key": hashlib.sha256("\n".join(row["file"] for row in rows).encode("utf-8", "replace")).hexdigest()[:16],
        "server": False,
        "previous": _nth(target, number - 1).name if number else "",
        "next": _nth(target, number + 1).name if more else "",
        "part": f"page {number + 1}" if number or more else "",
    }
    return page(rows, about)


def _nth(target: Path, number: int) -> Path:
    return target.with_name(f"{target.stem}-{number + 1}{target.suffix}") if number else target
