"""What a comparison finds, and its first part: is drawn what the words say, by every judge, and what of the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...models.judge import HEADS
from ...records import Score
from ..adherence.answers import Answers
from ..adherence.questions import question
from ..adherence.traits import TRAITS, Trait
from ..audit.group_quality import FEWEST
from ..audit.memorisation import Memorisation
from ..audit.shares import Share, shares
from ..formulas.intervals import balanced_accuracy, wilson
from ..networks.features import Progress
from .asked import Item
from .changes import Change, change, paired_hits, paired_proportions, sign_test
from .sides import Side

OPEN = ("gender", "age", "ethnicity")  # whose groups are told
SILENT = (*OPEN, "glasses", "headwear", "expression")  # what is asked of faces whose words leave it open
QUESTIONS = (*TRAITS, *(question(name) for name in HEADS if name not in {trait.field for trait in TRAITS}))
Stage = Callable[[str, int], Progress]


@dataclass(frozen=True)
class Measure:
    """One number of every side, the base first, and how each other side changed from it.

    `higher`: whether more is better, None for neither; a change then has no verdict."""

    section: str
    title: str
    higher: bool | None
    scores: tuple[Score, ...]
    changes: tuple[Change, ...]

    @property
    def key(self) -> str:
        return self.scores[0].metric


@dataclass
class Found:
    """What the parts add to. `missing`: what was not measured -> why. The rest serves the worst cases and the page."""

    measures: list[Measure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    protocol: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)  # by item: what the first judge looked for
    failed: list[list[list[str]]] = field(default_factory=list)  # by side and item: what it did not see
    cosines: list[list[float]] = field(default_factory=list)  # by side and item, nan without words
    shares: dict[str, list[list[Share]]] = field(default_factory=dict)  # field -> by side
    copies: list[Memorisation] = field(default_factory=list)  # by side


def words(found: Found, items: Sequence[Item], sides: Sequence[Side], judges: Sequence[Answers], stage: Stage) -> None:
    """Balanced accuracy of each attribute that the words name, by each judge; by the first one also the groups, and
    the shares of what the words leave open."""
    found.asked, found.failed = [[] for _ in items], [[[] for _ in items] for _ in sides]
    for place, by in enumerate(judges):
        traits = [t for t in QUESTIONS if by.knows(t) and any(t.truth(item.attributes) is not None for item in items)]
        if not traits:
            found.notes.append(f"{by.name} was asked nothing: the words name no attribute that it knows.")
        else:
            found.protocol.append(f"Answers by {by.name}: {by.told}.")
        answers = [by.answer(s.files, traits, stage(f"{by.name}: {s.name}", len(items))) for s in sides if traits]
        for trait in traits:
            told = [side[trait.field] for side in answers]
            _trait(found, trait, by, items, told)
            if place == 0 and trait.field in OPEN:
                _groups(found, trait, by, items, told)
            if place == 0:
                _tell_failures(found, trait, items, told)
        if place == 0:
            _left_open(found, by, items, sides)
    found.protocol.append(
        "Words: balanced accuracy (mean recall of the answers) over the faces whose prompt, as the grammar reads it, "
        "gives an answer; intervals: Wilson, combined; of changes: Newcombe's for the same faces, combined. A verdict "
        "also needs the exact sign test at 5 % over the faces whose answer changed."
    )


def _trait(
    found: Found, trait: Trait, by: Answers, items: Sequence[Item], answers: Sequence[Sequence[int | None]]
) -> None:
    truths = [trait.truth(item.attributes) for item in items]
    places = [i for i, truth in enumerate(truths) if truth is not None]
    classes = [truths[i] or 0 for i in places]
    hits = [[side[i] == truths[i] for i in places] for side in answers]
    names = list(trait.answers)
    scores = []
    for side in hits:
        right = [(sum(h for h, c in zip(side, classes, strict=True) if c == k), classes.count(k)) for k in set(classes)]
        recalls = ", ".join(f"{names[k]} {h}/{n}" for k, (h, n) in zip(set(classes), right, strict=True))
        told = f"balanced accuracy of {trait.title} by {by.name}; right: {recalls}; interval: Wilson, combined"
        scores.append(Score(f"words/{trait.name}/{by.name}", *balanced_accuracy(right), len(places), told))
    changes = tuple(paired_hits(hits[0], side, classes) for side in hits[1:])
    only = f": {names[classes[0]]}" if len(set(classes)) == 1 else ""
    found.measures.append(Measure("words", f"{trait.title}{only}, by {by.name}", True, tuple(scores), changes))


def _groups(
    found: Found, trait: Trait, by: Answers, items: Sequence[Item], answers: Sequence[Sequence[int | None]]
) -> None:
    """How often each group that is asked for by name is recognised, where enough faces ask for it."""
    for answer, name in enumerate(trait.answers):
        places = [i for i, item in enumerate(items) if trait.truth(item.attributes) == answer]
        if len(places) < FEWEST:
            if places:
                few = f"groups asked for by name, with fewer than {FEWEST} faces"
                found.missing[few] = ", ".join(filter(None, (found.missing.get(few), f"{name} ({len(places)})")))
            continue
        hits = [[side[i] == answer for i in places] for side in answers]
        told = f"share of faces asked for as {name} that {by.name} answers so; interval: Wilson"
        key, n = f"groups/{trait.field}={name}/{by.name}", len(places)
        scores = tuple(Score(key, sum(h) / n, *wilson(sum(h), n), n, told) for h in hits)
        changes = []
        for h in hits[1:]:
            _, low, high = paired_proportions(hits[0], h)
            won, lost = (sum(x and not y for x, y in zip(*pair, strict=True)) for pair in ((h, hits[0]), (hits[0], h)))
            limits = [(s, s, s) for s in (sum(hits[0]) / n, sum(h) / n)]
            changes.append(change(limits[0], limits[1], low, high, True, sign_test(won, lost) < 0.05))
        found.measures.append(Measure("groups", f"{name} recognised, by {by.name}", True, scores, tuple(changes)))


def _tell_failures(found: Found, trait: Trait, items: Sequence[Item], answers: Sequence[Sequence[int | None]]) -> None:
    names = list(trait.answers)
    for i, item in enumerate(items):
        if (truth := trait.truth(item.attributes)) is not None:
            found.asked[i].append(trait.name)
            for side, told in enumerate(answers):
                if (answer := told[i]) != truth:
                    saw = "nothing said" if answer is None else f"{names[answer]}"
                    found.failed[side][i].append(f"{trait.name.replace('_', ' ')}: {saw}, not {names[truth]}")


def _left_open(found: Found, by: Answers, items: Sequence[Item], sides: Sequence[Side]) -> None:
    """Shares of each answer among faces whose words do not say: what a LoRA does unasked shows here."""
    for trait in map(question, SILENT):
        places = [i for i, item in enumerate(items) if getattr(item.attributes, trait.field) in (None, ())]
        if places and by.knows(trait):
            told = [by.answer([side.files[i] for i in places], [trait])[trait.field] for side in sides]
            found.shares[trait.field] = [shares(one, list(trait.answers), None) for one in told]


def scores_of(measures: Sequence[Measure], side: int) -> Mapping[str, Score]:
    """The numbers of one side by key."""
    return {measure.key: measure.scores[side] for measure in measures}
