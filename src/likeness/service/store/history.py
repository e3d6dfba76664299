"""What was asked and answered, for each owner: one row per picture or caption, with search, pages and favourites."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from ...errors import UsageError
from .database import Database, storable
from .folding import fold
from .ids import ID, mint
from .loose import PictureGone, loosen, settle
from .tables import cache_pictures, entries

KINDS = ("image", "caption")
LONGEST_PAGE = 200


@dataclass(frozen=True)
class NewEntry:
    """What goes into history. `owner` is an API key's id, or `local`; `request` is as resolved, plain JSON.

    A picture (`digest`) is stored before its entry. A caption has no digest, width, height or seed.
    """

    owner: str
    kind: str
    prompt: str
    request: dict[str, Any]
    negative_prompt: str = ""
    seed: int | None = None
    digest: str | None = None
    width: int | None = None
    height: int | None = None
    model: str = ""
    fingerprint: str = ""
    attributes: dict[str, Any] | None = None
    parent: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Entry:
    """A row of history: a `NewEntry` with its name, which sorts by time, and the time of recording in UTC."""

    id: str
    created: datetime
    favourite: bool
    owner: str
    kind: str
    prompt: str
    request: dict[str, Any]
    negative_prompt: str
    seed: int | None
    digest: str | None
    width: int | None
    height: int | None
    model: str
    fingerprint: str
    attributes: dict[str, Any] | None
    parent: str | None
    seconds: float


@dataclass(frozen=True)
class Page:
    """Some entries in order; `next` is the cursor of the page that follows, None after the last one."""

    entries: tuple[Entry, ...]
    next: str | None


@dataclass(frozen=True)
class Query:
    """What to look for. `text` is a part of the prompt, capitals ignored; newest entries first.

    `before` a cursor: older ones; `after` one: newer ones, the oldest of them first (what came since).
    """

    owner: str
    text: str = ""
    favourites: bool = False
    model: str | None = None
    kind: str | None = None
    before: str | None = None
    after: str | None = None
    limit: int = 50


def record(connection: Connection, entry: NewEntry, now: int) -> Entry:
    """Add a row, and give it a name greater than all others'. Raises `PictureGone` when its picture is not stored."""
    if entry.kind not in KINDS:
        raise UsageError(f"no entry of the kind {entry.kind!r}: {' or '.join(KINDS)}")
    if entry.digest is not None and not settle(connection, [entry.digest], now):
        raise PictureGone(f"the picture {entry.digest} is not stored any more: ask again")
    row = asdict(entry) | {
        "id": mint(now, connection.scalar(select(func.max(entries.c.id)))),
        "created": now,
        "folded": fold(entry.prompt),
        "request": json.dumps(entry.request),
        "attributes": None if entry.attributes is None else json.dumps(entry.attributes),
        "seed": None if entry.seed is None else str(entry.seed),
        "favourite": False,
    }
    row = {name: storable(value) if isinstance(value, str) else value for name, value in row.items()}
    connection.execute(insert(entries), row)
    return _entry(row)


def find(connection: Connection, name: str, owner: str) -> Entry | None:
    row = connection.execute(select(entries).where(*_its(name, owner))).one_or_none()
    return None if row is None else _entry(_plain(row))


def search(database: Database, query: Query) -> Page:
    """A page of history. Raises `UsageError` for a cursor that is none, or a limit under 1."""
    for cursor in (query.before, query.after):
        if cursor is not None and not ID.fullmatch(cursor):
            raise UsageError(f"no cursor: {cursor[:40]!r}. Take `next` of the page before.")
    if query.limit < 1:
        raise UsageError("a page has at least one entry: limit must be 1 or more")
    limit, wanted = min(query.limit, LONGEST_PAGE), select(entries).where(*_conditions(database, query))
    wanted = wanted.order_by(
        entries.c.id.asc() if query.after is not None and query.before is None else entries.c.id.desc()
    )
    with database.read() as connection:
        rows = connection.execute(wanted.limit(limit + 1)).all()
    found = tuple(_entry(_plain(row)) for row in rows[:limit])
    return Page(found, found[-1].id if len(rows) > limit else None)


def remove(connection: Connection, name: str, owner: str, now: int) -> list[str] | None:
    """Delete an entry; the keys of cached pictures that nobody's history names any more, None without such an entry."""
    done = connection.execute(delete(entries).where(*_its(name, owner)).returning(entries.c.digest)).one_or_none()
    if done is None:
        return None
    digest = done.digest
    if digest is None or connection.scalar(select(entries.c.id).where(entries.c.digest == digest).limit(1)) is not None:
        return []
    loosen(connection, [digest], now)
    return list(connection.scalars(select(cache_pictures.c.key).where(cache_pictures.c.digest == digest).distinct()))


def mark(connection: Connection, name: str, owner: str, on: bool) -> bool:
    """Make an entry a favourite, or not; False without such an entry."""
    return connection.execute(update(entries).where(*_its(name, owner)).values(favourite=on)).rowcount > 0


def _its(name: str, owner: str) -> tuple[ColumnElement[bool], ...]:
    # a name from outside that is none finds nothing, whatever the database thinks of its characters
    return entries.c.id == (name if ID.fullmatch(name) else ""), entries.c.owner == owner


def _conditions(database: Database, query: Query) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [entries.c.owner == query.owner]
    if part := fold(storable(query.text)):
        conditions.append(database.contains(entries.c.folded, part))
    if query.favourites:
        conditions.append(entries.c.favourite)
    if query.model is not None:
        conditions.append(entries.c.model == storable(query.model))
    if query.kind is not None:
        conditions.append(entries.c.kind == storable(query.kind))
    if query.before is not None:
        conditions.append(entries.c.id < query.before)
    if query.after is not None:
        conditions.append(entries.c.id > query.after)
    return conditions


def _plain(row: Row[Any]) -> dict[str, Any]:
    return {column.key: row._mapping[column] for column in entries.c}  # by our names, not the database's


_FIELDS = tuple(f.name for f in fields(Entry))


def _entry(row: dict[str, Any]) -> Entry:
    values = {name: row[name] for name in _FIELDS}
    values["created"] = datetime.fromtimestamp(row["created"] / 1000, UTC)
    values["favourite"] = bool(row["favourite"])
    values["request"] = json.loads(row["request"])
    values["attributes"] = None if row["attributes"] is None else json.loads(row["attributes"])
    values["seed"] = None if row["seed"] is None else int(row["seed"])
    return Entry(**values)
