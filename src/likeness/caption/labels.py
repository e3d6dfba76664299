"""The data set's own attributes as English: no picture is opened, nothing is guessed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .. import grammar
from ..config import suggest
from ..errors import ConfigError
from ..records import Attributes
from .agreement import labels_of
from .captioner import Caption, Estimate, Face, Failure, Outcome

STYLES = ("paragraph", "sentence", "tags")
SECONDS = 0.002  # a face, on one core, with keeping it


@dataclass(frozen=True)
class LabelsConfig:
    """`style`: paragraph, sentence or tags. `seed` chooses the wordings."""

    style: str = "paragraph"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise ConfigError(f"no style {self.style!r}{suggest(self.style, list(STYLES))}")


class Labels:
    """Captions from a row's attributes through the grammar, without those that a captioner filled in.

    A row that has none is a failure that no retry mends.
    """

    name = "labels"

    def __init__(self, config: LabelsConfig | None = None) -> None:
        self.config = config or LabelsConfig()

    def facts(self) -> dict[str, Any]:
        return {"captioner": self.name, "model": "grammar", "style": self.config.style, "seed": self.config.seed}

    def estimate(self, faces: int) -> Estimate:
        return Estimate(faces, seconds=faces * SECONDS)

    def stream(self, faces: Iterable[Face]) -> Iterator[Outcome]:
        for face in faces:
            said = labels_of(face.record)
            if not said.said():
                yield Failure(face.name, "no labels", "the row has no attributes of its own", again=False)
                continue
            text = written(said, face.name, self.config.style, self.config.seed)
            yield Caption(face.name, text, facts=self.facts())


def written(attributes: Attributes, name: str, style: str = "paragraph", seed: int = 0) -> str:
    """The attributes in English. Wording is a function of (seed, name): the same in any order, range or process."""
    return grammar.describe(attributes, style, draw(seed, name))


def draw(seed: int, name: str) -> int:
    """A seed of 32 bits for one picture, well mixed; Python's own `hash` differs from run to run."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{name}".encode()).digest()[:4], "big")
