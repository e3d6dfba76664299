"""The process that owns the models: batches in, marked pictures out. The server itself never runs what is here."""

from __future__ import annotations

import gc
import logging
import queue
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError, LikenessError, UsageError
from ..records import ImageRequest, Sample
from .engine import Picture
from .messages import Draw, Drawn, Free, Gone, Held, Item, Leave, Load, Options, Previewed, Spoiled, Stepped

if TYPE_CHECKING:  # torch is loaded when the process has said that it lives
    from ..generate.generator import FaceGenerator

_log = logging.getLogger(__name__)


def main(connection: Connection, options: Options) -> None:
    """Run until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server ends us
    Worker(connection, options).run()


class Worker:
    """One thread draws, one listens, one finishes pictures (marks, PNG) while the next are drawn."""

    def __init__(self, connection: Connection, options: Options) -> None:
        self.connection, self.options = connection, options
        self.models: dict[str, FaceGenerator] = {}  # last used last
        self.checkers: dict[str, Any] = {}
        self.left: set[int] = set()
        self.closed = False
        self._tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._speaking = threading.Lock()
        self._finishing = ThreadPoolExecutor(1, "likeness-finish")

    def run(self) -> None:
        threading.Thread(target=self._listen, name="likeness-listen", daemon=True).start()
        self.say(Free())
        while (task := self._tasks.get()) is not None:
            if isinstance(task, Load):
                self._change(task)
            else:
                self._draw(task)

    def say(self, message: Any) -> None:
        with self._speaking:
            try:
                self.connection.send(message)
            except OSError:
                self._close()

    def _listen(self) -> None:
        while not self.closed:
            try:
                message = self.connection.recv()
            except (EOFError, OSError):
                return self._close()
            if message is None:
                return self._close()
            if isinstance(message, Leave):
                self.left.add(message.key)
            else:
                self._tasks.put(message)

    def _close(self) -> None:
        """The server is gone: what is being drawn ends at its next step, and then the process."""
        self.closed = True
        self._tasks.put(None)

    def _change(self, task: Load) -> None:
        error = None
        try:
            if task.wanted:
                self._model(task.model)
            else:
                self._forget(task.model)
        except LikenessError as known:
            error = known
        except Exception as unknown:
            _log.exception("loading %s failed", task.model)
            error = EngineError(f"{task.model} cannot be loaded: {_line(unknown)}")
        self.say(self._held(task.call, error))

    def _held(self, call: int | None = None, error: Exception | None = None) -> Held:
        return Held({name: one.fingerprint for name, one in self.models.items()}, call, error)

    def _model(self, name: str) -> FaceGenerator:
        """The model of that name, whole and ready; the one that was not used for longest goes if there are too many."""
        from ..generate.generator import FaceGenerator
        from .checker import Checker

        if name in self.models:
            self.models[name] = self.models.pop(name)
            return self.models[name]
        for oldest in list(self.models)[: max(0, len(self.models) - self.options.keep_models + 1)]:
            self._forget(oldest)
        made = FaceGenerator(name, self.options.device, self.options.precision)
        _ = made.pipeline, made.conditioner, made.fingerprint
        if self.options.safety_checker and made.spec.family != "mini":  # mini knows no bodies, only adults' faces
            self.checkers[name] = Checker.find(made.path, made.runtime.device)
        self.models[name] = made
        self.say(self._held())
        return made

    def _forget(self, name: str) -> None:
        self.models.pop(name, None)
        self.checkers.pop(name, None)
        gc.collect()
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.say(self._held())

    def _draw(self, batch: Draw) -> None:
        import torch

        if batch.threads and torch.get_num_threads() != batch.threads:
            torch.set_num_threads(batch.threads)
        self._together(batch.items)
        self.left -= {item.key for item in batch.items}
        self.say(Free())

    def _together(self, items: Sequence[Item]) -> None:
        """Draw these; if that fails, halves of them, so that one bad picture or too little memory spoils no more."""
        try:
            generator = self._model(items[0].request.model)
            places = [Waiting(self, generator, item) for item in items]
            samples = generator.draw([self._own(item.request) for item in items], places)
            flagged = self._flagged(generator, samples)
        except Exception as error:
            if len(items) > 1:
                half = len(items) // 2
                self._together(items[:half])
                self._together(items[half:])
                return
            if not isinstance(error, LikenessError):
                _log.exception("drawing failed")
            self.say(Spoiled(items[0].key, _kind(error), _line(error)))
            return
        for item, sample, bad in zip(items, samples, flagged, strict=True):
            if sample is None:
                continue
            if bad:
                said = "the safety checker does not let this picture out: try another seed or other words"
                self.say(Spoiled(item.key, "refused", said))
            else:
                self._finishing.submit(self._finish, item, sample)

    def _own(self, request: ImageRequest) -> ImageRequest:
        """The operator's LoRAs by their files."""
        return replace(request, loras=tuple((self.options.loras.get(name, name), w) for name, w in request.loras))

    def _flagged(self, generator: FaceGenerator, samples: Sequence[Sample | None]) -> list[bool]:
        checker = self.checkers.get(str(generator.spec.name))
        if checker is None:
            return [False] * len(samples)
        there = [sample.image for sample in samples if sample]
        found = iter(checker.flags(there) if there else [])
        return [next(found) if sample else False for sample in samples]

    def _finish(self, item: Item, sample: Sample) -> None:
        try:
            self.say(Drawn(item.key, finish(item, sample, self.options)))
        except Exception as error:
            _log.exception("finishing a picture failed")
            self.say(Spoiled(item.key, _kind(error), _line(error)))


