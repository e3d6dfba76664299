"""Who says what a face shows: `judge`, zero-shot networks (`eye`, CLIP), or a vision-language model that describes it.

    by = make("judge")
    by.answer(pictures, [question("glasses")])  ->  {"glasses": [0, 2, None, ...]}

An answer is a place in `Trait.answers`; None where nothing was said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ... import grammar
from ...caption.captioner import Caption, Captioner, Face
from ...caption.captioner import make as make_captioner
from ...caption.seen import LOOKS
from ...config import suggest
from ...errors import UsageError
from ...models.judge import HEADS
from ...records import Attributes, FaceRecord
from ..networks.features import RESIZED, Judges, Pictures, Progress, Sees, predictions
from .traits import Trait

Found = dict[str, list[int | None]]  # field -> the answer for each picture
DESCRIBES = {"api": {"attributes": True}, "llava": {"greedy": True}}  # captioners that look, and how they are asked


class Answers(Protocol):
    """Made by `make`. `told` is a clause for the protocol; `knows`: whether it can be asked this question at all."""

    @property
    def name(self) -> str: ...

    @property
    def told(self) -> str: ...

    def knows(self, trait: Trait) -> bool: ...

    def answer(self, pictures: Sequence[Path], traits: Sequence[Trait], progress: Progress | None = None) -> Found: ...


@dataclass(frozen=True)
class ByJudge:
    """The likeliest class of each attribute head."""

    judge: Judges
    name: str = "judge"
    told: str = f"attribute classifier of this package, in no loss, offline; pictures: {RESIZED}"

    def knows(self, trait: Trait) -> bool:
        return trait.field in HEADS

    def answer(self, pictures: Sequence[Path], traits: Sequence[Trait], progress: Progress | None = None) -> Found:
        probabilities = predictions(self.judge, pictures, progress=progress)
        return {trait.field: list(trait.judged(probabilities)) for trait in traits}


class Reads(Sees, Protocol):
    """What is asked of a `networks.Network` for zero-shot: unit vectors of pictures and of texts in one space."""

    @property
    def name(self) -> str: ...

    @property
    def told(self) -> str: ...

    def features(self, source: Pictures, progress: Progress | None = None) -> Tensor: ...


@dataclass(frozen=True)
class ZeroShot:
    """The nearest answer, prompts' features averaged (Radford et al. 2021). `eye` is asked only what it knows."""

    network: Reads

    @property
    def name(self) -> str:
        return self.network.name

    @property
    def told(self) -> str:
        return f"zero-shot, captions of the grammar averaged for each answer; {self.network.told}"

    def knows(self, trait: Trait) -> bool:
        return trait.field in LOOKS or self.name != "eye"

    def answer(self, pictures: Sequence[Path], traits: Sequence[Trait], progress: Progress | None = None) -> Found:
        features = self.network.features(pictures, progress)  # (N, D)
        return {trait.field: list(trait.zero_shot(self.network, features)) for trait in traits}


@dataclass(frozen=True)
class Described:
    """What a captioner says of each picture: its attributes, or what the grammar reads in its text."""

    captioner: Captioner

    @property
    def name(self) -> str:
        return self.captioner.name

    @property
    def told(self) -> str:
        facts = ", ".join(f"{key} {value}" for key, value in self.captioner.facts().items() if key != "captioner")
        return f"captioner ({facts}); attributes that it filled in, else as the grammar reads its text"

    def knows(self, trait: Trait) -> bool:
        return True

    def answer(self, pictures: Sequence[Path], traits: Sequence[Trait], progress: Progress | None = None) -> Found:
        """Raises `UsageError` where it describes no picture at all."""
        said: dict[str, Attributes] = {}
        trouble = ""
        faces = [Face(FaceRecord(str(i)), Path(picture)) for i, picture in enumerate(pictures)]
        for outcome in self.captioner.stream(faces):
            if isinstance(outcome, Caption):
                said[outcome.name] = outcome.attributes or grammar.parse(outcome.text).attributes
            else:
                trouble = f"{outcome.reason} {outcome.detail}".strip()
            if progress:
                progress(1)
        if not said:
            raise UsageError(f"{self.name} described none of the {len(faces)} pictures ({trouble}): mend it, or leave")
        # whom a question is put to was settled by who asks: a beard that it sees in a woman counts
        return {t.field: [replace(t, gender=None).truth(said.get(face.name)) for face in faces] for t in traits}


@dataclass(frozen=True)
class Options:
    """How judges are made: `settings` are the captioner's, `weights` of networks by name, `device` as everywhere."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str | Path] = field(default_factory=dict)
    device: str | None = None


def make(name: str, options: Options | None = None) -> Answers:
    """`judge`, a captioner that looks (`api`, `llava`), or a network that reads words (`eye`, `clip-*`).

    Raises `UsageError` for an unknown name and `ModelNotFound` for missing weights.
    """
    options = options or Options()
    if name == "judge":
        from ...models.judge import Judge

        return ByJudge(Judge.load())
    if name in DESCRIBES:
        return Described(make_captioner(name, {**DESCRIBES[name], **options.settings}))
    from ..networks import catalogue as networks

    if name in networks.reading():
        return ZeroShot(networks.load(name, options.weights, options.device))
    raise UsageError(f"nobody called {name!r} judges faces{suggest(name, ['judge', *DESCRIBES, *networks.reading()])}")
