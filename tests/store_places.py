"""Where the tests of the store keep it: a SQLite file, and a PostgreSQL database where the marker allows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import postgres_server

PLACES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
WORKER = Path(__file__).with_name("store_worker.py")


def place(kind: str, folder: Path) -> str:
    """The URL of an empty database."""
    return f"sqlite:///{folder / 'likeness.db'}" if kind == "sqlite" else postgres_server.new_database()


def start(*words: object, code: str = "", stdin: int | None = None) -> subprocess.Popen[str]:
    """A process that works on a store: `store_worker.py` with these words, or `code` with them as `sys.argv[1:]`."""
    program = ["-c", code] if code else [str(WORKER)]
    return subprocess.Popen(
        [sys.executable, *program, *map(str, words)],
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def files(folder: Path) -> set[str]:
    """The names of all files in a folder of pictures, without their ending."""
    return {path.stem for path in folder.rglob("*") if path.is_file()}
