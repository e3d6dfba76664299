"""`likeness keys add | list | remove`: who may use the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from . import output as out

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
Config = Annotated[
    Path | None, typer.Option("--config", help="The service's settings; its database is used.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    rate: Annotated[
        int | None, typer.Option(help="Requests a minute; the service's own limit if not set.", show_default=False)
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="May load and unload models.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make a key. Its secret is shown now and never again; running servers know it at once."""
    with _keys(config) as keys:
        id, secret = keys.add(name, rate, admin)
    if json:
        out.as_json({"id": id, "name": name, "secret": secret, "rate_per_minute": rate, "admin": admin})
        return
    out.result(secret)
    out.remark(f"key {id} for {name}: send it as Authorization: Bearer {secret[:6]}…; it is not shown again")


@app.command("list")
def list_keys(config: Config = None, json: Json = False) -> None:
    """List the keys, without their secrets."""
    with _keys(config) as keys:
        rows = [
            {"id": k.id, "name": k.name, "rate_per_minute": k.rate_per_minute, "admin": k.admin,
             "created": k.created.isoformat(timespec="seconds")}
            for k in keys.list()
        ]  # fmt: skip
    if json:
        out.as_json(rows)
        return
    head = ("id", "name", "rate", "admin", "created")
    out.table(
        [head, *((r["id"], r["name"], str(r["rate_per_minute"] or "-"), _yes(r["admin"]), r["created"]) for r in rows)]
    )


@app.command()
def remove(
    ids: Annotated[list[str], typer.Argument(help="Ids or names of `likeness keys list`.", show_default=False)],
    config: Config = None,
) -> None:
    """Remove keys. Who has one of them is refused from the next request on; the history stays."""
    with _keys(config) as keys:
        known = {name: k.id for k in keys.list() for name in (k.id, k.name)}
        if unknown := [id for id in ids if id not in known]:
            raise UsageError(f"no key {unknown[0]!r}: see `likeness keys list`")
        for id in dict.fromkeys(known[id] for id in ids):
            keys.remove(id)
            out.result(f"removed {id}")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


@contextmanager
def _keys(config: Path | None) -> Iterator[Any]:
    from ..service.keys import Keys
    from ..service.settings import read
    from ..service.store import Store

    settings = read(config)
    store = Store.open(settings.database_url, settings.picture_place, settings.cache_ttl, settings.cache_size)
    try:
        yield Keys(store)
    finally:
        store.close()
