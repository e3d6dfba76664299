"""The measures of an audit: what open prompts show, how well groups are drawn, how unlike the pictures are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...data.detect import make_detector
from ...records import Score
from ..adherence.answers import Answers, Found
from ..adherence.cases import Case
from ..adherence.questions import question
from ..evaluation import Stage
from ..formulas.bootstrap import TOLD as BOOTSTRAP
from ..formulas.bootstrap import mean_interval
from ..formulas.confusion import Confusion
from ..formulas.diversity import spread, vendi, vendi_of_samples
from ..formulas.intervals import Z95
from ..networks.features import Progress
from . import skin
from .group_quality import GroupQuality, qualities
from .shares import Limits, Reference, Share, chance_of, corrected, shares

GROUPS = ("gender", "age", "ethnicity")
SKIN = "skin tone"
SKIN_REAL = 200  # real faces whose skin is measured: finding landmarks is slow
Group = tuple[str, str]  # field, value


@dataclass(frozen=True)
class Shares:
    """What one prompt shows of one field. `chance`: of the reference giving this; `true`: corrected for the judge's
    errors, by answer (value, low, high), or None; `real`: how the same judge answers on the real test faces.
    """

    prompt: str
    field: str
    found: tuple[Share, ...]
    chance: float | None
    true: tuple[Limits, ...] | None
    real: tuple[Share, ...]
    unsaid: int = 0

    def scores(self, protocol: str) -> list[Score]:
        """One for each answer, of those faces that something was said of."""
        found = []
        for share in self.found:
            if share.count:
                how = f"share of {self.field} {share.answer} for the prompt {self.prompt!r}; interval: Wilson"
                name = f"audit/share/{self.field}={share.answer}/{self.prompt}"
                found.append(Score(name, share.value, *share.interval, share.count, f"{how}. {protocol}"))
        return found


@dataclass(frozen=True)
class Diversity:
    """Of one prompt: mean distance of pairs beside that of real faces (of the group that it asks for); Vendi scores."""

    prompt: str
    distance: Score
    real: float
    vendi: float
    real_vendi: float | None


@dataclass(frozen=True)
class Seen:
    """What the networks say: features and answers of each drawn picture; the real faces with theirs."""

    features: Mapping[Path, Tensor]
    answers: Mapping[Path, Mapping[str, int | None]]
    real: Sequence[Case]
    of_real: Tensor  # (N, D)
    on_real: Found

    def of(self, files: Sequence[Path]) -> Tensor:
        """Features of these pictures, (N, D)."""
        return torch.stack([self.features[file] for file in files])

    def like(self, group: Group) -> Tensor:
        """Features of the real faces that are labelled so, (N, D)."""
        trait = question(group[0])
        place = list(trait.answers).index(group[1])
        return self.of_real[[i for i, case in enumerate(self.real) if trait.truth(case.attributes) == place]]


def answers_of(by: Answers, pictures: Sequence[Path], tick: Progress) -> Found:
    """Gender, age and ethnicity of each picture, as far as this judge can be asked."""
    traits = [trait for name in GROUPS if by.knows(trait := question(name))]
    return by.answer(pictures, traits, tick) if traits else {}


def open_shares(by_prompt: Mapping[str, Sequence[Path]], by: Answers, seen: Seen, reference: Reference) -> list[Shares]:
    """What each prompt shows by gender, age and ethnicity, against the reference and beside real faces."""
    measured = []
    for field in (name for name in GROUPS if by.knows(question(name))):
        trait, theirs = question(field), seen.on_real.get(field, [])
        values = list(trait.answers)
        truths = [trait.truth(case.attributes) for case in seen.real] if theirs else []
        errors = [row[:-1] for row in Confusion.of(field, "real", by.name, values, truths, theirs).counts]
        beside = tuple(shares(theirs, values, None)) if theirs else ()
        for prompt, files in by_prompt.items():
            said = [seen.answers[file][field] for file in files]
            ours = shares(said, values, reference.get(field))
            sure = all(map(sum, errors)) and ours[0].count > 0
            true = tuple(corrected([s.hits for s in ours], errors)) if sure else None
            measured.append(Shares(prompt, field, tuple(ours), chance_of(ours), true, beside, said.count(None)))
    return measured


def skin_shares(
    by_prompt: Mapping[str, Sequence[Path]], real: Sequence[Path], reference: Reference, stage: Stage
) -> tuple[list[Shares], list[Score]]:
    """Classes of skin tone and the mean angle, by prompt, beside real faces. Raises `MissingExtra` without OpenCV."""
    detector, values = make_detector("mtcnn"), list(skin.CLASSES)
    sample = real[:: max(1, len(real) // SKIN_REAL)]
    tick = stage("skin tone", len(sample) + sum(map(len, by_prompt.values())))
    angles = {name: skin.measure(files, detector, tick) for name, files in {"": sample, **by_prompt}.items()}
    classes = {name: [None if a is None else skin.class_of(a) for a in found] for name, found in angles.items()}
    beside = tuple(shares(classes.pop(""), values, None))
    measured, means = [], []
    for prompt, found in classes.items():
        ours = shares(found, values, reference.get(SKIN))
        chance = chance_of(ours)
        measured.append(Shares(prompt, SKIN, tuple(ours), chance, None, beside, found.count(None)))
    for name, found_angles in angles.items():
        seen = [a for a in found_angles if a is not None]
        if len(seen) > 1:
            what = f"the prompt {name!r}" if name else "real test faces"
            how = f"mean angle in degrees of {what}, higher is lighter; {BOOTSTRAP.format('faces')}. {skin.TOLD}"
            value = sum(seen) / len(seen)
            means.append(Score(f"audit/ita/{name or 'real'}", value, *mean_interval(seen), len(seen), how))
    return measured, means


def group_quality(groups: Mapping[Group, Sequence[Path]], seen: Seen, told: str) -> list[GroupQuality]:
    """Each group's kernel distance to real faces of the group, and the judge's recall of it."""
    found = []
    for field in dict.fromkeys(field for field, _ in groups):
        values = list(question(field).answers)
        ours = {value: files for (name, value), files in groups.items() if name == field}
        drawn = {value: seen.of(files) for value, files in ours.items()}
        real = {value: seen.like((field, value)) for value in ours}
        hits = {
            value: (sum(seen.answers[file][field] == values.index(value) for file in files), len(files))
            for value, files in ours.items()
            if field in seen.answers[files[0]]
        }
        found += qualities(field, drawn, real, hits, told)
    return found


def diversities(
    pictures: Mapping[str, Sequence[Path]], seen: Seen, groups: Mapping[str, Group], told: str
) -> list[Diversity]:
    """Of every prompt with three pictures or more, beside real faces: of its group, if it asks for one."""
    found = []
    for prompt, files in pictures.items():
        ours, theirs = seen.of(files), seen.like(groups[prompt]) if prompt in groups else seen.of_real
        if len(ours) < 3 or len(theirs) < 3:
            continue
        e, at_real = spread(ours), spread(theirs).value
        half = Z95 * e.deviation
        how = f"mean of 1 - cosine over pairs of pictures of {prompt!r}; real faces: {at_real:.4f}; jackknife"
        name = f"audit/diversity/{prompt}"
        score = Score(name, e.value, max(0.0, e.value - half), e.value + half, len(files), f"{how}. {told}")
        found.append(Diversity(prompt, score, at_real, vendi(ours), vendi_of_samples(theirs, len(files))))
    return found
