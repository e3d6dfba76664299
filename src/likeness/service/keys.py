"""API keys: a secret that is shown once; the database has its SHA-256 only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select

from ..errors import UsageError
from .store import Store
from .store.database import storable
from .store.tables import keys

PREFIX = "lk-"


@dataclass(frozen=True)
class Key:
    """Who asks. `id` is the owner of this key's history; `admin` may load and unload models; no rate: the server's."""

    id: str
    name: str
    rate_per_minute: int | None
    admin: bool
    created: datetime


class Keys:
    """The keys in a store's database; a change holds for every server of that database from the next request on."""

    def __init__(self, store: Store) -> None:
        self._database = store.database

    def add(self, name: str, rate_per_minute: int | None = None, admin: bool = False) -> tuple[str, str]:
        """The new key's id and its secret. Raises `UsageError` when the name is empty or taken, or the rate under 1."""
        name = storable(name).strip()
        if not name:
            raise UsageError("a key needs a name: say whose it is")
        if rate_per_minute is not None and not 1 <= rate_per_minute < 2**31:
            raise UsageError(f"a rate of {rate_per_minute} requests a minute: give a number from 1 up")
        identity, secret = secrets.token_hex(8), PREFIX + secrets.token_urlsafe(32)  # 256 random bits
        with self._database.write() as connection:
            if connection.scalar(select(keys.c.id).where(keys.c.name == name)) is not None:
                raise UsageError(f"there is a key named {name!r}: remove it, or choose another name")
            row = {
                "id": identity, "name": name, "secret": _digest(secret), "rate_per_minute": rate_per_minute,
                "admin": admin, "created": int(time.time() * 1000),
            }  # fmt: skip
            connection.execute(insert(keys), row)
        return identity, secret

    def list(self) -> list[Key]:
        """All keys, the oldest first."""
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(select(keys).order_by(keys.c.created, keys.c.name))]

    def remove(self, id: str) -> bool:
        """Remove the key with this id; its history stays. False when there is none."""
        with self._database.write() as connection:
            return connection.execute(delete(keys).where(keys.c.id == storable(id))).rowcount > 0

    def find(self, secret: str) -> Key | None:
        """Whose secret this is. The database sees only its hash, whose order of letters tells a guesser nothing."""
        digest = _digest(secret)
        with self._database.read() as connection:
            row = connection.execute(select(keys).where(keys.c.secret == digest)).one_or_none()
        return _key(row) if row is not None and hmac.compare_digest(row.secret, digest) else None


def _digest(secret: str) -> str:
    # one hash is enough for 256 random bits: there is nothing to guess, so nothing to slow down
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _key(row: Row[Any]) -> Key:
    created = datetime.fromtimestamp(row.created / 1000, UTC)
    return Key(row.id, row.name, row.rate_per_minute, bool(row.admin), created)
