"""`LocalEngine`: draws on this machine, in worker processes of its own. This process loads no torch."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ModelNotFound, UsageError
from ..generate import prompts
from ..generate.resolve import family_of, resolve
from ..models import registry
from ..models.adapters import locate_lora
from ..provenance import digest
from ..records import ImageRequest
from .artist import ProcessArtist
from .batcher import Batcher
from .engine import Failed, ModelState
from .messages import Options
from .tickets import Ticket

MOST_WORKERS = 4  # of a small model on a CPU; each takes about 0.7 GB


class LocalEngine:
    """An `ImageEngine`. `models` may be asked for, `model` is loaded at the start; `loras`: names -> files.

    `workers` processes draw at once (0: what suits the machine, see `crew_size`), each with the models that it needs,
    at most `keep_models` at a time. `queue` counts waiting pictures. The same seed gives the picture that `likeness
    generate` gives: to the bit when it is drawn alone by as many threads, within 2/255 in company.
    """

    def __init__(
        self,
        model: str = "mini",
        models: Sequence[str] = (),
        loras: Mapping[str, str | Path] | None = None,
        device: str | None = None,
        precision: str | None = None,
        workers: int = 0,
        max_batch: int = 8,
        max_wait: float = 0.05,
        queue: int = 64,
        keep_models: int = 2,
        safety_checker: bool = True,
        marks: Any = None,
    ) -> None:
        for name, value, least in (
            ("max_batch", max_batch, 1), ("max_wait", max_wait, 0), ("queue", queue, 1),
            ("keep_models", keep_models, 1), ("workers", workers, 0),
        ):  # fmt: skip
            if value < least:
                raise UsageError(f"{name} is {least} or more, not {value}")
        self.specs = {spec.name: spec for spec in map(registry.find, dict.fromkeys((model, *models)))}
        for spec in self.specs.values():
            family_of(spec)  # it must draw
        self.model = next(iter(self.specs))
        self.loras = {name: str(path) for name, path in (loras or {}).items()}
        options = Options(device, precision, keep_models, safety_checker, self.loras, marks)
        self.workers = workers or crew_size(self.specs[self.model], device)
        self.artists = [ProcessArtist(options, self.model, cores()) for _ in range(self.workers)]
        self.batcher = Batcher(self.artists, max_batch, max_wait, queue)
        for artist in self.artists:
            artist.desk = self.batcher
        self._fingerprints: dict[str, str] = {}
        self._closed = False

    async def start(self) -> None:
        """Returns when every worker holds the first model. Raises `ModelNotFound`, `UsageError` or `EngineError`."""
        for name, path in self.loras.items():
            try:
                locate_lora(path)
            except ModelNotFound as error:
                raise UsageError(f"LoRA {name}: {error}") from None
        try:
            await asyncio.gather(*(artist.start() for artist in self.artists))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        self._closed = True
        waiting = {place.ticket for place in (*self.batcher.waiting, *self.batcher.drawn_by)}
        for ticket in waiting:
            ticket.fail(Failed("cancelled", "the server is shutting down"))
        await asyncio.gather(*(artist.close() for artist in self.artists))

    async def resolve(self, request: ImageRequest) -> tuple[ImageRequest, str]:
        spec = self._spec(request.model)
        for name, _ in request.loras:
            if name not in self.loras:
                known = f"choose from {', '.join(self.loras)}" if self.loras else "this server offers none"
                raise UsageError(f"unknown LoRA {name!r}: {known}")
        resolved = await asyncio.to_thread(resolve, request, spec)
        return resolved, await self._fingerprint(resolved)

    async def submit(self, request: ImageRequest, deadline: float | None = None, previews: bool = False) -> Ticket:
        if self._closed:
            raise Failed("cancelled", "the server is shutting down")
        resolved, fingerprint = await self.resolve(request)
        notes = await asyncio.to_thread(prompts.notes, resolved.prompt, self.specs[resolved.model])
        ticket = Ticket(resolved, fingerprint, tuple(notes), previews)
        self.batcher.submit(ticket, deadline)
        return ticket

    def ready(self) -> bool:
        return not self._closed and any(artist.held for artist in self.artists)

    def depth(self) -> dict[str, int]:
        return self.batcher.depth() | {"workers": sum(bool(artist.held) for artist in self.artists)}

    def models(self) -> list[ModelState]:
        held = {name: print_ for artist in self.artists for name, print_ in artist.held.items()}
        return [
            ModelState(name, name in held, held.get(name) or self._fingerprints.get(name), about(spec))
            for name, spec in self.specs.items()
        ]

    async def load(self, name: str) -> None:
        await self._change(name, True)

    async def unload(self, name: str) -> None:
        await self._change(name, False)

    async def _change(self, name: str, wanted: bool) -> None:
        spec = self._spec(name)
        self._fingerprints.pop(spec.name, None)
        await asyncio.gather(*(artist.load(spec.name, wanted) for artist in self.artists))

    def _spec(self, name: str) -> registry.ModelSpec:
        if name in self.specs:
            return self.specs[name]
        if name == ImageRequest.model and self.model != name:  # nobody named one
            return self.specs[self.model]
        raise ModelNotFound(f"unknown model {name!r}: this server offers {', '.join(self.specs)}")

    async def _fingerprint(self, request: ImageRequest) -> str:
        """Of the model's weights; with LoRAs, of the model's and theirs."""
        name = request.model
        if name not in self._fingerprints:
            spec = self.specs[name]
            self._fingerprints[name] = await asyncio.to_thread(lambda: registry.fingerprint(registry.locate(spec)))
        weights = [self._fingerprints[name]]
        for lora, _ in request.loras:
            weights.append(await asyncio.to_thread(digest, locate_lora(self.loras[lora])))
        return weights[0] if len(weights) == 1 else hashlib.sha256(" ".join(weights).encode()).hexdigest()


def cores() -> int:
    """What this process may use, or what `OMP_NUM_THREADS` allows."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdecimal() and int(allowed):
        return int(allowed)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def crew_size(spec: registry.ModelSpec, device: str | None = None) -> int:
    """How many workers draw quickest: on a CPU one for each core, while the model is small enough to be held as often.

    Threads of one process wait for each other behind every layer, processes of one thread do not. An accelerator is
    best filled by one process with larger batches.
    """
    wanted = device or os.environ.get("LIKENESS_DEVICE") or ("cuda" if Path("/dev/nvidia0").exists() else "cpu")
    small = spec.family == "mini" and wanted == "cpu" and sys.platform != "darwin"
    return min(MOST_WORKERS, cores()) if small else 1


def about(spec: registry.ModelSpec) -> dict[str, Any]:
    """What may be said of a model; no path of this machine."""
    plain = dataclasses.asdict(spec)
    return {key: plain[key] for key in ("title", "family", "size", "license", "hub_ids", "adults_only", "base")}
