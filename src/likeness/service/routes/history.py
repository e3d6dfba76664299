"""/v1/history: what was asked and answered, newest first; search, pages, favourites, deletion."""

from __future__ import annotations

from typing import Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Query, Request

from .. import answers
from ..documented import errors
from ..parts import Here, Parts
from ..problems import Problem
from ..schemas import DeletedAnswer, EntryAnswer, HistoryAnswer
from ..security import KEY, Caller, Guarded, Who

router = APIRouter(route_class=Guarded, tags=["history"], dependencies=KEY)


@router.get("/v1/history", responses=errors(400, 422))
async def search(
    request: Request,
    parts: Here,
    who: Who,
    q: Annotated[str, Query(max_length=500, description="A part of the prompt; capitals do not matter.")] = "",
    favourites: bool = False,
    model: Annotated[str | None, Query(max_length=200)] = None,
    kind: Literal["image", "caption"] | None = None,
    cursor: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> HistoryAnswer:
    """A page of the caller's own history."""

    def look() -> HistoryAnswer:
        page = parts.store.search(
            who.owner, text=q, favourites=favourites, model=model, kind=kind, before=cursor, limit=limit
        )
        base = answers.base_url(request, parts.settings)
        return HistoryAnswer(entries=[answers.entry(one, base) for one in page.entries], next=page.next)

    return await anyio.to_thread.run_sync(look)


@router.get("/v1/history/{id}", responses=errors(404, 422))
async def entry(id: str, request: Request, parts: Here, who: Who) -> EntryAnswer:
    return await _entry(id, request, parts, who)


@router.delete("/v1/history/{id}", responses=errors(404, 422))
async def delete(id: str, parts: Here, who: Who) -> DeletedAnswer:
    """Delete an entry, and its picture unless another entry has the same."""
    if not await anyio.to_thread.run_sync(parts.store.delete, id, who.owner):
        raise _missing()
    return DeletedAnswer(id=id, deleted=True)


@router.put("/v1/history/{id}/favourite", responses=errors(404, 422))
async def keep(id: str, request: Request, parts: Here, who: Who) -> EntryAnswer:
    """Make it a favourite."""
    return await _mark(id, True, request, parts, who)


@router.delete("/v1/history/{id}/favourite", responses=errors(404, 422))
async def unkeep(id: str, request: Request, parts: Here, who: Who) -> EntryAnswer:
    """Make it no favourite."""
    return await _mark(id, False, request, parts, who)


async def _mark(id: str, on: bool, request: Request, parts: Parts, who: Caller) -> EntryAnswer:
    if not await anyio.to_thread.run_sync(parts.store.favourite, id, who.owner, on):
        raise _missing()
    return await _entry(id, request, parts, who)


async def _entry(id: str, request: Request, parts: Parts, who: Caller) -> EntryAnswer:
    found = await anyio.to_thread.run_sync(parts.store.entry, id, who.owner)
    if found is None:
        raise _missing()
    return answers.entry(found, answers.base_url(request, parts.settings))


def _missing() -> Problem:
    return Problem(404, "entry_not_found", "no such entry in your history")
