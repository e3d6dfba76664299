"""The connection to SQLite or PostgreSQL: one writer at a time on both, and errors in plain words.

A writer holds SQLite's write lock (BEGIN IMMEDIATE) or an advisory lock of PostgreSQL from its first to its last
statement. So what a transaction has read still holds when it writes, and no transaction has to be tried twice.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, create_engine, event, exc, func, make_url, text

from ...errors import LikenessError, MissingExtra, UsageError

PATIENCE = 30  # seconds that a writer waits for the others, and a request for a connection
LOCK = 0x6C696B65  # the advisory lock's number: "like"
_DRIVERS = {"sqlite": "sqlite", "postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


class StoreError(LikenessError):
    """The database or the pictures' folder does not answer; the same may work later."""


class Database:
    """`sqlite:///path` (or only a path) or `postgresql://user:password@host/name`.

    Raises `UsageError` for another URL, `MissingExtra` without psycopg, `StoreError` when nothing answers there.
    """

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self.name = self._url.render_as_string(hide_password=True)
        self.dialect = self._url.get_backend_name()
        try:
            self._engine = create_engine(
                self._url,
                pool_pre_ping=self.dialect == "postgresql",  # a server that was restarted is met again in silence
                pool_timeout=PATIENCE,
                connect_args={"timeout": PATIENCE} if self.dialect == "sqlite" else {"connect_timeout": PATIENCE},
            )
        except ModuleNotFoundError:
            raise MissingExtra("PostgreSQL needs psycopg: pip install 'likeness[postgres]'") from None
        if self.dialect == "sqlite":
            _make_folder(Path(self._url.database or ""))
            event.listen(self._engine, "connect", _set_up_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: it waits for nobody."""
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; it begins when no other one writes, and is undone by any exception."""
        with self._translated(), self._engine.connect() as plain:
            connection = plain.execution_options(write=True)
            with connection.begin():
                if self.dialect == "postgresql":
                    _wait_for_turn(connection)
                yield connection

    def contains(self, column: ColumnElement[str], part: str) -> ColumnElement[bool]:
        """Whether `part` stands in the column letter by letter; LIKE has signs of its own (%, _), and a limit."""
        return {"sqlite": func.instr, "postgresql": func.strpos}[self.dialect](column, part) > 0

    def close(self) -> None:
        self._engine.dispose()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exc.IntegrityError, exc.ProgrammingError, exc.DataError):
            raise  # a mistake of ours, not the database's state
        except exc.DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
            raise StoreError(f"the database {self.name} does not work: {reason}") from error
        except exc.TimeoutError:
            raise StoreError(f"the database {self.name} is busy: no free connection in {PATIENCE} s") from None


def storable(words: str) -> str:
    """The text without what no database takes: NUL, and halves of surrogate pairs."""
    return words.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{url}")
    except exc.ArgumentError:
        raise UsageError("the database's URL cannot be read: write sqlite:///PATH or postgresql://…") from None
    scheme = parsed.drivername.partition("+")[0]
    if scheme not in _DRIVERS:
        raise UsageError(f"no database of the kind {scheme!r}: write sqlite:///PATH or postgresql://…")
    if scheme == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise UsageError("the database must be a file: write sqlite:///PATH")  # each connection has its own memory
    if scheme == "sqlite" and (parsed.host or parsed.username):
        raise UsageError("sqlite takes three slashes for a relative path and four for an absolute one: sqlite:///PATH")
    return parsed.set(drivername=_DRIVERS[scheme])


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # prompts are nobody else's business
    except OSError as error:
        raise UsageError(f"cannot make the folder {file.parent}: {error.strerror}. Choose another place.") from None


def _set_up_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # the driver opens no transactions of its own; `_begin_sqlite` does
    deadline = time.monotonic() + PATIENCE
    while True:  # two processes that open a new file at once: the switch to WAL does not wait by itself
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous = FULL")  # an answered entry outlives a power cut
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _wait_for_turn(connection: Connection) -> None:
    # with limits, for this transaction only: a writer whose machine went to sleep must not stop the others for good
    connection.execute(
        text(
            "SELECT set_config('lock_timeout', :ms, true), set_config('idle_in_transaction_session_timeout', :ms, true)"
        ),
        {"ms": str(PATIENCE * 1000)},
    )
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})
