"""Models of the hub come to this disk: pinned to a revision, checked by hash, gone on with where they stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config import suggest
from ..errors import LikenessError, ModelNotFound, UsageError
from . import hub as hub_client
from . import registry
from .hub import HUB_ID, hub, hub_reachable
from .hub_errors import translated

Row = tuple[str, int, bool]  # file, bytes, whether it is to come


def pull(name: str, revision: str | None = None, half: bool = False, hashes: Sequence[str] = ()) -> Path:
    """The folder of a model (a name or hub id: pipeline, LoRA, anything with weights), downloaded if need be.

    Its weights are checked against the hub's own hashes and `hashes` (see `hub.check`).

    Raises `ModelNotFound`, `UsageError` and `Unreachable` with what to do.
    """
    spec = registry.MODELS.get(name.lower())
    if spec and spec.asset:
        if revision:
            raise UsageError(f"{spec.name} is a part of likeness and has no revisions: leave --revision out")
        place = registry.locate(spec)
        hub_client.check(place, spec.name, hashes)
        return place
    reasons: list[LikenessError] = []
    for repository, pinned in _sources(name, revision):
        try:
            place = _place(repository, pinned, half)
            hub_client.check(place, repository, hashes)
            return place
        except LikenessError as error:
            reasons.append(error)
    raise reasons[0]


def plan(name: str, revision: str | None = None, half: bool = False) -> list[Row]:
    """What `pull` would fetch."""
    spec = registry.MODELS.get(name.lower())
    if spec and spec.asset:
        return []
    repository, pinned = _sources(name, revision)[0]
    if not hub_reachable():
        raise hub_client.unreachable(repository, repository)
    try:
        rows = hub_client.fetch(repository, pinned, half, dry=True)
    except Exception as error:  # the hub client raises a wide family
        raise translated(repository, error, hub()) from None
    return [(row.filename, int(row.file_size or 0), bool(row.will_download)) for row in rows]


def _sources(name: str, revision: str | None) -> list[tuple[str, str | None]]:
    """Repositories to try, each with its revision. Raises `ModelNotFound` for what names none."""
    spec = registry.MODELS.get(name.lower())
    spec = spec or next((one for one in registry.MODELS.values() if name in one.hub_ids[:1]), None)
    if spec and revision:
        return [(spec.hub_ids[0], revision)]
    if spec:
        return registry.sources(spec)
    if not HUB_ID.fullmatch(name):
        raise ModelNotFound(
            f"{name!r} is no model and no OWNER/NAME of the hub{suggest(name, sorted(registry.MODELS))}"
        )
    return [(name, revision)]


def _place(repository: str, revision: str | None, half: bool) -> Path:
    """The snapshot of a repository. Without a network the one that is on this disk, if it is whole."""
    if not hub_reachable():
        found = hub_client.snapshot(repository, revision)
        if found is None or not registry.whole(found):
            raise hub_client.unreachable(repository, repository)
        return found
    try:
        place = Path(hub_client.fetch(repository, revision, half))
    except Exception as error:  # the hub client raises a wide family
        raise translated(repository, error, hub()) from None
    if not any(hub_client.is_weights(path.name) for path in place.rglob("*")):
        raise ModelNotFound(f"{repository} holds no weights that can be read safely (.safetensors): choose another")
    return place
