"""The store as the routes see it: history, cache and pictures behind one object that any thread may use."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select, text

from . import history
from .cache import Cache, Cached, drop, drop_older
from .database import Database, StoreError
from .history import Entry, NewEntry, Page, Query
from .loose import PENDING, claim, sweep
from .migrations import migrate
from .pictures import Pictures
from .tables import cache, entries, pictures

TIDY = 60  # seconds between two tidyings of one server
_FOREVER = 1 << 62  # ms: later than any clock of another server

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Purged:
    """What went: answers of the cache, and picture files with their bytes (history's pictures stay)."""

    answers: int
    pictures: int
    bytes: int


class Store:
    """Made by `Store.open`. All its methods may wait for the disk or a server: call them from a thread.

    Each may raise `StoreError` (the database or the folder does not answer; the same may work later).
    """

    def __init__(
        self, database: Database, files: Pictures, rules: Cache, enabled: bool, clock: Callable[[], float]
    ) -> None:
        self.database = database
        self._files, self._cache, self._enabled, self._clock = files, rules, enabled, clock
        self._tidied = 0.0

    @classmethod
    def open(
        cls,
        url: str,
        pictures: str | Path,
        ttl: float = 3600,
        size_limit: int = 2 << 30,
        enabled: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> Store:
        """Connect, bring the tables up to date, and sweep up after a server that was killed.

        `url`: sqlite:///PATH or postgresql://…; `pictures`: a folder or an fsspec URL; `ttl` (seconds), `size_limit`
        (bytes) and `enabled` are the cache's. Raises `UsageError`, `MissingExtra`, `StoreError`.
        """
        store = cls(Database(url), Pictures(pictures), Cache(ttl, size_limit), enabled, clock)
        migrate(store.database)
        store._files.remove_leftovers(PENDING)
        store._tidy_up()
        return store

    def close(self) -> None:
        self.database.close()

    def put_picture(self, png: bytes) -> str:
        """Store a picture for good and return its SHA-256. Without an entry or a cached answer it goes in an hour."""
        digest = hashlib.sha256(png).hexdigest()
        with self.database.write() as connection:
            claim(connection, digest, len(png), self._now())
        self._files.write(digest, png)
        return digest

    def picture(self, digest: str) -> bytes | None:
        """The same bytes that were put, or None."""
        return self._files.read(digest)

    def record(self, entry: NewEntry) -> Entry:
        """Write an entry; when this returns it is on the disk. Raises `PictureGone` if its picture was not put."""
        with self.database.write() as connection:
            done = history.record(connection, entry, self._now())
        self._tidy_sometimes()
        return done

    def entry(self, id: str, owner: str) -> Entry | None:
        with self.database.read() as connection:
            return history.find(connection, id, owner)

    def search(
        self,
        owner: str,
        text: str = "",
        favourites: bool = False,
        model: str | None = None,
        kind: str | None = None,
        before: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page:
        """A page of the owner's history, as `Query` says: the newest first. Raises `UsageError` for a wrong cursor.

        Entries that come or go while somebody pages neither repeat nor hide another one.
        """
        asked = Query(owner, text, favourites, model, kind, before, after, limit)
        return history.search(self.database, asked)

    def delete(self, id: str, owner: str) -> bool:
        """Delete an entry, and its picture unless another entry names it (cached answers with it are forgotten)."""
        with self.database.write() as connection:
            now = self._now()
            keys = history.remove(connection, id, owner, now)
            if keys:
                drop(connection, cache.c.kind == "image", cache.c.key.in_(keys), now=now)
        if keys is not None:
            self._sweep()
        return keys is not None

    def favourite(self, id: str, owner: str, on: bool) -> bool:
        """Make an entry a favourite, or not; False when the owner has no such entry."""
        with self.database.write() as connection:
            return history.mark(connection, id, owner, on)

    def cached(self, key: str | None) -> list[Cached] | None:
        """The answer under this key, if there is a fresh one with all its files; they stay until it is recorded."""
        if not self._enabled or not key:
            return None
        name = _name(key)
        found = self._cache.pictures(self.database, name, self._now())
        if found is not None and not all(self._files.exists(picture.digest) for picture in found):
            with self.database.write() as connection:
                drop(connection, cache.c.kind == "image", cache.c.key == name, now=self._now())
            return None
        return found

    def remember(self, key: str | None, answer: Sequence[Cached]) -> None:
        """Keep an answer whose pictures were put. Nothing happens without a key, or while a fresh answer is there."""
        if self._enabled and key:
            with self.database.write() as connection:
                self._cache.remember_pictures(connection, _name(key), answer, self._now())
            self._tidy_sometimes()

    def cached_caption(self, key: str) -> str | None:
        return self._cache.caption(self.database, _name(key), self._now()) if self._enabled else None

    def remember_caption(self, key: str, caption: str) -> None:
        if self._enabled:
            with self.database.write() as connection:
                self._cache.remember_caption(connection, _name(key), caption, self._now())
            self._tidy_sometimes()

    def purge(self, older_than: float | None = None, all: bool = False) -> Purged:
        """Empty the cache of what has expired, of what is so many seconds old, or of everything.

        Files that an entry of history names stay; those of the last minutes may be in use and go a little later.
        """
        now = self._now()
        age = self._cache.ttl if older_than is None else older_than
        answers = drop_older(self.database, _FOREVER if all else now - round(age * 1000), now)
        return Purged(answers, *sweep(self.database, self._files, now))

    def tidy(self) -> Purged:
        """Drop what has expired or is too much for the cache, and pictures that nothing names; happens by itself."""
        now = self._now()
        answers = drop_older(self.database, now - round(self._cache.ttl * 1000), now)
        with self.database.write() as connection:
            answers += self._cache.evict(connection, now)
        return Purged(answers, *sweep(self.database, self._files, now))

    def check(self) -> None:
        """Write a row and look at the folder: raises `StoreError` when the store is not fit for use."""
        with self.database.write() as connection:
            connection.execute(text("UPDATE schema_version SET version = version"))
        if not self._files.writable():
            raise StoreError(f"the pictures' folder {self._files.where} cannot be written")

    def counts(self) -> dict[str, int]:
        """Numbers for the metrics: rows and bytes. One pass over the tables: not for every request."""
        asked = {
            "entries": select(func.count()).select_from(entries),
            "favourites": select(func.count()).select_from(entries).where(entries.c.favourite),
            "cached": select(func.count()).select_from(cache),
            "cached_bytes": select(func.coalesce(func.sum(cache.c.bytes), 0)),
            "pictures": select(func.count()).select_from(pictures),
            "picture_bytes": select(func.coalesce(func.sum(pictures.c.bytes), 0)),
        }
        with self.database.read() as connection:
            return {name: int(connection.scalar(query) or 0) for name, query in asked.items()}

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _tidy_sometimes(self) -> None:
        if self._clock() - self._tidied >= TIDY:
            self._tidy_up()

    def _tidy_up(self) -> None:
        self._tidied = self._clock()  # two threads that come here at once do no harm
        try:
            self.tidy()
        except StoreError as error:  # what was asked for is done; the next one tries again
            log.warning("the store could not be tidied: %s", error)

    def _sweep(self) -> None:
        try:
            sweep(self.database, self._files, self._now())
        except StoreError as error:
            log.warning("pictures without entries could not be removed yet: %s", error)


def _name(key: str) -> str:
    """A key as the table has it: of one length, whatever it was made of."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
