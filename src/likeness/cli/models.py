"""`likeness models list | pull | remove | card | push`: models of the hub, on this disk and on their way there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from . import output as out
from .models_push import card, push, size

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
app.command("card")(card)
app.command("push")(push)
Names = Annotated[list[str], typer.Argument(help="Names of `likeness models list`, or hub ids.", show_default=False)]


@app.command("list")
def list_models(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the models that are known by name: family, licence, size, and where they lie."""
    from ..models.registry import MODELS

    rows = [_facts(spec) for spec in MODELS.values()]
    if json:
        out.as_json(rows)
        return
    head = ("name", "family", "licence", "on disk", "where")
    out.table([head, *((r["name"], r["family"], r["license"], size(r["bytes"]), r["path"] or r["hub"]) for r in rows)])


@app.command()
def pull(
    names: Names,
    half: Annotated[
        bool, typer.Option("--half", help="Half-precision files where there are any: for GPUs, half the size.")
    ] = False,
    revision: Annotated[
        str | None, typer.Option(help="A commit, tag or branch instead of the pinned one.", show_default=False)
    ] = None,
    sha256: Annotated[
        list[str] | None,
        typer.Option(help="What a weights file must have, as DIGITS or FILE=DIGITS. Repeatable.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would come, and its size.")] = False,
) -> None:
    """Download models, or go on with a download that was stopped; check their weights. Prints where each lies."""
    from ..models import download

    if sha256 and len(names) > 1:
        raise UsageError("--sha256 goes with one model: pull them one by one")
    for name in names:
        if dry_run:
            rows = download.plan(name, revision, half)
            out.table([("file", "size", ""), *((f, size(n), "to come" if c else "here") for f, n, c in rows)])
            out.result(f"{name}: {size(sum(n for _, n, to_come in rows if to_come))} to come")
        else:
            out.result(str(download.pull(name, revision, half, sha256 or ())))


@app.command()
def remove(
    names: Names,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove downloaded models from the hub's cache on this disk."""
    from ..models.registry import MODELS

    wanted: list[str] = []
    for name in names:
        spec = MODELS.get(name.lower())
        if spec is not None and spec.asset is not None:
            raise UsageError(f"{spec.name} is a part of likeness and stays: uninstall likeness to remove it")
        wanted += spec.hub_ids if spec is not None else [name]
    cache = _cache()
    found = [repo for repo in cache.repos if repo.repo_id in wanted] if cache else []
    if not found:
        raise UsageError(f"nothing of {', '.join(names)} is in the cache: see `likeness models list`")
    plan = cache.delete_revisions(*(revision.commit_hash for repo in found for revision in repo.revisions))
    what = f"{', '.join(repo.repo_id for repo in found)} ({plan.expected_freed_size_str})"
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"this would remove {what}: add --yes")
        typer.confirm(f"Remove {what}?", abort=True, err=True)
    plan.execute()
    out.result(f"removed {what}")


def _facts(spec: Any) -> dict[str, Any]:
    from ..models.adapters import cached_lora
    from ..models.registry import present

    place = cached_lora(spec.hub_ids[0]) if spec.family == "lora" else present(spec)
    return {
        "name": spec.name, "family": spec.family, "title": spec.title, "license": spec.license, "base": spec.base,
        "bytes": _bytes(place) if place else 0, "path": str(place) if place else None,
        "hub": spec.hub_ids[0] if spec.hub_ids else None,
    }  # fmt: skip


def _cache() -> Any:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        return scan_cache_dir()
    except CacheNotFound:
        return None


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
