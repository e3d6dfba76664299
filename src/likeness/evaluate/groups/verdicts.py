"""Do drawn groups look like themselves, and hybrids like both parents? Questions, counts and verdicts.

A group is recognised when `judge` finds its classes likelier than those of any other group of the model. A hybrid lies
between its parents when each parent's mean probability in it is below that parent's own and above the others'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ...config import suggest
from ...errors import UsageError
from ...generate.hybrids import Combination
from ...generate.mixture import title
from ...models.judge import HEADS
from ...records import Score
from ..adherence.traits import Trait
from ..formulas.bootstrap import TOLD, mean_interval
from ..formulas.intervals import wilson

# The field's names for groups of mug shots -> classes of `judge`; any other name is a class itself, or told.
MEANINGS: dict[str, tuple[str, ...]] = {
    "europeans": ("White",),
    "orientals": ("East Asian", "Southeast Asian"),
    "asians": ("East Asian", "Southeast Asian"),
    "asian": ("East Asian", "Southeast Asian"),
    "indians": ("Indian",),
}
ORDER = ("ethnicity", *(head for head in HEADS if head != "ethnicity"))


def question(groups: Sequence[str], means: Mapping[str, Sequence[str]] | None = None) -> Trait:
    """The question "which group?", put to the first head of `judge` that has classes for every group.

    `means`: group -> classes, where names do not say it. Raises `UsageError` when no head knows every group, when two
    groups mean one class, or when there are fewer than two groups to tell apart.
    """
    if len(groups) < 2:
        raise UsageError("telling groups apart takes two or more: this model has " + (groups[0] if groups else "none"))
    told = {name.lower(): tuple(classes) for name, classes in (means or {}).items()}
    if strange := set(told) - {group.lower() for group in groups}:
        raise UsageError(f"the model knows no group {min(strange)!r}{suggest(min(strange), list(groups))}")
    wanted = {group: told.get(group.lower()) or MEANINGS.get(group.lower(), (group,)) for group in groups}
    for head in ORDER:
        known = {value.lower(): value for value in HEADS[head]}
        if all(c.lower() in known for classes in wanted.values() for c in classes):
            answers = {group: tuple(known[c.lower()] for c in classes) for group, classes in wanted.items()}
            taken = [c for classes in answers.values() for c in classes]
            if twice := [c for c in taken if taken.count(c) > 1]:
                raise UsageError(f"two groups mean the class {twice[0]!r} of `judge`: tell them apart with --means")
            return Trait("group", "group", head, answers, {})
    classes = {c.lower() for head in HEADS.values() for c in head}
    lost = next((g for g, said in wanted.items() if not all(c.lower() in classes for c in said)), groups[0])
    raise UsageError(
        f"`judge` has no class for the group {lost!r} beside the others: say which it means, "
        f"such as --means '{lost}=East Asian+Southeast Asian' (ethnicity: {', '.join(HEADS['ethnicity'])})"
    )


@dataclass(frozen=True)
class Recall:
    """How often `judge` takes the drawn faces of a group for that group, and real faces seen as small."""

    group: str
    chance: float
    drawn: Score
    real: Score | None

    @property
    def above_chance(self) -> bool:
        return self.drawn.low > self.chance

    @property
    def of_real(self) -> float | None:
        """Share of the recall on real faces; None where there is none."""
        return self.drawn.value / self.real.value if self.real and self.real.value else None


@dataclass(frozen=True)
class Between:
    """A parent's mean probability in a hybrid, in the parent itself (`pure`), and in the other parents by name."""

    hybrid: str
    parent: str
    mixed: Score
    pure: Score
    others: tuple[tuple[str, Score], ...]

    @property
    def holds(self) -> bool:
        """Between, with intervals that do not touch."""
        return max(other.high for _, other in self.others) < self.mixed.low and self.mixed.high < self.pure.low


@dataclass(frozen=True)
class Answers:
    """What `judge` said of faces: probabilities (N, classes) of the question's head, by group or hybrid."""

    trait: Trait
    drawn: Mapping[Combination, Tensor]
    real: Tensor
    truths: tuple[int | None, ...]
    protocol: str

    def recalls(self) -> list[Recall]:
        """One for each group. Chance is a guess among the groups."""
        of_real, rows = self._answers(self.real), []
        for place, group in enumerate(self.trait.answers):
            shown = [answer for answer, truth in zip(of_real, self.truths, strict=True) if truth == place]
            drawn = self._recall(group, "drawn", self._answers(self._pure[group]), place)
            real = self._recall(group, "real", shown, place) if shown else None
            rows.append(Recall(group, 1 / len(self.trait.answers), drawn, real))
        return rows

    def between(self) -> list[Between]:
        """One for each parent of each hybrid."""
        found = []
        for hybrid, said in self.drawn.items():
            parents = [group for group, _ in hybrid.parts]
            for parent in parents if len(parents) > 1 else ():
                pure = {group: self._mean(parent, group, self._pure[group]) for group in parents}
                own = pure.pop(parent)
                mixed = self._mean(parent, title(hybrid.parts), said)
                found.append(Between(title(hybrid.parts), parent, mixed, own, tuple(pure.items())))
        return found

    @cached_property
    def _pure(self) -> dict[str, Tensor]:
        return {one.parts[0][0]: said for one, said in self.drawn.items() if len(one.parts) == 1}

    @cached_property
    def _columns(self) -> dict[str, list[int]]:
        head = HEADS[self.trait.field]
        return {group: [head.index(c) for c in classes] for group, classes in self.trait.answers.items()}

    def _answers(self, probabilities: Tensor) -> list[int]:
        return self.trait.judged({self.trait.field: probabilities})

    def _recall(self, group: str, faces: str, answers: Sequence[int], place: int) -> Score:
        hits = sum(answer == place for answer in answers)
        told = f"{hits} of {len(answers)} {faces} faces of {group} taken for it by `judge`; interval: Wilson. "
        name = f"groups/recall/{group}/{faces}"
        return Score(name, hits / len(answers), *wilson(hits, len(answers)), len(answers), told + self.protocol)

    def _mean(self, parent: str, of: str, probabilities: Tensor) -> Score:
        values = probabilities[:, self._columns[parent]].sum(1).double()  # (N, classes) -> (N,)
        told = f"mean probability of {parent} by `judge` in drawn faces of {of}; interval: {TOLD.format('faces')}. "
        low, high = mean_interval(values.tolist())
        name = f"groups/probability/{parent}/{of}"
        return Score(name, float(values.mean()), low, high, len(values), told + self.protocol)
