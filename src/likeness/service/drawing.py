"""From a plan to answered pictures: cache, then the engine, then store and history, in this order and never without."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from .asking import Desk, Plan
from .engine import Event, Failed, Handle, ImageEngine, Picture
from .metrics import Metrics
from .store import Cached, Entry, NewEntry, Store

Tell = Callable[[Event, "Drawn | None"], None]


@dataclass(frozen=True)
class Drawn:
    """One answered picture: it lies in the store, and its entry in history."""

    entry: Entry
    recipe: dict[str, Any]
    cached: bool


@dataclass(frozen=True)
class Answer:
    """All pictures of a request in the order of their seeds."""

    plan: Plan
    pictures: list[Drawn]
    notes: tuple[str, ...] = ()


class Studio:
    """Draws plans. Two equal ones at once are drawn once: the second waits for the first one's answer in the cache."""

    def __init__(self, desk: Desk, engine: ImageEngine, store: Store, metrics: Metrics) -> None:
        self.desk, self.engine, self.store, self.metrics = desk, engine, store, metrics
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}
        self._live: set[Handle] = set()
        self._closed = False

    async def draw(self, plan: Plan, tell: Tell | None = None, previews: bool = False) -> Answer:
        """Raises `Busy`, `Failed`, `UsageError`, `StoreError` or `TimeoutError`; when cancelled, its place is free.

        `tell` hears every event; for a picture when it is in history.
        """
        tell = tell or _silent
        try:
            if plan.key in self._turns:
                tell(Event("queued"), None)
            async with asyncio.timeout(plan.deadline + 5), self._turn(plan.key):
                found = await self._cached(plan)
                return found if found is not None else await self._drawn(plan, tell, previews)
        finally:
            self.desk.uploads.release(*plan.files)

    def close(self) -> None:
        """Give up what is left: each request fails as cancelled, and new ones do too."""
        self._closed = True
        for handle in list(self._live):
            handle.cancel()

    async def _drawn(self, plan: Plan, tell: Tell, previews: bool) -> Answer:
        if self._closed:
            raise Failed("cancelled", "the server is closing: ask again in a little while")
        handle = await self.engine.submit(plan.request, plan.deadline, previews)
        self._live.add(handle)
        pictures: dict[int, Drawn] = {}
        kept: dict[int, Cached] = {}
        try:
            async for event in handle.events():
                if event.kind == "picture" and event.picture is not None:
                    pictures[event.index], kept[event.index] = await self._keep(plan, event.picture, handle.notes)
                    tell(event, pictures[event.index])
                elif event.kind in ("queued", "started", "step", "preview"):
                    tell(event, None)
            await handle.result()  # raises what went wrong
        except Failed as error:
            if self._closed and error.kind == "cancelled":
                raise Failed("cancelled", "the server is closing: ask again in a little while") from None
            raise
        finally:
            self._live.discard(handle)
            handle.cancel()  # no harm when it is over; frees the place when this task was cancelled
        ordered = sorted(pictures)
        await anyio.to_thread.run_sync(self.store.remember, plan.key, [kept[index] for index in ordered])
        return Answer(plan, [pictures[index] for index in ordered], handle.notes)

    async def _cached(self, plan: Plan) -> Answer | None:
        """The answer that the cache holds, in history once more, since it is answered once more."""
        if plan.key is None:
            return None
        found = await anyio.to_thread.run_sync(self.store.cached, plan.key)
        if found is None:
            self.metrics.misses.inc()
            return None
        self.metrics.hits.inc()
        drawn = []
        for one in found:
            facts = one.facts
            entry = await self._record(plan, one.digest, one.seed, facts["width"], facts["height"], 0.0)
            drawn.append(Drawn(entry, facts["recipe"], True))
            self.metrics.pictures.labels(plan.request.model, "yes").inc()
        return Answer(plan, drawn, tuple(found[0].facts.get("notes", ())))

    async def _keep(self, plan: Plan, picture: Picture, notes: tuple[str, ...]) -> tuple[Drawn, Cached]:
        digest = await anyio.to_thread.run_sync(self.store.put_picture, picture.png)
        entry = await self._record(plan, digest, picture.seed, picture.width, picture.height, picture.seconds)
        model = plan.request.model
        self.metrics.pictures.labels(model, "no").inc()
        self.metrics.drawing.labels(model).observe(picture.seconds)
        size = {"width": picture.width, "height": picture.height}
        facts = size | {"recipe": picture.recipe, "notes": list(notes)}
        return Drawn(entry, picture.recipe, False), Cached(digest, picture.seed, facts)

    async def _record(
        self, plan: Plan, digest: str, seed: int | None, width: int, height: int, seconds: float
    ) -> Entry:
        entry = NewEntry(
            owner=plan.owner, kind="image", prompt=plan.request.prompt,
            negative_prompt=plan.request.negative_prompt, request=plan.told | {"seed": seed, "count": 1}, seed=seed,
            digest=digest, width=width, height=height,
            model=plan.request.model, fingerprint=plan.fingerprint, attributes=plan.attributes, parent=plan.parent,
            seconds=seconds,
        )  # fmt: skip
        return await anyio.to_thread.run_sync(self.store.record, entry)

    @contextlib.asynccontextmanager
    async def _turn(self, key: str | None) -> AsyncIterator[None]:
        """One at a time for each key; a lock goes when nobody waits for it."""
        if key is None:
            yield
            return
        lock, waiting = self._turns.get(key, (asyncio.Lock(), 0))
        self._turns[key] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns[key]
            if waiting == 1:
                del self._turns[key]
            else:
                self._turns[key] = (lock, waiting - 1)


def _silent(event: Event, drawn: Drawn | None) -> None:
    pass
