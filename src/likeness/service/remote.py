"""Engines that are somewhere else: `IMAGE_MODEL_URL` and `TEXT_MODEL_URL`, by HTTP in one of two forms.

| URL | pictures | texts |
|---|---|---|
| ends in /v1, or in the path itself | OpenAI: `/images/generations` | OpenAI: `/chat/completions` |
| anything else | `{"caption": …}` -> `{"image_url": …}` | `{"prompt_text": …}` -> `{"caption": …}` |
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
import hashlib
import os
from typing import Any
from urllib.parse import urljoin, urlsplit

from ..errors import ModelNotFound, UsageError
from ..generate import prompts, safety, seeds
from ..generate.resolve import check_drawing, readings
from ..models.registry import ModelSpec
from ..records import ImageRequest
from .engine import Busy, Event, Failed, ModelState, Picture
from .tickets import Place, Ticket, places
from .wire import Wire, picture_of

IMAGES, CHAT = "/images/generations", "/chat/completions"
AT_ONCE = 8  # requests that are under way to the other server; more wait here


class RemoteEngine:
    """An `ImageEngine` that asks another server for each picture, and marks what comes.

    What the caller leaves open is left to that server; the seed is made here and sent along. A prompt is checked as for
    any other model. A server that is not there gives `Failed("remote")`, a slow one `Failed("expired")`.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        timeout: float = 300,
        retries: int = 1,
        marks: Any = None,
        queue: int = 64,
        key: str | None = None,
    ) -> None:
        self.url, self.openai = _target(url, IMAGES)
        self.name = model or "remote"
        # clients and pictures show it: it tells engines apart without naming an address of the operator's network
        self.print = f"remote {hashlib.sha256(f'{self.url} {model}'.encode()).hexdigest()[:16]}"
        self.sent_model, self.marks, self.queue = model, marks, queue
        self.wire = Wire(timeout, retries, key or os.environ.get("IMAGE_MODEL_KEY"))
        self.spec = ModelSpec(self.name, "remote", "an engine behind this server")
        self.counts = dict.fromkeys(("batches", "pictures", "crashes", "left"), 0)
        self._seeded = True  # until the server says that it takes no seed
        self._open: dict[Ticket, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._closed = False

    async def start(self) -> None:
        self.wire.open()

    async def close(self) -> None:
        self._closed = True
        tasks = list(self._open.values())
        for ticket in list(self._open):
            ticket.fail(Failed("cancelled", "the server is shutting down"))
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.wire.close()

    async def resolve(self, request: ImageRequest) -> tuple[ImageRequest, str]:
        if request.model not in (ImageRequest.model, self.name):
            raise ModelNotFound(f"unknown model {request.model!r}: this server offers {self.name}")
        if request.image or request.mask or request.loras:
            raise UsageError("the engine behind this server takes words only: no start picture, no mask, no LoRA")
        prompts.check(request.prompt)
        unwanted = prompts.check(request.negative_prompt, "negative prompt", may_be_empty=True)
        safety.check(readings(request.prompt), self.spec, unwanted, [self.name])
        seed = seeds.fresh() if request.seed is None else request.seed
        resolved = dataclasses.replace(request, prompt=request.prompt.strip(), model=self.name, seed=seed)
        check_drawing(dataclasses.replace(resolved, steps=request.steps if request.steps is not None else 1))
        return resolved, self.print

    async def submit(self, request: ImageRequest, deadline: float | None = None, previews: bool = False) -> Ticket:
        if self._closed:
            raise Failed("cancelled", "the server is shutting down")
        resolved, fingerprint = await self.resolve(request)
        if self._open and sum(t.request.count - len(t.pictures) for t in self._open) + request.count > self.queue:
            raise Busy(max(1.0, self.wire.seconds))
        ticket = Ticket(resolved, fingerprint)
        ticket.leave = self._leave
        ticket.tell(Event("queued", position=max(0, len(self._open) - AT_ONCE)))
        self._open[ticket] = asyncio.create_task(self._work(ticket))
        if deadline is not None:
            ticket.expire_in(deadline)
        return ticket

    def ready(self) -> bool:
        return not self._closed and self.wire.is_open

    def depth(self) -> dict[str, int]:
        started = sum(ticket.started for ticket in self._open)
        return {"queued": len(self._open) - started, "running": started, **self.counts}

    def models(self) -> list[ModelState]:
        return [ModelState(self.name, True, self.print, {"title": self.spec.title, "family": "remote"})]

    async def load(self, name: str) -> None:
        raise UsageError("the models of a remote engine are loaded where it runs")

    async def unload(self, name: str) -> None:
        await self.load(name)

    def _leave(self, ticket: Ticket) -> None:
        if task := self._open.pop(ticket, None):
            task.cancel()
            self.counts["left"] += 1

    async def _work(self, ticket: Ticket) -> None:
        try:
            for place in places(ticket, 0.0):
                async with self._slots:
                    if not ticket.started:
                        ticket.tell(Event("started"))
                    picture = await self._picture(place)
                self.counts["pictures"] += 1
                ticket.add(place.index, picture)
        except Failed as failure:
            ticket.fail(failure)
        finally:
            self._open.pop(ticket, None)

    async def _picture(self, place: Place) -> Picture:
        started = asyncio.get_running_loop().time()
        answer = await self._ask(place.request)
        data = await self._bytes(answer)
        image = await asyncio.to_thread(picture_of, data)
        seconds = asyncio.get_running_loop().time() - started
        return await asyncio.to_thread(self._marked, place.request, image, seconds)

    def _marked(self, request: ImageRequest, image: Any, seconds: float) -> Picture:
        from ..provenance import mark_png, recipe_of

        whole = dataclasses.replace(request, width=image.width, height=image.height)
        seed, print_, extra = request.seed or 0, self.print, {"drawn": {"engine": "remote"}}
        png = mark_png(image, whole, seed, print_, extra, self.marks)
        return Picture(png, seed, image.width, image.height, recipe_of(whole, seed, print_, extra), seconds)

    async def _ask(self, request: ImageRequest) -> dict[str, Any]:
        said = self._body(request)
        try:
            return await self.wire.post(self.url, said)
        except Failed as failure:
            if "seed" not in said or "seed" not in str(failure):
                raise
            self._seeded = False  # OpenAI's own server refuses what it does not know
            return await self.wire.post(self.url, self._body(request))

    def _body(self, request: ImageRequest) -> dict[str, Any]:
        size = f"{request.width}x{request.height}" if request.width and request.height else None
        if self.openai:
            said: dict[str, Any] = {"prompt": request.prompt, "n": 1, "model": self.sent_model, "size": size}
        else:
            names = ("negative_prompt", "width", "height", "steps", "guidance", "guidance_interval", "scheduler")
            said = {"caption": request.prompt} | {name: getattr(request, name) or None for name in names}
        said["seed"] = request.seed if self._seeded else None
        return {name: value for name, value in said.items() if value is not None}

    async def _bytes(self, answer: dict[str, Any]) -> bytes:
        """The picture of an answer in either form: inline, or behind a URL."""
        rows = answer.get("data") or [answer]
        row = rows[0] if isinstance(rows, list) and isinstance(rows[0], dict) else {}
        inline, url = row.get("b64_json"), row.get("url") or row.get("image_url")
        if isinstance(url, str) and url.startswith("data:"):
            inline = url.partition(",")[2]
        try:
            if isinstance(inline, str):
                return base64.b64decode(inline, validate=True)
        except binascii.Error:
            raise Failed("remote", "the image engine sent a picture that cannot be read") from None
        if not isinstance(url, str) or not url:
            raise Failed("remote", "the image engine answered without a picture")
        return await self.wire.get(urljoin(self.url, url))


class RemoteText:
    """A `TextEngine` that asks another server."""

    def __init__(self, url: str, model: str | None = None, timeout: float = 60, key: str | None = None) -> None:
        self.url, self.openai = _target(url, CHAT)
        self.model = model or os.environ.get("TEXT_MODEL", "default")
        self.wire = Wire(timeout, 1, key or os.environ.get("TEXT_MODEL_KEY"))

    async def describe(self, text: str) -> str:
        """Raises `UsageError` for an empty text, `Failed` when there is no answer or none that describes a face."""
        from ..caption.quality import clean

        if not text.strip():
            raise UsageError('nothing to describe: write a few words, such as "Indian male, 30s"')
        self.wire.open()
        answer = await self.wire.post(self.url, self._body(text))
        try:
            said = answer["choices"][0]["message"]["content"] if self.openai else answer["caption"]
        except (KeyError, IndexError, TypeError):
            said = None
        if not isinstance(said, str) or not (said := clean(said)):
            raise Failed("remote", "the text engine answered without a description")
        return said

    async def close(self) -> None:
        await self.wire.close()

    def _body(self, text: str) -> dict[str, Any]:
        if not self.openai:
            return {"prompt_text": text}
        from ..caption import prompts

        asked = prompts.load("expand").fill(text=text)
        turns = [{"role": "system", "content": asked.system}, {"role": "user", "content": asked.user}]
        return {"model": self.model, "messages": turns, "max_tokens": 300}


def _target(url: str, path: str) -> tuple[str, bool]:
    """The address to post to, and whether OpenAI's form is spoken there. Raises `UsageError`."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise UsageError(f"{url!r} is no address of an engine: write http://host:port/path")
    plain = url.rstrip("/")
    if plain.endswith("/v1"):
        return plain + path, True
    return plain, plain.endswith(path)
