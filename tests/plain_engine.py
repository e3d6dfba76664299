"""An engine that draws plain pictures at once: a second one behind the protocol, to test what HTTP makes of it."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import random
from collections.abc import AsyncIterator

from PIL import Image

from likeness.errors import UsageError
from likeness.generate.resolve import resolve
from likeness.models.registry import find
from likeness.provenance import recipe_of
from likeness.records import ImageRequest
from likeness.service.engine import Busy, Event, Failed, ModelState, Picture


class PlainHandle:
    """Its pictures' colour is the seed's. Waits at `engine.gate` before it draws."""

    def __init__(self, engine: PlainEngine, request: ImageRequest, previews: bool) -> None:
        self.id, self.engine, self.request, self.previews = f"plain{random.random()}", engine, request, previews
        self.fingerprint, self.notes = engine.fingerprint, ("a plain picture",)
        self.pictures: list[Picture] = []
        self.seen: list[Event] = []
        self.changed = asyncio.Event()
        self.task = asyncio.create_task(self.draw())
        self.task.add_done_callback(lambda _: self.over())

    def say(self, event: Event) -> None:
        self.seen.append(event)
        self.changed.set()
        self.changed = asyncio.Event()

    async def draw(self) -> None:
        self.say(Event("queued", position=len(self.engine.live)))
        await self.engine.gate.wait()
        if self.engine.failing is not None:
            raise self.engine.failing
        self.engine.drawn += self.request.count
        self.say(Event("started"))
        steps = self.request.steps or 1
        for step in range(1, steps + 1):
            await asyncio.sleep(0)
            self.say(Event("step", step=step, steps=steps))
            if self.previews:
                self.say(Event("preview", preview=b"\xff\xd8 a JPEG"))
        for index in range(self.request.count):
            picture = plain(self.request, (self.request.seed or 0) + index, self.fingerprint)
            self.pictures.append(picture)
            self.say(Event("picture", index=index, picture=picture))

    def over(self) -> None:
        self.engine.live.discard(self)
        if self.task.cancelled():
            self.say(Event("cancelled"))
        elif error := self.task.exception():
            self.say(Event("failed", message=str(error)))
        else:
            self.say(Event("done"))

    async def events(self) -> AsyncIterator[Event]:
        place = 0
        while True:
            changed = self.changed
            while place < len(self.seen):
                place += 1
                yield self.seen[place - 1]
                if self.seen[place - 1].kind in ("done", "failed", "cancelled"):
                    return
            await changed.wait()

    async def result(self) -> list[Picture]:
        try:
            await asyncio.shield(self.task)
        except asyncio.CancelledError:
            if self.task.cancelled():
                raise Failed("cancelled", "the request was cancelled") from None
            raise
        return self.pictures

    def cancel(self) -> None:
        self.task.cancel()


class PlainEngine:
    """`gate` shut: nothing is drawn. `failing`: what happens to the next requests. `drawn` counts pictures."""

    def __init__(self, queue: int = 8) -> None:
        self.queue, self.fingerprint, self.up = queue, "f" * 64, False
        self.gate, self.live, self.drawn = asyncio.Event(), set[PlainHandle](), 0
        self.failing: Exception | None = None
        self.loaded = {"mini": True, "sd15": False}
        self.gate.set()

    async def start(self) -> None:
        self.up = True

    async def close(self) -> None:
        self.up = False
        for handle in list(self.live):
            handle.cancel()

    async def resolve(self, request: ImageRequest) -> tuple[ImageRequest, str]:
        return resolve(dataclasses.replace(request), find(request.model)), self.fingerprint

    async def submit(self, request: ImageRequest, deadline: float | None = None, previews: bool = False) -> PlainHandle:
        request, _ = await self.resolve(request)
        if len(self.live) >= self.queue:
            raise Busy(3.2)
        handle = PlainHandle(self, request, previews)
        self.live.add(handle)
        return handle

    def ready(self) -> bool:
        return self.up

    def depth(self) -> dict[str, int]:
        return {"queued": 0, "running": len(self.live), "batches": 1, "pictures": self.drawn, "crashes": 0}

    def models(self) -> list[ModelState]:
        return [ModelState(name, loaded, about={"title": name}) for name, loaded in self.loaded.items()]

    async def load(self, name: str) -> None:
        self.loaded[name] = True

    async def unload(self, name: str) -> None:
        self.loaded[name] = False


class PlainTexts:
    """Adds a sentence."""

    async def describe(self, text: str) -> str:
        if "unreadable" in text:
            raise UsageError("this text cannot be read")
        return f"{text.strip()}. A face against a plain background."


def plain(request: ImageRequest, seed: int, fingerprint: str) -> Picture:
    size = request.width or 64, request.height or 64
    colour = random.Random(f"{seed} {request.prompt}").randbytes(3)
    written = io.BytesIO()
    Image.new("RGB", size, tuple(colour)).save(written, "PNG")
    return Picture(written.getvalue(), seed, *size, recipe_of(request, seed, fingerprint), 0.01)
