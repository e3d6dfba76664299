"""What adherence asks of a face: one table of questions, their answers, and the words that `eye` compares with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...models.judge import AGES, HEADS
from ...records import ETHNICITIES, Attributes
from ..networks.features import Sees


@dataclass(frozen=True)
class Trait:
    """One question. `answers` maps each answer to the label values that mean it; other values take no side.

    `field` names the field of `Attributes` and the head of `judge`; `prompts` are for `eye`, by answer. `gender` limits
    the question to some. `given`: the labels are the data set's own, so that every real face may be asked.
    """

    name: str
    title: str
    field: str
    answers: dict[str, tuple[str, ...]]
    prompts: dict[str, tuple[str, ...]]
    gender: str | None = None
    given: bool = False

    @property
    def binary(self) -> bool:
        return len(self.answers) == 2

    def truth(self, attributes: Attributes | None) -> int | None:
        """Index of the answer that a caption or label gives; None when it gives none, or not to this question."""
        if attributes is None or (self.gender and attributes.gender != self.gender):
            return None
        value = getattr(attributes, self.field)
        said = {str(v) for v in value} if isinstance(value, tuple) else {str(value)} if value is not None else set()
        meant = [i for i, values in enumerate(self.answers.values()) if said & set(values)]
        return meant[0] if len(meant) == 1 else None

    def judged(self, probabilities: dict[str, Tensor]) -> list[int]:
        """The likeliest answer for each face, by `judge`: its probabilities (N, classes) summed over each answer."""
        head = HEADS[self.field]
        columns = [[head.index(v) for v in values if v in head] for values in self.answers.values()]
        sums = torch.stack([probabilities[self.field][:, c].sum(1) for c in columns], 1)  # (N, classes) -> (N, answers)
        return sums.argmax(1).tolist()

    def zero_shot(self, eye: Sees, features: Tensor) -> list[int]:
        """The nearest answer by face (N, D), by `eye`, prompts' features averaged (Radford et al. 2021, 3.1.4)."""
        words = [normalize(eye.text_features(list(p)).float().cpu().mean(0), dim=0) for p in self.prompts.values()]
        return (features @ torch.stack(words).T).argmax(1).tolist()  # (N, D) @ (D, answers)


def _ethnicity(value: str) -> tuple[str, ...]:
    article = "an" if value[0] in "AEIOU" else "a"
    woman = "Latina" if value == "Latino" else value
    return (f"{article} {woman} woman", f"{article} {value} man", f"a portrait of {article} {value} person")


# In the words of the captions that `eye` learned: numbers, then how people say it.
_DECADES = {
    "20-29": ("twenties", "25"), "30-39": ("thirties", "35"), "40-49": ("forties", "45"),
    "50-59": ("fifties", "55"), "60-69": ("sixties", "65"), "70+": ("seventies", "75"),
}  # fmt: skip


def _age(group: str) -> tuple[str, ...]:
    decade, years = _DECADES[group]
    people = (f"a woman in her {decade}", f"a man in his {decade}")
    return (*people, f"a {years}-year-old woman", f"a {years}-year-old man")


TRAITS: tuple[Trait, ...] = (
    Trait(
        "gender", "gender", "gender", {"female": ("female",), "male": ("male",)},
        {"female": ("a woman", "a portrait of a woman", "female"), "male": ("a man", "a portrait of a man", "male")},
        given=True,
    ),
    Trait(
        "glasses", "glasses (any / none)", "glasses", {"any": ("eyeglasses", "sunglasses"), "none": ("none",)},
        {
            "any": ("a person wearing glasses", "a person with eyeglasses", "a person wearing sunglasses"),
            "none": ("a person without glasses", "a person wearing no glasses", "no glasses"),
        },
    ),
    Trait(
        "smile", "smile (smiling or laughing / neutral)", "expression",
        {"smile": ("smiling", "laughing"), "neutral": ("neutral",)},
        {
            "smile": ("a smiling person", "a person with a smile", "a laughing person"),
            "neutral": ("a person with a neutral expression", "neutral expression", "a neutral face"),
        },
    ),
    Trait(
        "beard", "beard in men (full or goatee / none)", "facial_hair",
        {"beard": ("full beard", "goatee"), "none": ("none",)},
        {
            "beard": ("a man with a full beard", "a bearded man", "a man with a goatee"),
            "none": ("a clean-shaven man", "a man without facial hair", "a man with no beard"),
        },
        gender="male",
    ),
    Trait(
        "headwear", "headwear (any / none)", "headwear",
        {"any": ("hat", "cap", "headscarf", "turban", "other"), "none": ("none",)},
        {
            "any": (
                "a person wearing a hat", "a person wearing a cap", "a person wearing a headscarf",
                "a person wearing a turban",
            ),
            "none": ("a person without headwear", "a bareheaded person", "no hat"),
        },
    ),
    Trait(
        "ethnicity", "ethnicity (7)", "ethnicity", {e: (e,) for e in ETHNICITIES},
        {e: _ethnicity(e) for e in ETHNICITIES}, given=True,
    ),
    Trait("age", "age group (6)", "age", {a: (a,) for a in AGES}, {a: _age(a) for a in AGES}, given=True),
)  # fmt: skip