@dataclass
class Waiting:
    """A `generate.steps.Place`: tells the server how far its picture is, and when it was left."""

    worker: Worker
    generator: FaceGenerator
    item: Item
    gone: bool = False

    @property
    def every(self) -> int:
        return self.item.every

    def left(self) -> bool:
        if not self.gone and (self.worker.closed or self.item.key in self.worker.left):
            self.gone = True
            self.worker.say(Gone(self.item.key))
        return self.gone

    def step(self, done: int, steps: int) -> None:
        self.worker.say(Stepped(self.item.key, done, steps))

    def preview(self, done: int, latents: Any) -> None:
        size = self.item.request.width or 0, self.item.request.height or 0
        self.worker.say(Previewed(self.item.key, done, self.generator.preview(latents, size)))


def finish(item: Item, sample: Sample, options: Options) -> Picture:
    """The picture as it leaves the server: its marks name LoRAs as the operator does, and no path of this machine."""
    from ..generate.inpaint import without_watermark
    from ..provenance import inputs_of, mark_png, recipe_of

    request, facts = item.request, dict(sample.image.info.get("likeness", {}))
    names = {path: name for name, path in options.loras.items()}
    if "loras" in facts:
        facts["loras"] = {names.get(path, path): hashes for path, hashes in facts["loras"].items()}
    extra = {"drawn": facts} | inputs_of(request)
    public = replace(request, image=_by_content(request.image), mask=_by_content(request.mask))
    marked = options.marks is None or options.marks.watermark
    image = without_watermark(sample.image, request) if marked else sample.image
    png = mark_png(image, public, sample.seed, sample.fingerprint, extra, options.marks)
    recipe = recipe_of(public, sample.seed, sample.fingerprint, extra)
    width, height = sample.image.size
    return Picture(png, sample.seed, width, height, recipe, sample.seconds)


def _by_content(path: str | None) -> str | None:
    """A client's picture lies in a private file that is called by its content's hash."""
    return f"sha256:{Path(path).stem}" if path else None


def _kind(error: Exception) -> str:
    if isinstance(error, EngineError) and "out of memory" in str(error):
        return "memory"
    return "refused" if isinstance(error, UsageError) else "engine"


def _line(error: Exception) -> str:
    said = " ".join(str(error).split())[:300]
    return said if isinstance(error, LikenessError) else f"{type(error).__name__}: {said}"
