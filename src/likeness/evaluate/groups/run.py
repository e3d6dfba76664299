"""An evaluation of groups from end to end: draw groups and hybrids, let `judge` look, at real faces too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...data.labels import read_faces
from ...errors import UsageError
from ...generate import gallery
from ...generate.denoise import Progress as Steps
from ...generate.hybrids import Combination, Studio, combinations
from ...generate.mixture import Scene, check_method, title, written
from ...models.judge import Judge
from ...models.pixels import to_pixels
from ...records import ImageRequest, Sample, Score
from ..adherence.cases import FACES
from ..formulas.intervals import balanced_accuracy
from ..networks.features import RESIZED, Judges, predictions
from .verdicts import Answers, Between, Recall, question

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class GroupEvaluation:
    """All numbers of one run, and where the pictures lie: a folder for each group and hybrid, and a sheet."""

    request: ImageRequest
    method: str
    fingerprint: str
    recalls: tuple[Recall, ...]
    between: tuple[Between, ...]
    protocol: str
    gallery: gallery.Gallery

    def balanced(self, faces: str) -> Score:
        """Mean recall over the groups, of `drawn` or of `real` faces; a group without a face is left out."""
        scores = [score for row in self.recalls if (score := getattr(row, faces)) is not None]
        counts = [(round(score.value * score.count), score.count) for score in scores]
        told = f"mean recall over {len(scores)} groups, {faces} faces; interval: Wilson, combined. {self.protocol}"
        return Score(f"groups/recall/all/{faces}", *balanced_accuracy(counts), sum(n for _, n in counts), told)

    def scores(self) -> list[Score]:
        """Every number once, as a record that stands alone."""
        found = [self.balanced("drawn")]
        found += [self.balanced("real")] if any(row.real for row in self.recalls) else []
        found += [score for row in self.recalls for score in (row.drawn, row.real) if score]
        found += [score for row in self.between for score in (row.mixed, row.pure, *dict(row.others).values())]
        return list({score.metric: score for score in found}.values())

    def plain(self) -> dict[str, Any]:
        """For JSON: settings, what is asked of groups and hybrids answered, and the scores."""
        groups = {
            row.group: {"lower bound over chance": row.above_chance, "recall as a share of real": row.of_real}
            for row in self.recalls
        }
        hybrids = {f"{row.parent} in {row.hybrid}": row.holds for row in self.between}
        return {
            "request": asdict(self.request), "method": self.method, "fingerprint": self.fingerprint,
            "groups": groups, "between parents": hybrids, "scores": [asdict(score) for score in self.scores()],
        }  # fmt: skip


def evaluate_groups(
    studio: Studio,
    request: ImageRequest,
    output: str | Path,
    hybrids: Sequence[str] = (),
    method: str = "blend",
    means: Mapping[str, Sequence[str]] | None = None,
    *,
    judge: Judges | None = None,
    faces: str | Path = FACES,
    progress: Progress = lambda stage, done, total: None,
) -> GroupEvaluation:
    """Draw `request.count` faces of every group and hybrid into `output`/faces, and judge them.

    Picture i of each has the noise of seed `request.seed` + i: nothing but the group differs. Pictures that an earlier
    run left are taken if model and settings are the same. `hybrids` are told as to `generate.hybrids.combinations`, or
    `all`; `means` as to `groups.question`; `faces` is a folder of labelled real faces, whose test split is judged at
    the model's size. Raises `UsageError` for what cannot be asked or drawn, before anything is drawn.
    """
    check_method(method)
    if request.count < 2 or request.seed is None:
        raise UsageError("an interval needs two faces or more of each group, and a first seed")
    trait, judge = question(studio.model.groups, means), judge or Judge.load()
    asked = chosen(studio.model.groups, hybrids)
    records = read_faces(faces, "test")
    real = smaller([Path(faces) / record.file_name for record in records], studio.model.size)

    def artist(row: ImageRequest, scenes: list[Scene], tell: Steps) -> Iterator[Sample]:
        pure = len(scenes[0].parts) == 1  # then both methods say the same, and a blend needs fewer passes
        return studio.draw(row, scenes, progress=tell, method="blend" if pure else method)

    steps = request.steps or 1
    rows = [
        gallery.Row(c.name, title(c.parts), replace(request, prompt=written(c.parts, method)), c.parts) for c in asked
    ]
    drawn = gallery.draw(
        Path(output) / "faces", rows, studio.fingerprint, artist,
        lambda done, total: progress("drawing", done // steps, total // steps),
    )  # fmt: skip
    tick = _counter(progress, "judging", len(asked) * request.count + len(real))
    said = {c: predictions(judge, drawn.pictures[c.name], progress=tick)[trait.field] for c in asked}
    truths = tuple(trait.truth(record.attributes) for record in records)
    protocol = _protocol(studio, request, method, trait.answers)
    answers = Answers(trait, said, predictions(judge, real, progress=tick)[trait.field], truths, protocol)
    found = tuple(answers.recalls()), tuple(answers.between())
    return GroupEvaluation(request, method, studio.fingerprint, *found, protocol, drawn)


def chosen(groups: Sequence[str], hybrids: Sequence[str]) -> list[Combination]:
    """Every group, then the hybrids, each once; `all` stands for every one of a few groups, and every pair of many."""
    every = [c for c in combinations(groups) if len(c.parts) > 1] if "all" in hybrids else []
    told = combinations(groups, [*groups, *(text for text in hybrids if text != "all")])
    return list(dict.fromkeys(c for c in [*told, *every] if c.parts))


def smaller(pictures: Sequence[Any], size: int) -> list[Any]:
    """Pictures (paths or PIL) as PIL images of size x size: the most that a model of that size can show."""
    from PIL import Image

    made = []
    for picture in pictures:
        levels = ((to_pixels([picture], size)[0] + 1) * 127.5).round().byte()  # (3, size, size)
        made.append(Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy()))
    return made


def _counter(progress: Progress, stage: str, total: int) -> Callable[[int], None]:
    done = 0

    def tick(more: int) -> None:
        nonlocal done
        done += more
        progress(stage, done, total)

    return tick


def _protocol(studio: Studio, request: ImageRequest, method: str, answers: Mapping[str, Sequence[str]]) -> str:
    meanings = "; ".join(f"{g} is {' or '.join(c)}" for g, c in answers.items() if tuple(c) != (g,))
    first = request.seed or 0
    led = "" if request.guidance_interval is None else " in {:g} to {:g} of the way".format(*request.guidance_interval)
    return (
        f"Model {studio.name}, fingerprint {studio.fingerprint[:16]}: {request.steps} steps of {request.scheduler}, "
        f"guidance {request.guidance:g}{led}, hybrids by {method}, {studio.runtime.precision}, seeds {first} to "
        f"{first + request.count - 1} for each group and hybrid. Taken for a group: `judge` finds it likelier than "
        f"each other group of the model{f' ({meanings})' if meanings else ''}. Real faces: the test split by the data "
        f"set's labels, brought to {studio.model.size} px first. Pictures: {RESIZED}."
    )
