"""What a merge knows between a kill and its resumption, in one SQLite file: rows, hashes, and what goes where."""

from __future__ import annotations

import json
import os
import sqlite3
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import UsageError
from ..records import FaceRecord
from .names import portable

TABLES = """
    create table if not exists facts (key text primary key, value text);
    create table if not exists hashes (path text primary key, size integer, changed integer, sha text);
    create table if not exists rows
        (seq integer primary key, member integer, sha text, same text, source text, record text);
    create index if not exists by_same on rows (same, seq);
    create table if not exists names (folded text primary key, same text);
    create table if not exists placed (seq integer primary key, name text, source text, sha text, record text);
"""


class State:
    """The journal of one merge. Everything but the hashes is made anew when the members or the options have changed."""

    def __init__(self, path: Path) -> None:
        try:
            self.data = sqlite3.connect(path, isolation_level=None)
            self.data.execute("pragma journal_mode = wal")
            self.data.execute("pragma synchronous = normal")
            self.data.executescript(TABLES)
        except sqlite3.Error as error:
            raise UsageError(f"{path} is damaged ({error}): delete the unfinished output and merge again") from None

    def close(self) -> None:
        self.data.close()

    def fact(self, key: str) -> str | None:
        found = self.data.execute("select value from facts where key = ?", (key,)).fetchone()
        return found[0] if found else None

    def set_fact(self, key: str, value: str) -> None:
        self.data.execute("insert or replace into facts values (?, ?)", (key, value))

    def known_hash(self, path: str, status: os.stat_result) -> str | None:
        found = self.data.execute("select size, changed, sha from hashes where path = ?", (path,)).fetchone()
        return found[2] if found and found[:2] == (status.st_size, status.st_mtime_ns) else None

    def remember_hash(self, path: str, status: os.stat_result, sha: str) -> None:
        row = (path, status.st_size, status.st_mtime_ns, sha)
        self.data.execute("insert or replace into hashes values (?, ?, ?, ?)", row)

    def start_over(self) -> None:
        """Forget the rows and what was to go where."""
        for table in ("rows", "names", "placed"):
            self.data.execute(f"delete from {table}")

    def add(self, member: int, sha: str, same: str, source: Path, record: FaceRecord) -> None:
        row = (member, sha, same, str(source), json.dumps(record.to_dict()))  # ASCII: SQLite takes no lone surrogates
        self.data.execute("insert into rows (member, sha, same, source, record) values (?, ?, ?, ?, ?)", row)

    def groups(self) -> Iterator[list[tuple[int, int, str, str, FaceRecord]]]:
        """Rows about one picture together, (seq, member, sha, source, record), in the order of their first ones."""
        firsts = self.data.execute("select min(seq), same from rows group by same order by 1")
        for _, same in firsts:
            asked = "select seq, member, sha, source, record from rows where same = ? order by seq"
            rows = self.data.execute(asked, (same,)).fetchall()
            yield [(*row[:4], FaceRecord.from_dict(json.loads(row[4]))) for row in rows]

    def name_for(self, wanted: str, same: str, sha: str) -> str:
        """A free name for a picture: its own if no other picture took it, else with a part of its content's hash.

        Names that differ only in case or composition are one name: to macOS and Windows they are.
        """
        own = PurePosixPath(portable(wanted))
        for name in (own, *(own.with_stem(f"{own.stem[:180]}-{sha[:n]}") for n in (8, 16, 64))):
            folded = unicodedata.normalize("NFC", str(name)).casefold()
            taken = self.data.execute("select same from names where folded = ?", (folded,)).fetchone()
            if taken is None:
                self.data.execute("insert into names values (?, ?)", (folded, same))
                return str(name)
        number = self.data.execute("select count(*) from names").fetchone()[0]
        return self.name_for(str(own.with_stem(f"{own.stem[:100]}-{number}")), same, sha)

    def place(self, seq: int, name: str, source: str, sha: str, record: FaceRecord) -> None:
        row = json.dumps(record.to_dict())
        self.data.execute("insert into placed values (?, ?, ?, ?, ?)", (seq, name, source, sha, row))

    def drop_but(self, kept: range) -> None:
        """Keep only these positions of what is to be placed."""
        inner = "select seq from placed order by seq limit ? offset ?"
        self.data.execute(f"delete from placed where seq not in ({inner})", (len(kept), kept.start))

    def placed(self) -> Iterator[tuple[str, str, str, FaceRecord]]:
        """(name, source, sha, record) of every picture of the merged folder, in order."""
        found = self.data.execute("select name, source, sha, record from placed order by seq")
        for name, source, sha, record in found:
            yield name, source, sha, FaceRecord.from_dict(json.loads(record))

    def by_member(self) -> list[tuple[int, int]]:
        """(member, how many of the pictures to be placed are its)."""
        asked = "select member, count(*) from placed join rows using (seq) group by member"
        return self.data.execute(asked).fetchall()

    def count(self) -> int:
        return int(self.data.execute("select count(*) from placed").fetchone()[0])

    def changing(self) -> Any:
        """A transaction: all of it or none."""
        return _Transaction(self.data)


class _Transaction:
    def __init__(self, data: sqlite3.Connection) -> None:
        self.data = data

    def __enter__(self) -> None:
        self.data.execute("begin")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.data.execute("rollback" if kind else "commit")
