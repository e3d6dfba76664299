"""What went wrong with the model hub, in one line that says what to do, and whose fault it is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

from ..config import suggest
from ..errors import LikenessError, ModelNotFound, Unreachable, UsageError

OFFLINE = "HF_HUB_OFFLINE"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_LOGIN = "log in with `hf auth login` (tokens are made at {hub}/settings/tokens), or set HF_TOKEN"

# HTTP status -> what to say. {id}: the repository, {hub}: the hub's address.
_STATUS = {
    401: (ModelNotFound, "{id}: the hub wants to know who you are: " + _LOGIN),
    403: (UsageError, "{id}: your token may not do that: take one with write access, or a repository of your own"),
    404: (ModelNotFound, "{id}: there is no such repository, or it is private{near}: check the id, or " + _LOGIN),
    409: (UsageError, "{id}: somebody else is changing it: try again"),
    413: (UsageError, "{id}: a file is too large for the hub: see {hub}/docs/hub/storage-limits"),
    429: (Unreachable, "{id}: the hub has had enough of us: try again in a few minutes"),
}
# class of the hub client's error -> the same
_KIND = {
    "GatedRepoError": (ModelNotFound, "{id}: accept its terms at {hub}/{id}, and " + _LOGIN),
    "DisabledRepoError": (ModelNotFound, "{id}: the hub has withdrawn it: choose another"),
    "RevisionNotFoundError": (ModelNotFound, "{id}: it has no such revision: look at {hub}/{id}/commits/main"),
    "RevisionResolutionError": (ModelNotFound, "{id}: it has no such revision: look at {hub}/{id}/commits/main"),
    "EntryNotFoundError": (ModelNotFound, "{id}: a file that it should have is missing"),
    "OfflineModeIsEnabled": (ModelNotFound, "{id}: offline mode is on: unset HF_HUB_OFFLINE"),
    "LocalTokenNotFoundError": (UsageError, "{id}: nobody is logged in: " + _LOGIN),
    "HFValidationError": (UsageError, "{id} is no repository's name: write OWNER/NAME, such as me/my-faces"),
    "LocalEntryNotFoundError": (Unreachable, "{id}: the hub did not answer: check the network and try again"),
    "TransportError": (Unreachable, "{id}: {hub} cannot be reached: check the network (or HF_ENDPOINT, https_proxy)"),
}


def offline() -> bool:
    """Whether the user has switched the hub off (`HF_HUB_OFFLINE`)."""
    return os.environ.get(OFFLINE, "").upper() in {"1", "TRUE", "YES", "ON"}


def translated(repository: str, error: BaseException, hub: str) -> LikenessError:
    """The hub client's error as one of ours. `hub`: its address. One that is ours already stays what it is."""
    for one in _chain(error):
        if isinstance(one, LikenessError):
            return one
        if found := _row(one):
            kind, text = found
            near = _near(repository) if "{near}" in text else ""
            return kind(text.format(id=repository, hub=hub, near=near))
        if isinstance(one, OSError) and one.errno in _FULL:
            where = f" for {one.filename}" if one.filename else ""
            return UsageError(f"{repository}: the disk is full{where}: make room and run the same command again")
    return Unreachable(f"{repository}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _row(error: BaseException) -> tuple[type[LikenessError], str] | None:
    """By the names of its classes, then by the status of the answer."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    text: Any = str(error).lower()
    for name in (cls.__name__ for cls in type(error).__mro__):
        if name in _KIND:
            return _KIND[name]
    if status in (403, 402, 507) and any(word in text for word in ("quota", "storage", "exceeded")):
        return UsageError, "{id}: the quota of your account is used up: see {hub}/settings/billing"
    if status == 401 and "invalid" in text:
        return ModelNotFound, "{id}: the hub does not know your token any more: " + _LOGIN
    if status in _STATUS:
        return _STATUS[status]
    if isinstance(status, int) and status >= 500:
        return Unreachable, f"{{id}}: the hub is in trouble (HTTP {status}): try again later; what has come is kept"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was raised from: uploads wrap theirs in a `RuntimeError`."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _near(repository: str) -> str:
    from .registry import MODELS

    near = suggest(repository, sorted({one for spec in MODELS.values() for one in spec.hub_ids}))
    return near.replace(": did", "; did", 1) if near.startswith(": did you mean") else ""
