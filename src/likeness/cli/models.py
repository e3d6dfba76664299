"""`likeness models list | pull | remove`: what there is to draw with, and what of it lies on this disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from . import output as out

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
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
    out.table([head, *((r["name"], r["family"], r["license"], _size(r["bytes"]), r["path"] or r["hub"]) for r in rows)])


@app.command()
def pull(
    names: Names,
    half: Annotated[
        bool, typer.Option("--half", help="Half-precision files where there are any: for GPUs, half the size.")
    ] = False,
) -> None:
    """Download models, or go on with a download that was stopped. Prints where each lies."""
    from ..models.adapters import locate_lora
    from ..models.registry import find, locate

    for spec in [find(name) for name in names]:
        out.result(str(locate_lora(spec.hub_ids[0]).parent if spec.family == "lora" else locate(spec, half)))


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


def _size(count: float) -> str:
    """1234567 -> `1.2 MB`."""
    if not count:
        return "-"
    units = iter(("B", "KB", "MB", "GB"))
    unit = next(units)
    while count >= 1000 and unit != "GB":
        count, unit = count / 1000, next(units)
    return f"{count:.0f} {unit}" if count >= 10 else f"{count:.1f} {unit}"
