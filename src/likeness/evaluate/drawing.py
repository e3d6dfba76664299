"""Drawing the faces of an evaluation into a folder, and taking those that are there already."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import UsageError
from ..generate.folder import save
from ..generate.resolve import resolve
from ..models.adapters import locate_lora
from ..models.registry import ModelSpec
from ..provenance import digest, read, recipe_of
from ..records import ImageRequest, Sample
from ..runtime import Runtime


class Draws(Protocol):
    """What is asked of `generate.generator.FaceGenerator`."""

    spec: ModelSpec
    runtime: Runtime

    @property
    def fingerprint(self) -> str: ...

    def stream(
        self, requests: Iterable[ImageRequest], progress: Callable[[int, int], None] | None = None
    ) -> Iterator[Sample]: ...


@dataclass(frozen=True)
class Drawn:
    """The pictures in the order asked, and how they were drawn. `new` were drawn now, in `seconds`."""

    files: tuple[Path, ...]
    fingerprint: str
    settings: str
    size: tuple[int, int]
    new: int
    seconds: float


def draw(
    engine: Draws,
    requests: Mapping[str, ImageRequest],
    folder: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> Drawn:
    """Draw one picture for each request, saved as `folder`/name.png with its recipe, in the engine's batches.

    A picture that is there already is kept if its recipe is this request's, drawn by a model of this fingerprint in
    this precision; any other of that name is drawn anew. `progress` is told of pictures as they are saved or found. A
    run that is stopped loses the batch in hand only. Raises `UsageError` for a request that cannot be drawn, before
    any is.
    """
    resolved = {name: resolve(request, engine.spec) for name, request in requests.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}. Choose another output folder.") from None
    files = {name: folder / f"{name}.png" for name in resolved}
    missing = [name for name, request in resolved.items() if not _same(files[name], request, engine)]
    progress(len(files) - len(missing))
    started = time.perf_counter()
    samples = engine.stream([resolved[name] for name in missing]) if missing else iter(())
    for name, sample in zip(missing, samples, strict=True):
        save(files[name], sample)
        progress(1)
    one = next(iter(resolved.values()))
    return Drawn(
        tuple(files.values()), engine.fingerprint, _settings(one, engine), (one.width or 0, one.height or 0),
        len(missing), time.perf_counter() - started,
    )  # fmt: skip


def _same(file: Path, request: ImageRequest, engine: Draws) -> bool:
    """Whether a picture is there, whole, and what this engine would draw for this request."""
    if not file.exists():
        return False
    try:
        found = read(file)
    except UsageError:  # cut short or not ours
        return False
    drawn = found.get("drawn", {})
    hashes = {name: row.get("sha256") for name, row in drawn.get("loras", {}).items()}
    wanted: dict[str, Any] = json.loads(json.dumps(recipe_of(request, request.seed or 0, engine.fingerprint)))
    return (
        found["request"] == wanted["request"]
        and found["fingerprint"] == wanted["fingerprint"]
        and drawn.get("precision") == engine.runtime.precision
        and hashes == {name: digest(locate_lora(name)) for name, _ in request.loras}
    )


def _settings(request: ImageRequest, engine: Draws) -> str:
    return (
        f"{request.steps} steps, guidance {request.guidance:g}, scheduler {request.scheduler}, "
        f"{request.width}x{request.height} px, {engine.runtime.precision}"
    )
