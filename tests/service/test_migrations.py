"""Databases of every older version come up to date with their rows; programs take turns; newer ones are refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text

from likeness.errors import UsageError
from likeness.service.keys import Keys
from likeness.service.store import Store, StoreError, migrations
from likeness.service.store.database import Database
from likeness.service.store.migrations import STEPS, migrate
from likeness.service.store.tables import metadata
from store_places import PLACES, place, start

ENTRY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
DIGEST = "a" * 64

# What a program of that version could have written. A later step changes none of these lines.
ROWS = {
    0: ["CREATE TABLE guests (name TEXT)", "INSERT INTO guests VALUES ('another program''s row')"],
    1: [
        f"INSERT INTO pictures VALUES ('{DIGEST}', 7, NULL)",
        f"""INSERT INTO entries (id, owner, created, kind, prompt, negative, request, seed, digest, width, height,
                                 model, fingerprint, attributes, parent, seconds, favourite)
            VALUES ('{ENTRY}', 'local', 1469918176385, 'image', 'ÄLTERE Frau', '', '{{}}', '7', '{DIGEST}', 128, 128,
                    'mini', 'f1', NULL, NULL, 1.5, TRUE)""",
    ],
    2: [
        "INSERT INTO cache VALUES ('image', 'key', NULL, 7, 1469918176385, 1469918176385)",
        f"INSERT INTO cache_pictures VALUES ('key', 0, '{DIGEST}', '7', '{{}}')",
    ],
    3: ["INSERT INTO keys VALUES ('k1', 'me', 'hash', 60, FALSE, 1469918176385)"],
    4: [],
}  # fmt: skip


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def as_written_by(database: Database, version: int) -> None:
    """A database that began at version 0 and was used by every program up to this version."""
    for reached in range(version + 1):
        migrate(database, STEPS[:reached])
        with database.write() as connection:
            for row in ROWS[reached]:
                connection.execute(text(row.replace(":", r"\:")))


def version_of(connection: Connection) -> int:
    return connection.execute(text("SELECT version FROM schema_version")).scalar_one()  # one row, whatever happened


@pytest.mark.parametrize("version", range(len(STEPS) + 1))
def test_from_every_version_with_its_rows(database: Database, url: str, tmp_path: Path, version: int):
    as_written_by(database, version)
    store = Store.open(url, tmp_path / "pictures")
    found = store.search("local", text="ältere", favourites=True, model="mini").entries
    assert [(e.id, e.prompt, e.seed, e.digest) for e in found] == [(ENTRY, "ÄLTERE Frau", 7, DIGEST)] * (version > 0)
    assert [key.name for key in Keys(store).list()] == ["me"] * (version > 2)
    with database.read() as connection:
        assert connection.execute(text("SELECT name FROM guests")).scalar_one() == "another program's row"
        assert version_of(connection) == len(STEPS) == max(ROWS)  # a new step brings rows of its own into this test
    store.close()


def test_the_tables_are_what_the_program_believes(database: Database):
    migrate(database)
    with database.read() as connection:
        found = inspect(connection)
        made = {
            name: {column["name"]: column["nullable"] for column in found.get_columns(name)}
            for name in found.get_table_names()
        }
        primary = {name: set(found.get_pk_constraint(name)["constrained_columns"]) for name in metadata.tables}
    del made["schema_version"]
    believed = {name: {column.name: column.nullable for column in t.columns} for name, t in metadata.tables.items()}
    assert primary == {name: {c.name for c in t.primary_key} for name, t in metadata.tables.items()}
    for name, columns in primary.items():  # SQLite calls a text that is a primary key nullable
        made[name] |= dict.fromkeys(columns, False)
    assert made == believed


def test_a_second_time_changes_nothing(database: Database):
    migrate(database)
    with database.read() as connection:
        before = inspect(connection).get_table_names()
    assert migrate(database) == len(STEPS)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == before and version_of(connection) == len(STEPS)


@pytest.mark.parametrize("version", [0, 1])
def test_programs_that_start_at_once_take_turns(database: Database, url: str, tmp_path: Path, version: int):
    if version:
        as_written_by(database, version)
    waiting = (
        "import sys; from likeness.service.store import Store; print(flush=True); input(); Store.open(*sys.argv[1:])"
    )
    programs = [start(url, tmp_path / "pictures", code=waiting, stdin=subprocess.PIPE) for _ in range(2)]
    for program in programs:
        assert program.stdout and program.stdout.readline() == "\n"  # all have loaded what they need
    for program in programs:
        assert program.stdin
        program.stdin.write("\n")
        program.stdin.flush()
    assert [(program.communicate(timeout=300)[1], program.returncode) for program in programs] == [("", 0)] * 2
    with database.read() as connection:
        assert version_of(connection) == len(STEPS)


def test_a_step_that_fails_leaves_the_database_as_it_was(database: Database):
    migrate(database, STEPS[:1])

    def broken(connection: Connection) -> None:
        migrations.cache(connection)
        connection.execute(text("UPDATE schema_version SET version = 9"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        migrate(database, (*STEPS[:1], broken))
    with database.read() as connection:
        assert version_of(connection) == 1 and "cache" not in inspect(connection).get_table_names()
    assert migrate(database) == len(STEPS)


def test_a_newer_database_is_refused(database: Database, url: str, tmp_path: Path):
    migrate(database)
    with database.write() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    with pytest.raises(UsageError, match="version 99 .* upgrade likeness"):
        Store.open(url, tmp_path / "pictures")


def test_another_programs_tables_are_left_alone(database: Database, url: str, tmp_path: Path):
    with database.write() as connection:
        connection.execute(text("CREATE TABLE entries (name TEXT)"))
    with pytest.raises((UsageError, StoreError), match="entries"):
        Store.open(url, tmp_path / "pictures")
    with database.read() as connection:
        assert inspect(connection).get_table_names() == ["entries"]
