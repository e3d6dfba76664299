"""What our own small model sees: attributes by zero-shot comparison, with confidences, offline. A weak labeller.

Each value of a field is put into a few dozen captions of the grammar; a face is compared with their mean, and the
softmax over a field's values is the confidence (Radford et al. 2021, sec. 3.1.4). Nothing below the threshold is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import grammar
from ..config import suggest
from ..data.decode import BadImage, open_image
from ..errors import ConfigError
from ..records import ETHNICITIES, FIELDS, Age, Attributes
from .captioner import Caption, Estimate, Face, Failure, Outcome
from .labels import STYLES, written

if TYPE_CHECKING:
    from torch import Tensor

    from ..models.eye import Eye

# Field -> the values that `eye` saw often enough in training. Make-up is left out: on the test faces it guesses.
LOOKS: dict[str, tuple[str, ...]] = {
    "gender": FIELDS["gender"].values,
    "age": ("20-29", "30-39", "40-49", "50-59", "60-69", "70+"),
    "ethnicity": ETHNICITIES,
    "hair_color": tuple(v for v in FIELDS["hair_color"].values if v not in ("light brown", "dyed")),
    "hair_length": FIELDS["hair_length"].values,
    "hair_texture": FIELDS["hair_texture"].values,
    "facial_hair": tuple(v for v in FIELDS["facial_hair"].values if v != "sideburns"),
    "expression": ("neutral", "smiling", "laughing", "sad", "angry", "surprised"),
    "mouth": FIELDS["mouth"].values,
    "glasses": FIELDS["glasses"].values,
    "headwear": tuple(v for v in FIELDS["headwear"].values if v != "other"),
    "pose": ("frontal", "three-quarter"),
}
ONLY_OF = {"facial_hair": "male"}  # asked of those only who are surely so: nobody remarks that a woman has no beard
WORDINGS = 2  # of each style and gender
WIDEST = 3  # age groups that may be taken together
SECONDS = 0.012  # a face, on one core
Look = dict[str, dict[str, float]]  # field -> its values -> probabilities, which add up to 1
Sure = dict[str, tuple[str, float]]  # field -> the value that is said, and its probability


@dataclass(frozen=True)
class SeenConfig:
    """`threshold`: the least confidence with which an attribute is said. `model`: a folder by `likeness train eye`;
    None is the shipped one. `device`, `precision` as everywhere. `style` and `seed` of the text as for `labels`.
    """

    model: str | None = None
    threshold: float = 0.7
    batch: int = 32
    device: str | None = None
    precision: str | None = None
    style: str = "paragraph"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold {self.threshold} is not between 0 and 1")
        if self.batch < 1:
            raise ConfigError("batch must be at least 1")
        if self.style not in STYLES:
            raise ConfigError(f"no style {self.style!r}{suggest(self.style, list(STYLES))}")


class Seen:
    """Captions from what `eye` sees alone; the row's own labels are not looked at."""

    name = "eye"

    def __init__(self, config: SeenConfig | None = None) -> None:
        self.config = config or SeenConfig()
        self.eyes = Eyes(self.config.model, self.config.device, self.config.precision)

    def facts(self) -> dict[str, Any]:
        told = {"threshold": self.config.threshold, "style": self.config.style, "seed": self.config.seed}
        return {"captioner": self.name, "model": self.eyes.title} | told

    def estimate(self, faces: int) -> Estimate:
        return Estimate(faces, seconds=faces * SECONDS, notes=("a weak model: see docs/captions.md",))

    def stream(self, faces: Iterable[Face]) -> Iterator[Outcome]:
        facts, waiting = self.facts(), iter(faces)
        while batch := list(islice(waiting, self.config.batch)):
            start = time.perf_counter()
            looks = self.eyes.look(batch)
            seconds = (time.perf_counter() - start) / len(batch)
            for face, look in zip(batch, looks, strict=True):
                yield look if isinstance(look, Failure) else self._told(face, look, facts, seconds)

    def _told(self, face: Face, look: Look, facts: dict[str, Any], seconds: float) -> Outcome:
        sure = surely(look, self.config.threshold)
        if not sure:
            detail = f"nothing seen with a confidence of {self.config.threshold:g}"
            return Failure(face.name, "empty", detail, again=False)
        said = attributes(sure)
        confidence = {name: round(chance, 3) for name, (_, chance) in sure.items()}
        text = written(said, face.name, self.config.style, self.config.seed)
        return Caption(face.name, text, said, confidence, facts, seconds=seconds)


