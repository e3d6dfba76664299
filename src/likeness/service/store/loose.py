"""Which pictures may go: those that no row names and nobody is about to name.

Before a picture's file is written its row in `pictures` says until when it is kept though nothing names it; a file is
removed inside the transaction that removes this row. So between two servers no file goes that a row names or will name.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, case, delete, exists, insert, or_, select, update

from .database import Database, StoreError
from .pictures import Pictures
from .tables import cache_pictures, entries, pictures

PENDING = 3600  # seconds from writing a picture, or finding it in the cache, to the row that names it
NAMED = 60  # seconds that it is kept after such a row, because another request may be about to name it as well
_BATCH = 20  # files that are removed while the other writers wait

_named = or_(
    exists().where(entries.c.digest == pictures.c.digest),
    exists().where(cache_pictures.c.digest == pictures.c.digest),
)


class PictureGone(StoreError):
    """The picture was deleted before its row came. Draw it again, or put it once more."""


def claim(connection: Connection, digest: str, size: int, now: int) -> None:
    """Somebody will name this picture soon."""
    until = now + PENDING * 1000
    if not connection.execute(update(pictures).where(pictures.c.digest == digest).values(loose=until)).rowcount:
        connection.execute(insert(pictures).values(digest=digest, bytes=size, loose=until))


def hold(connection: Connection, digests: Collection[str], now: int) -> bool:
    """Somebody will name these pictures again; False when one of them is gone."""
    wanted = set(digests)
    done = connection.execute(update(pictures).where(pictures.c.digest.in_(wanted)).values(loose=now + PENDING * 1000))
    return done.rowcount == len(wanted)


def settle(connection: Connection, digests: Collection[str], now: int) -> bool:
    """A row that names these pictures comes in this transaction; False when one of them is gone."""
    wanted, until = set(digests), now + NAMED * 1000
    sooner = case((pictures.c.loose < until, pictures.c.loose), else_=until)
    done = connection.execute(update(pictures).where(pictures.c.digest.in_(wanted)).values(loose=sooner))
    return done.rowcount == len(wanted)


def loosen(connection: Connection, digests: Collection[str], now: int) -> None:
    """A row that named these pictures goes in this transaction: look at them at the next sweep."""
    connection.execute(
        update(pictures).where(pictures.c.digest.in_(set(digests)), pictures.c.loose.is_(None)).values(loose=now)
    )


def sweep(database: Database, files: Pictures, now: int) -> tuple[int, int]:
    """Remove every picture whose time is up and that no row names: how many, and their bytes."""
    due = pictures.c.loose <= now
    count = freed = 0
    while True:
        with database.read() as connection:  # most times there is nothing to do, and nobody needs to wait for that
            if connection.scalar(select(pictures.c.digest).where(due).limit(1)) is None:
                return count, freed
        with database.write() as connection:
            connection.execute(update(pictures).where(due, _named).values(loose=None))
            gone = connection.execute(select(pictures.c.digest, pictures.c.bytes).where(due).limit(_BATCH)).all()
            for digest, _ in gone:
                files.remove(digest)
            connection.execute(delete(pictures).where(pictures.c.digest.in_([digest for digest, _ in gone])))
        count, freed = count + len(gone), freed + sum(size for _, size in gone)
