"""The server's end of a worker process: starts it, speaks with it, and starts it again when it dies."""

from __future__ import annotations

import asyncio
import itertools
import logging
import multiprocessing
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from ..errors import EngineError
from .batcher import Batcher
from .engine import Failed
from .messages import Draw, Drawn, Free, Gone, Held, Item, Leave, Load, Options, Previewed, Spoiled, Stepped
from .tickets import Place
from .worker import main

PREVIEWS = 6  # of a picture, about
PATIENCE = 10.0  # seconds for a process to end by itself before it is killed
LONGEST_PAUSE = 30.0  # seconds between two starts of a process that keeps dying
_log = logging.getLogger(__name__)


class ProcessArtist:
    """An `Artist` that draws in a process of its own, with its share of `threads`."""

    def __init__(self, options: Options, model: str, threads: int) -> None:
        self.options, self.model, self.threads = options, model, threads
        self.desk: Batcher | None = None
        self.held: dict[str, str] = {}  # models in memory -> fingerprints
        self.idle = False
        self.process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._keys = itertools.count()
        self._mine: dict[int, Place] = {}
        self._calls: dict[int, asyncio.Future[None]] = {}
        self._pause = 0.0
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._restart: asyncio.Task[None] | None = None

    @property
    def free(self) -> bool:
        return self.idle and bool(self.held)

    async def start(self) -> None:
        """Returns when the model is loaded. Raises what the loading raises, or `EngineError` if the process dies."""
        self._loop = asyncio.get_running_loop()
        self._spawn()
        try:
            await self.load(self.model)
        except Failed as error:
            raise EngineError(f"the worker process ended while it loaded {self.model}: {error}") from None

    async def close(self) -> None:
        self._closing = True
        if self._restart:
            self._restart.cancel()
        self._send(None)
        if self.process:
            await asyncio.to_thread(self._end, self.process)

    def draw(self, batch: Sequence[Place], sharing: int) -> None:
        self.idle = False
        items = []
        for place in batch:
            key = next(self._keys)
            self._mine[key] = place
            every = max(1, (place.request.steps or 0) // PREVIEWS) if place.ticket.previews else 0
            items.append(Item(key, place.request, every))
        self._send(Draw(tuple(items), max(1, self.threads // sharing)))

    def leave(self, place: Place) -> None:
        for key, mine in self._mine.items():
            if mine is place:
                self._send(Leave(key))

    async def load(self, model: str, wanted: bool = True) -> None:
        """Load or forget a model, when the batch that is being drawn is done. Raises `UsageError`, `Failed`, …"""
        call = next(self._keys)
        future = self._calls[call] = asyncio.get_running_loop().create_future()
        self._send(Load(call, model, wanted))
        await future

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self.process = context.Process(target=main, args=(theirs, self.options), name="likeness-worker", daemon=True)
        self.process.start()
        theirs.close()
        self._pipe = ours
        args = (ours, self.process)
        threading.Thread(target=self._listen, args=args, name="likeness-hear", daemon=True).start()

    def _listen(self, pipe: Connection, process: BaseProcess) -> None:
        """In a thread: what the process says goes to the event loop."""
        assert self._loop is not None
        try:
            while True:
                self._loop.call_soon_threadsafe(self._hear, pipe.recv())
        except (EOFError, OSError, RuntimeError):  # RuntimeError: the loop is closed
            pass
        process.join(5)
        if not self._closing:
            self._loop.call_soon_threadsafe(self._died, process)

    def _send(self, message: Any) -> None:
        if self._pipe is None:
            if isinstance(message, Load):
                self._calls.pop(message.call).set_exception(
                    Failed("crash", "the worker process is being started again")
                )
            return
        try:
            self._pipe.send(message)
        except OSError:
            pass  # it has just died: the listening thread tells

    def _hear(self, message: Any) -> None:
        if self.desk is None:
            return
        place = self._mine.get(getattr(message, "key", -1))
        match message:
            case Stepped() if place:
                self.desk.stepped(place, message.done, message.steps)
            case Previewed() if place:
                self.desk.previewed(place, message.done, message.jpeg)
            case Held():
                self._note(message)
            case Free():
                self.idle = True
                self.desk.free(self)
            case Drawn() | Spoiled() | Gone() if place:
                self._mine.pop(message.key)
                self._pause = 0.0
                if isinstance(message, Drawn):
                    self.desk.drawn(place, message.picture)
                elif isinstance(message, Gone):
                    self.desk.gone(place)
                else:
                    self.desk.spoiled(place, Failed(message.kind, message.message))

    def _note(self, message: Held) -> None:
        self.held = message.models
        future = self._calls.pop(message.call, None) if message.call is not None else None
        if future and not future.done():
            future.set_exception(message.error) if message.error else future.set_result(None)
        if self.desk:
            self.desk.pump()

    def _died(self, process: BaseProcess) -> None:
        if self._closing or process is not self.process:
            return
        _log.error("a worker process ended with exit code %s", process.exitcode)
        self._pipe, self.idle, self.held = None, False, {}
        self._mine.clear()
        for future in self._calls.values():
            if not future.done():
                future.set_exception(Failed("crash", f"exit code {process.exitcode}"))
        self._calls.clear()
        assert self.desk is not None
        self.desk.crashed(self)
        self._restart = asyncio.get_running_loop().create_task(self._again())

    async def _again(self) -> None:
        """Start again, later and later if it does not live to draw."""
        await asyncio.sleep(self._pause)
        self._pause = min(LONGEST_PAUSE, max(0.5, 2 * self._pause))
        self._spawn()
        try:
            await self.load(self.model)
        except Exception as error:  # died again (which starts this again), or the model is gone by now
            _log.error("the worker process cannot load %s: %s", self.model, error)

    @staticmethod
    def _end(process: BaseProcess) -> None:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join(5)
