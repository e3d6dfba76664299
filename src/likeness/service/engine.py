"""What draws for the service: the protocol that routes speak, whoever stands behind it, and its records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import LikenessError
from ..records import ImageRequest


class Busy(LikenessError):
    """The queue is full. `retry_after` is the time in seconds after which a place is likely."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"too many requests are waiting: try again in {retry_after:.0f} s")


class Failed(LikenessError):
    """The engine could not finish a request. `kind` is crash, memory, expired, cancelled, remote, engine or refused.

    refused: the request cannot be drawn as it is, or the safety checker does not let the picture out.
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


@dataclass(frozen=True)
class Picture:
    """A finished face: whole PNG bytes with their marks, and what goes into history."""

    png: bytes
    seed: int
    width: int
    height: int
    recipe: dict[str, Any]
    seconds: float = 0.0


@dataclass(frozen=True)
class Event:
    """What happens to a request: `queued`, `started`, `step`, `preview`, `picture`, `done`, `failed` or `cancelled`.

    `position` counts from 0 in the queue; `step` of `steps` in the batch; `index` is which picture of the request.
    """

    kind: str
    position: int = 0
    step: int = 0
    steps: int = 0
    index: int = 0
    preview: bytes = b""  # JPEG
    picture: Picture | None = None
    message: str = ""


class Handle(Protocol):
    """A request that waits or is drawn. `request` is as resolved: nothing in it is left open."""

    id: str
    request: ImageRequest
    fingerprint: str
    notes: tuple[str, ...]

    def events(self) -> AsyncIterator[Event]:
        """Everything from the beginning, also for a listener that comes late; ends after done, failed, cancelled."""
        ...

    async def result(self) -> list[Picture]:
        """All pictures in the order of their seeds. Raises `Failed`."""
        ...

    def cancel(self) -> None:
        """Leave the queue now, or the batch at its next step. No harm when it is over."""
        ...


@dataclass(frozen=True)
class ModelState:
    """One model that may be asked for: whether its weights are in memory, and what it is (`ModelSpec` as JSON)."""

    name: str
    loaded: bool
    fingerprint: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


class ImageEngine(Protocol):
    """Draws faces. One for all requests of a server; its methods are called in the server's event loop."""

    async def start(self) -> None: ...

    async def close(self) -> None:
        """Ends the worker; what waits fails as cancelled."""
        ...

    async def resolve(self, request: ImageRequest) -> tuple[ImageRequest, str]:
        """The request with nothing left open, and the fingerprint of model and LoRAs: the two make the cache's key.

        Raises `UsageError` or `PromptRefused` for what will not be drawn.
        """
        ...

    async def submit(self, request: ImageRequest, deadline: float | None = None, previews: bool = False) -> Handle:
        """Put a request into the queue; `deadline` in seconds from now.

        Raises `Busy`, `UsageError`, `PromptRefused`, and `Failed` when the engine is closing.
        """
        ...

    def ready(self) -> bool:
        """Whether a worker is up with its first model loaded."""
        ...

    def depth(self) -> dict[str, int]:
        """Numbers for the metrics: requests `queued` and `running`; `batches`, `pictures`, `crashes` since the start,
        and `left`, the places that were freed in a running batch.
        """
        ...

    def models(self) -> list[ModelState]: ...

    async def load(self, name: str) -> None: ...

    async def unload(self, name: str) -> None: ...


class TextEngine(Protocol):
    """Writes descriptions: a rough sentence becomes a detailed one."""

    async def describe(self, text: str) -> str:
        """Raises `UsageError` for what it cannot read, `Failed` when a remote engine does not answer."""
        ...
