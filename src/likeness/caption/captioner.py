"""What a captioner is: faces in, outcomes out, in any order, as they come.

    captioner = make("labels", {})
    for outcome in captioner.stream(faces):     # a Caption or a Failure for each face, once
        ...

A captioner pulls faces when it can take more, so that a generator of 300,000 costs no memory, and closing the stream
abandons what has not come back yet.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..config import build, suggest
from ..data.decode import BadImage
from ..data.paths import inside
from ..errors import UsageError
from ..records import Attributes, FaceRecord


@dataclass(frozen=True)
class Face:
    """A row of the table, and where its picture is: in `folder`, where one is given, and nowhere else."""

    record: FaceRecord
    path: Path
    folder: Path | None = None

    @property
    def name(self) -> str:
        return self.record.file_name

    def picture(self) -> Path:
        """Where to read the picture. Raises `BadImage` for a link out of the folder: nobody gave leave to send that."""
        if self.folder is not None:
            try:
                inside(self.folder, self.name)
            except UsageError as error:
                raise BadImage("no access", str(error), self.path) from None
        return self.path


@dataclass(frozen=True)
class Usage:
    """What a remote model was paid for. `cost` in US dollars; None where no price is known."""

    tokens_in: int = 0
    tokens_out: int = 0
    requests: int = 1
    cost: float | None = None


@dataclass(frozen=True)
class Caption:
    """A described face. `attributes` only where the captioner was asked for them, or sees nothing else; `confidence`
    by attribute, in [0, 1]; `facts` name the captioner, model and prompt version: the row keeps them.
    """

    name: str
    text: str
    attributes: Attributes | None = None
    confidence: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    usage: Usage | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A face that got no caption. `reason` is one of `REASONS`; `again`: trying once more may help."""

    name: str
    reason: str
    detail: str = ""
    again: bool = True
    usage: Usage | None = None


REASONS = {
    "unreadable": "the picture cannot be opened",
    "refused": "the model would not describe it",
    "empty": "the model said nothing",
    "too short": "fewer words than a description has",
    "language": "not in the language that was asked for",
    "names": "it names a person",
    "invalid": "the answer is not what was asked for",
    "server": "the server failed, every time",
    "timeout": "no answer in time, every time",
    "limit": "the server refused for its rate limit, every time",
    "no labels": "the row says nothing about the face",
    "rejected": "somebody rejected it in review",
}

Outcome = Caption | Failure


@dataclass(frozen=True)
class Estimate:
    """What captioning `faces` would take. `seconds` and `cost` (US dollars) are None where nobody can know."""

    faces: int
    seconds: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    notes: tuple[str, ...] = ()


class Captioner(Protocol):
    """Made by `make`. `facts` are what the manifest keeps about how a caption was made, without time."""

    name: str

    def facts(self) -> dict[str, Any]: ...

    def estimate(self, faces: int) -> Estimate: ...

    def stream(self, faces: Iterable[Face]) -> Iterator[Outcome]: ...


# name -> (module, the dataclass of its settings, the class, one line); imported only when it is asked for
CAPTIONERS: dict[str, tuple[str, str, str, str]] = {
    "api": ("api", "ApiConfig", "Api", "a vision model behind any OpenAI-compatible server"),
    "llava": ("llava", "LlavaConfig", "Llava", "LLaVA-1.5 on this machine"),
    "labels": ("labels", "LabelsConfig", "Labels", "the data set's own attributes, as English"),
    "fuse": ("fuse", "FuseConfig", "Fuse", "labels and what `eye` sees, written out by a language model"),
    "eye": ("seen", "SeenConfig", "Seen", "what our own small model sees, with confidences; offline"),
}


def make(name: str, settings: dict[str, Any]) -> Captioner:
    """The captioner of that name. Raises `UsageError` for an unknown one, `ConfigError` for a wrong setting."""
    if name not in CAPTIONERS:
        raise UsageError(f"no captioner {name!r}{suggest(name, list(CAPTIONERS))}")
    module, config, cls, _ = CAPTIONERS[name]
    found = importlib.import_module(f".{module}", __package__)
    made: Captioner = getattr(found, cls)(build(getattr(found, config), settings))
    return made
