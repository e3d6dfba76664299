"""A request on its way through the engine: `Ticket`, the `Handle` that callers hold, and the places of its pictures."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from ..generate import seeds
from ..records import ImageRequest
from .engine import Event, Failed, Picture

ENDS = {"done", "failed", "cancelled"}


@dataclass(eq=False)
class Ticket:
    """A `Handle`. Its own state; who draws and who waits is the batcher's affair."""

    request: ImageRequest
    fingerprint: str = ""
    notes: tuple[str, ...] = ()
    previews: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    leave: Callable[[Ticket], None] = lambda ticket: None  # called once, when it ends before all pictures are there
    log: list[Event] = field(default_factory=list)
    pictures: dict[int, Picture] = field(default_factory=dict)
    failure: Failed | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _timer: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        return bool(self.log) and self.log[-1].kind in ENDS

    @property
    def started(self) -> bool:
        return any(event.kind == "started" for event in self.log)

    async def events(self) -> AsyncIterator[Event]:
        at = 0
        while True:
            while at < len(self.log):
                at += 1
                yield self.log[at - 1]
            if self.over:
                return
            await self._news.wait()

    async def result(self) -> list[Picture]:
        while not self.over:
            await self._news.wait()
        if self.failure:
            raise self.failure
        return [self.pictures[index] for index in sorted(self.pictures)]

    def cancel(self) -> None:
        self.fail(Failed("cancelled", "the request was cancelled"))

    def expire_in(self, seconds: float) -> None:
        late = Failed("expired", f"not finished within {seconds:g} s: allow more time, or ask for fewer steps")
        self._timer = asyncio.get_running_loop().call_later(seconds, self.fail, late)

    def tell(self, event: Event) -> None:
        """Put down what has happened. Nothing happens behind the end."""
        if self.over:
            return
        self.log.append(event)
        self._news.set()
        self._news = asyncio.Event()
        if event.kind in ENDS and self._timer:
            self._timer.cancel()

    def add(self, index: int, picture: Picture) -> None:
        if self.over:
            return
        self.pictures[index] = picture
        self.tell(Event("picture", index=index, picture=picture))
        if len(self.pictures) == self.request.count:
            self.tell(Event("done"))

    def fail(self, failure: Failed) -> None:
        if self.over:
            return
        self.failure = failure
        self.tell(Event("cancelled" if failure.kind == "cancelled" else "failed", message=str(failure)))
        self.leave(self)


@dataclass(frozen=True, eq=False)
class Place:
    """One picture of a ticket: `request` has its own seed and a count of 1."""

    ticket: Ticket
    index: int
    request: ImageRequest
    since: float  # the loop's time when it came into the queue


def places(ticket: Ticket, now: float) -> list[Place]:
    alone = [replace(ticket.request, seed=seed, count=1) for seed in seeds.of(ticket.request)]
    return [Place(ticket, index, request, now) for index, request in enumerate(alone)]
