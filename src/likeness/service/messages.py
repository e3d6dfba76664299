"""What the server and its workers say to each other through a pipe. Loads no torch: both sides import it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..records import ImageRequest
from .engine import Picture


@dataclass(frozen=True)
class Options:
    """How a worker is set up. `loras`: names -> files; `marks`: `provenance.marks.Marks`, None for its defaults."""

    device: str | None = None
    precision: str | None = None
    keep_models: int = 2
    safety_checker: bool = True
    loras: Mapping[str, str] = field(default_factory=dict)
    marks: Any = None


@dataclass(frozen=True)
class Item:
    """One picture to draw: resolved, one seed, and how many steps there are from preview to preview (0: none)."""

    key: int
    request: ImageRequest
    every: int = 0


# to the worker


@dataclass(frozen=True)
class Draw:
    items: tuple[Item, ...]
    threads: int = 0  # 0: as many as it has


@dataclass(frozen=True)
class Leave:
    key: int


@dataclass(frozen=True)
class Load:
    """Load (or, not `wanted`, forget) a model; answered by `Held`."""

    call: int
    model: str
    wanted: bool = True


# to the server


@dataclass(frozen=True)
class Held:
    """The models in memory with their fingerprints; `error` says why call number `call` failed."""

    models: dict[str, str]
    call: int | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Stepped:
    key: int
    done: int
    steps: int


@dataclass(frozen=True)
class Previewed:
    key: int
    done: int
    jpeg: bytes


@dataclass(frozen=True)
class Drawn:
    key: int
    picture: Picture


@dataclass(frozen=True)
class Spoiled:
    """A picture that will not come. `kind` as of `engine.Failed`."""

    key: int
    kind: str
    message: str


@dataclass(frozen=True)
class Gone:
    """A picture was left, and its place is free."""

    key: int


@dataclass(frozen=True)
class Free:
    """The worker can take a batch; pictures of the last one may still be on their way."""
