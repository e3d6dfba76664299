"""Who is drawn next, and together with whom: a bounded queue, first come first served, batches of alike pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import ceil
from typing import Any, Protocol

from ..generate.resolve import shape
from .engine import Busy, Event, Failed
from .tickets import Place, Ticket, places

SECONDS = 2.0  # what a batch is taken to last before one was seen
SMOOTH = 0.2  # share of the newest batch in the mean of their seconds


class Artist(Protocol):
    """Draws one batch at a time, and reports to the batcher."""

    @property
    def free(self) -> bool: ...

    def draw(self, batch: Sequence[Place], sharing: int) -> None:
        """`sharing`: how many artists draw now, this one included; they share the machine."""
        ...

    def leave(self, place: Place) -> None:
        """Nobody waits for this picture any more; no harm if it is not drawn here."""
        ...


class Batcher:
    """Everything happens in one event loop.

    The oldest picture that waits goes next, with those like it that wait too, `max_batch` at most. A free artist waits
    up to `max_wait` seconds for company, counted from the oldest's coming; several free artists share evenly.
    """

    def __init__(self, artists: Sequence[Artist], max_batch: int = 8, max_wait: float = 0.05, queue: int = 64) -> None:
        self.artists, self.max_batch, self.max_wait, self.queue = artists, max_batch, max_wait, queue
        self.waiting: list[Place] = []
        self.drawn_by: dict[Place, Artist] = {}
        self.counts = dict.fromkeys(("batches", "pictures", "crashes", "left"), 0)
        self.seconds = SECONDS  # of a batch, smoothed
        self._began: dict[int, float] = {}  # artist -> when its batch began
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, ticket: Ticket, deadline: float | None = None) -> None:
        """Raises `Busy`. A request larger than the whole queue is taken when nobody waits."""
        if self.waiting and len(self.waiting) + ticket.request.count > self.queue:
            raise Busy(self.patience())
        ticket.leave = self._leave
        self.waiting += places(ticket, asyncio.get_running_loop().time())
        ahead = len({place.ticket for place in self.waiting}) - 1
        ticket.tell(Event("queued", position=ahead))
        if deadline is not None:
            ticket.expire_in(deadline)
        self.pump()

    def patience(self) -> float:
        """Seconds until a place is likely: what is left of the batch that ends first, and at least one."""
        now = asyncio.get_running_loop().time()
        left = [began + self.seconds - now for began in self._began.values()]
        return max(1.0, min(left, default=self.seconds))

    def depth(self) -> dict[str, int]:
        queued = {place.ticket for place in self.waiting if not place.ticket.started}
        running = {place.ticket for place in self.drawn_by}
        return {
            "queued": len(queued), "running": len(running), "waiting": len(self.waiting), "drawing": len(self.drawn_by),
            **self.counts,
        }  # fmt: skip

    def pump(self) -> None:
        """Give free artists what waits. Called whenever either may have changed."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        took = False
        while self.waiting and (free := [artist for artist in self.artists if artist.free]):
            alike = self._alike()
            now = asyncio.get_running_loop().time()
            ripe = alike[0].since + self.max_wait
            if len(alike) < self.max_batch and now < ripe:
                self._timer = asyncio.get_running_loop().call_at(ripe, self.pump)
                break
            batch = alike[: min(self.max_batch, ceil(len(alike) / len(free)))]
            soon = min(len(free) - 1, len(self.waiting) - len(batch))  # those who begin right behind this one
            self._begin(free[0], batch, len(self._began) + 1 + soon, now)
            took = True
        if took:
            self._tell_positions()

    def _alike(self) -> list[Place]:
        """Those that could be drawn with the one that came first."""
        wanted = kind(self.waiting[0])
        return [place for place in self.waiting if kind(place) == wanted]

    def _begin(self, artist: Artist, batch: list[Place], sharing: int, now: float) -> None:
        taken = set(batch)
        self.waiting = [place for place in self.waiting if place not in taken]
        self._began[id(artist)] = now
        self.counts["batches"] += 1
        for place in batch:
            self.drawn_by[place] = artist
            if not place.ticket.started:
                place.ticket.tell(Event("started", steps=place.request.steps or 0))
        artist.draw(batch, sharing)

    def _tell_positions(self) -> None:
        told: dict[Ticket, int] = {}
        for place in self.waiting:
            told.setdefault(place.ticket, len(told))
        for ticket, position in told.items():
            if not ticket.started and ticket.log[-1] != (news := Event("queued", position=position)):
                ticket.tell(news)

    def _leave(self, ticket: Ticket) -> None:
        before = len(self.waiting)
        self.waiting = [place for place in self.waiting if place.ticket is not ticket]
        for place, artist in self.drawn_by.items():
            if place.ticket is ticket:
                artist.leave(place)
        if len(self.waiting) < before:
            self._tell_positions()

    # what artists report

    def stepped(self, place: Place, done: int, steps: int) -> None:
        last = next((event.step for event in reversed(place.ticket.log) if event.kind == "step"), 0)
        if last != done:  # pictures of one request step together
            place.ticket.tell(Event("step", step=done, steps=steps, index=place.index))

    def previewed(self, place: Place, done: int, jpeg: bytes) -> None:
        steps = place.request.steps or 0
        place.ticket.tell(Event("preview", step=done, steps=steps, index=place.index, preview=jpeg))

    def drawn(self, place: Place, picture: Any) -> None:
        self.drawn_by.pop(place, None)
        self.counts["pictures"] += 1
        place.ticket.add(place.index, picture)

    def spoiled(self, place: Place, failure: Failed) -> None:
        self.drawn_by.pop(place, None)
        place.ticket.fail(failure)

    def gone(self, place: Place) -> None:
        self.drawn_by.pop(place, None)
        self.counts["left"] += 1

    def free(self, artist: Artist) -> None:
        """The artist has finished a batch, or has come (back) to life."""
        began = self._began.pop(id(artist), None)
        if began is not None:
            took = asyncio.get_running_loop().time() - began
            self.seconds += SMOOTH * (took - self.seconds)
        self.pump()

    def crashed(self, artist: Artist) -> None:
        """Whatever this artist had begun is lost; the queue stays."""
        self.counts["crashes"] += 1
        self._began.pop(id(artist), None)
        for place in [place for place, whose in self.drawn_by.items() if whose is artist]:
            self.drawn_by.pop(place, None)
            place.ticket.fail(Failed("crash", "the process that drew this picture ended: try again"))


def kind(place: Place) -> tuple[Any, ...]:
    """Pictures of one kind are drawn together."""
    return (place.request.model, *shape(place.request))
