"""Answers that need not be drawn again: by key, for a time, up to a size; what was not used longest goes first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, tuple_, update

from ...records import ImageRequest
from .database import Database, storable
from .loose import hold, loosen, settle
from .tables import cache, cache_pictures, pictures


@dataclass(frozen=True)
class Cached:
    """A picture of an answer: where its bytes are, its seed, and what the answer said of it (plain JSON)."""

    digest: str
    seed: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def cache_key(
    request: ImageRequest,
    fingerprint: str,
    lora_fingerprints: Mapping[str, str] | Sequence[str] = (),
    marks_version: str = "",
    inputs: Sequence[str] = (),
) -> str | None:
    """The name of this request's answer (SHA-256, hex), or None: a request without a seed has no answer of its own.

    `request` is as resolved, its seed as the caller gave it. `inputs` are the SHA-256 of the start image and mask, if
    any: their paths say nothing of what is in them, so a request with an image and without `inputs` has no key.
    """
    if request.seed is None or (request.image is not None and not inputs):
        return None
    asked = {name: value for name, value in asdict(request).items() if name not in ("image", "mask")}
    loras = sorted(lora_fingerprints.items()) if isinstance(lora_fingerprints, Mapping) else list(lora_fingerprints)
    facts = [asked, fingerprint, loras, marks_version, list(inputs)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Cache:
    """The rules: seconds that an answer is good for, and bytes of pictures and captions together."""

    ttl: float
    size_limit: int

    def pictures(self, database: Database, key: str, now: int) -> list[Cached] | None:
        """The answer under this key, its pictures held until they are recorded again; None without a fresh one."""
        live = self._live("image", key, now)
        with database.read() as connection:  # a miss, which is the usual case, waits for no writer
            if connection.scalar(select(cache.c.key).where(*live)) is None:
                return None
        with database.write() as connection:
            if not connection.execute(update(cache).where(*live).values(used=now)).rowcount:
                return None
            columns = cache_pictures.c
            rows = connection.execute(
                select(columns.digest, columns.seed, columns.facts).where(columns.key == key).order_by(columns.position)
            ).all()
            hold(connection, [row.digest for row in rows], now)
        return [Cached(r.digest, None if r.seed is None else int(r.seed), json.loads(r.facts)) for r in rows]

    def remember_pictures(self, connection: Connection, key: str, answer: Sequence[Cached], now: int) -> None:
        """Keep an answer unless a fresh one is there: the first stays, so that every later hit gives the same bytes."""
        digests = [picture.digest for picture in answer]
        if not digests or self._is_live(connection, "image", key, now):
            return
        size = connection.scalar(select(func.sum(pictures.c.bytes)).where(pictures.c.digest.in_(digests)))
        if not settle(connection, digests, now) or size > self.size_limit:
            return
        drop(connection, cache.c.kind == "image", cache.c.key == key, now=now)
        row = {"kind": "image", "key": key, "bytes": size, "created": now, "used": now}
        connection.execute(insert(cache), row)
        connection.execute(
            insert(cache_pictures),
            [
                {
                    "key": key, "position": position, "digest": p.digest,
                    "seed": None if p.seed is None else str(p.seed), "facts": json.dumps(p.facts),
                }
                for position, p in enumerate(answer)
            ],
        )  # fmt: skip
        self.evict(connection, now)

    def caption(self, database: Database, key: str, now: int) -> str | None:
        live = self._live("caption", key, now)
        with database.read() as connection:
            if connection.scalar(select(cache.c.key).where(*live)) is None:
                return None
        with database.write() as connection:
            found = connection.execute(update(cache).where(*live).values(used=now).returning(cache.c.text))
            return found.scalar_one_or_none()

    def remember_caption(self, connection: Connection, key: str, words: str, now: int) -> None:
        """Keep a text unless a fresh one is there."""
        words = storable(words)
        size = len(words.encode())
        if self._is_live(connection, "caption", key, now) or size > self.size_limit:
            return
        drop(connection, cache.c.kind == "caption", cache.c.key == key, now=now)
        row = {"kind": "caption", "key": key, "text": words, "bytes": size, "created": now, "used": now}
        connection.execute(insert(cache), row)
        self.evict(connection, now)

    def evict(self, connection: Connection, now: int) -> int:
        """Drop what was not used longest until the rest is within the limit; how many answers went."""
        if (connection.scalar(select(func.sum(cache.c.bytes))) or 0) <= self.size_limit:
            return 0
        order = (cache.c.used.desc(), cache.c.created.desc(), cache.c.kind, cache.c.key)
        total = func.sum(cache.c.bytes).over(order_by=order).label("total")
        ranked = select(cache.c.kind, cache.c.key, total).subquery()
        over = select(ranked.c.kind, ranked.c.key).where(ranked.c.total > self.size_limit)
        return drop(connection, tuple_(cache.c.kind, cache.c.key).in_(over), now=now)

    def expired(self, now: int) -> ColumnElement[bool]:
        return cache.c.created <= now - round(self.ttl * 1000)

    def _live(self, kind: str, key: str, now: int) -> tuple[ColumnElement[bool], ...]:
        return cache.c.kind == kind, cache.c.key == key, ~self.expired(now)

    def _is_live(self, connection: Connection, kind: str, key: str, now: int) -> bool:
        return connection.scalar(select(cache.c.key).where(*self._live(kind, key, now))) is not None


def drop(connection: Connection, *which: ColumnElement[bool], now: int) -> int:
    """Forget these answers and let go of their pictures; how many answers there were."""
    gone = connection.execute(delete(cache).where(*which).returning(cache.c.kind, cache.c.key)).all()
    keys = [row.key for row in gone if row.kind == "image"]
    for start in range(0, len(keys), 500):  # databases take some thousands of values in a statement
        named = cache_pictures.c.key.in_(keys[start : start + 500])
        digests = connection.scalars(delete(cache_pictures).where(named).returning(cache_pictures.c.digest)).all()
        loosen(connection, digests, now)
    return len(gone)


def drop_older(database: Database, moment: int, now: int) -> int:
    """Forget every answer that was made at this time or before; looks first, because there is seldom one."""
    which = cache.c.created <= moment
    with database.read() as connection:
        if connection.scalar(select(cache.c.key).where(which).limit(1)) is None:
            return 0
    with database.write() as connection:
        return drop(connection, which, now=now)