@dataclass
class Eyes:
    """`eye` and the features of its prompts; loaded when the first face is looked at."""

    model: str | None = None
    device: str | None = None
    precision: str | None = None

    @cached_property
    def title(self) -> str:
        """Which weights these are: `eye 3f2a…`, the first digits of their hash."""
        from ..models.eye import ASSET
        from ..models.registry import fingerprint

        return f"eye {fingerprint(Path(self.model or ASSET))[:12]}"

    @cached_property
    def eye(self) -> Eye:
        from ..models.eye import Eye
        from ..models.stable_diffusion import quiet
        from ..runtime import choose

        with quiet():
            return Eye.load(self.model, choose(self.device, self.precision))

    @cached_property
    def words(self) -> dict[str, Tensor]:
        """By field, the mean features of each value's prompts, (values, D), unit vectors."""
        from ..models.eye import unit

        found = {}
        for name, values in LOOKS.items():
            features = self.eye.text_features([text for value in values for text in prompts(name, value)])
            found[name] = unit(features.view(len(values), -1, features.shape[-1]).mean(1))  # (V * P, D) -> (V, D)
        return found

    def look(self, faces: Sequence[Face]) -> list[Look | Failure]:
        """What each face shows, sure or not; a `Failure` for a picture that cannot be opened."""
        pictures = [picture(face) for face in faces]
        looks = iter(self._looks([one for one in pictures if not isinstance(one, Failure)]))
        return [one if isinstance(one, Failure) else next(looks) for one in pictures]

    def _looks(self, pictures: list[Any]) -> list[Look]:
        from ..models.eye import SIZE
        from ..models.pixels import to_pixels

        if not pictures:
            return []
        scale = self.eye.model.logit_scale.exp().float()
        features = self.eye.image_features(to_pixels(pictures, SIZE))  # (B, D)
        chances = {name: (features @ words.T * scale).softmax(-1).tolist() for name, words in self.words.items()}
        return [
            {name: dict(zip(LOOKS[name], rows[i], strict=True)) for name, rows in chances.items()}
            for i in range(len(pictures))
        ]


def picture(face: Face) -> Any:
    """The face as `eye` learned faces: where the row knows the eyes, cut and levelled by them, else the whole picture.

    A PIL picture, or a `Failure`.
    """
    from ..data.crop import fairface_align
    from ..models.eye import SIZE

    try:
        image = open_image(face.picture())
    except BadImage as error:
        return Failure(face.name, "unreadable", str(error), again=False)
    eyes = (face.record.landmarks or ())[:2]
    apart = abs(complex(*eyes[0]) - complex(*eyes[1])) if len(eyes) == 2 else 0
    return fairface_align(image, eyes, SIZE) if apart >= 1 else image


def prompts(name: str, value: str) -> list[str]:
    """Captions of the grammar that say this of a face and nothing else but its gender."""
    both: list[str | None] = ["female", "male"]
    genders = [None] if name == "gender" else [ONLY_OF[name]] if name in ONLY_OF else both
    people = [attributes({name: (value, 1.0)} | ({"gender": (of, 1.0)} if of else {})) for of in genders]
    return [grammar.describe(one, style, seed) for one in people for style in STYLES for seed in range(WORDINGS)]


def surely(look: Look, threshold: float) -> Sure:
    """What a look is sure of. Age groups are taken together until they are: `20-39`."""
    found: Sure = {}
    for name, chances in look.items():
        options = _ages(chances) if name == "age" else [max(chances.items(), key=lambda pair: pair[1])]
        sure = next((option for option in options if option[1] >= threshold), None)
        if sure and (name not in ONLY_OF or found.get("gender", ("",))[0] == ONLY_OF[name]):
            found[name] = sure
    return found


def _ages(chances: dict[str, float]) -> Iterator[tuple[str, float]]:
    """The likeliest run of one group, of two neighbours, of three."""
    groups = [(Age.parse(group), chance) for group, chance in chances.items()]
    for width in range(1, WIDEST + 1):
        runs = [groups[i : i + width] for i in range(len(groups) - width + 1)]
        best = max(runs, key=lambda run: sum(chance for _, chance in run))
        yield str(Age(best[0][0].low, best[-1][0].high)), sum(chance for _, chance in best)


def attributes(sure: Sure) -> Attributes:
    plain = {name: [value] if name in FIELDS and FIELDS[name].many else value for name, (value, _) in sure.items()}
    return Attributes.from_dict(plain)
