"""The way from any older database to the newest: an ordered list of steps, done in one transaction.

A step is never changed once a release has it; what must change is a new step at the end. A step speaks SQL of its own
and not the tables of `tables`, which belong to the newest program only.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, exc, text

from ...errors import UsageError
from .database import Database
from .folding import fold

Step = Callable[[Connection], None]


def migrate(database: Database, steps: tuple[Step, ...] | None = None) -> int:
    """Bring the database to the newest version and return it; two programs that start at once take turns.

    Raises `UsageError` for a database of a newer program or with somebody else's tables in the way.
    """
    steps = STEPS if steps is None else steps
    try:
        with database.write() as connection:
            version = _version(connection)
            if version > len(steps):
                raise UsageError(
                    f"{database.name} is of version {version} and this program knows versions up to {len(steps)}: "
                    "upgrade likeness, or give another database"
                )
            for step in steps[version:]:
                step(connection)
            if version < len(steps):
                connection.execute(text("UPDATE schema_version SET version = :v"), {"v": len(steps)})
    except exc.ProgrammingError as error:
        reason = str(error.orig).splitlines()[0]
        raise UsageError(
            f"{database.name} cannot be brought up to date ({reason}): give a database of its own"
        ) from None
    return len(steps)


def _version(connection: Connection) -> int:
    connection.execute(text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"))
    version = connection.scalar(text("SELECT max(version) FROM schema_version"))
    if version is None:
        connection.execute(text("INSERT INTO schema_version VALUES (0)"))
    return version or 0


def _run(connection: Connection, *statements: str) -> None:
    """`ORDERED` is text that is compared by its bytes: the order of ids must not hang on the server's language."""
    ordered = 'TEXT COLLATE "C"' if connection.dialect.name == "postgresql" else "TEXT"
    for statement in statements:
        connection.execute(text(statement.replace("ORDERED", ordered)))


def history(connection: Connection) -> None:
    _run(
        connection,
        "CREATE TABLE pictures (digest ORDERED PRIMARY KEY, bytes BIGINT NOT NULL, loose BIGINT)",
        "CREATE INDEX pictures_loose ON pictures (loose) WHERE loose IS NOT NULL",
        """CREATE TABLE entries (
            id ORDERED PRIMARY KEY, owner TEXT NOT NULL, created BIGINT NOT NULL, kind TEXT NOT NULL,
            prompt TEXT NOT NULL, negative TEXT NOT NULL, request TEXT NOT NULL, seed TEXT,
            digest ORDERED REFERENCES pictures (digest), width INTEGER, height INTEGER,
            model TEXT NOT NULL, fingerprint TEXT NOT NULL, attributes TEXT, parent TEXT,
            seconds DOUBLE PRECISION NOT NULL, favourite BOOLEAN NOT NULL)""",
        "CREATE INDEX entries_owner ON entries (owner, id)",
        "CREATE INDEX entries_favourite ON entries (owner, favourite, id)",
        "CREATE INDEX entries_digest ON entries (digest)",
    )


def cache(connection: Connection) -> None:
    _run(
        connection,
        """CREATE TABLE cache (
            kind TEXT NOT NULL, key TEXT NOT NULL, text TEXT, bytes BIGINT NOT NULL,
            created BIGINT NOT NULL, used BIGINT NOT NULL, PRIMARY KEY (kind, key))""",
        "CREATE INDEX cache_used ON cache (used, bytes)",
        "CREATE INDEX cache_created ON cache (created)",
        """CREATE TABLE cache_pictures (
            key TEXT NOT NULL, position INTEGER NOT NULL, digest ORDERED NOT NULL REFERENCES pictures (digest),
            seed TEXT, facts TEXT NOT NULL, PRIMARY KEY (key, position))""",
        "CREATE INDEX cache_pictures_digest ON cache_pictures (digest)",
    )


def keys(connection: Connection) -> None:
    _run(
        connection,
        """CREATE TABLE keys (
            id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, secret TEXT NOT NULL UNIQUE,
            rate_per_minute INTEGER, admin BOOLEAN NOT NULL, created BIGINT NOT NULL)""",
    )


def search(connection: Connection) -> None:
    """Search that knows the capitals of every script: neither database's own lower() does, without more parts."""
    _run(connection, "ALTER TABLE entries ADD COLUMN folded TEXT NOT NULL DEFAULT ''")
    for name, prompt in connection.execute(text("SELECT id, prompt FROM entries")).all():
        connection.execute(text("UPDATE entries SET folded = :f WHERE id = :i"), {"f": fold(prompt), "i": name})
    _run(connection, "CREATE INDEX entries_model ON entries (owner, model, id)")


STEPS: tuple[Step, ...] = (history, cache, keys, search)
