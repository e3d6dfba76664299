"""What goes out: records of the engine and the store in the form that the OpenAPI document promises."""

from __future__ import annotations

import base64
import time
from typing import Any

import anyio.to_thread
from fastapi import Request

from .drawing import Answer, Drawn
from .schemas import EntryAnswer, ImagesAnswer, PictureAnswer
from .settings import Settings
from .store import Entry, Store


def base_url(request: Request, settings: Settings) -> str:
    """The server's address as its clients see it, without a slash."""
    return (settings.public_url or str(request.base_url)).rstrip("/")


def picture_url(base: str, digest: str) -> str:
    return f"{base}/v1/images/{digest}.png"


def picture(drawn: Drawn, base: str, b64: str | None = None) -> PictureAnswer:
    entry = drawn.entry
    assert entry.digest and entry.width and entry.height and entry.seed is not None
    return PictureAnswer(
        id=entry.id, url=picture_url(base, entry.digest), b64_json=b64, seed=entry.seed, width=entry.width,
        height=entry.height, digest=entry.digest, cached=drawn.cached, recipe=drawn.recipe,
    )  # fmt: skip


async def images(answer: Answer, base: str, store: Store, inline: bool) -> ImagesAnswer:
    """The answer to POST /v1/images; `inline`: the bytes too."""
    encoded = [await in_base64(store, drawn) if inline else None for drawn in answer.pictures]
    return ImagesAnswer(
        id=f"img_{answer.pictures[0].entry.id}",
        created=int(time.time()),
        pictures=[picture(drawn, base, text) for drawn, text in zip(answer.pictures, encoded, strict=True)],
        notes=list(answer.notes),
        model=answer.plan.request.model,
        fingerprint=answer.plan.fingerprint,
    )


async def in_base64(store: Store, drawn: Drawn) -> str:
    data = await anyio.to_thread.run_sync(store.picture, drawn.entry.digest or "")
    assert data is not None, "a picture of history is on the disk"
    return base64.b64encode(data).decode()


def entry(found: Entry, base: str) -> EntryAnswer:
    plain: dict[str, Any] = {name: getattr(found, name) for name in EntryAnswer.model_fields if name != "url"}
    plain |= {"created": found.created.isoformat(), "url": picture_url(base, found.digest) if found.digest else None}
    return EntryAnswer(**plain)
