"""What is measured of all pictures of a side together: distances to real faces, diversity, groups, copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ...data.labels import read_faces
from ...records import Score
from ..adherence.questions import question
from ..audit.group_quality import FEWEST, qualities
from ..audit.memorisation import memorisation
from ..formulas.diversity import spread
from ..formulas.intervals import Z95
from ..networks.catalogue import Network
from ..sets.run import Comparison, compare_sets
from ..sets.statistics import measure, scan
from .asked import Item
from .changes import Limits, unpaired
from .measures import OPEN, Found, Measure, Stage
from .sides import Side

ENOUGH = 10  # pictures of each set: below, intervals are as wide as the scale
# stem of the metric's name, what it is called, whether more is better
SETS: tuple[tuple[str, str, bool], ...] = (
    ("frechet_infinity", "Frechet distance, extrapolated", False), ("frechet", "Frechet distance at this count", False),
    ("kid", "kernel distance (KID)", False), ("cmmd", "kernel distance (CMMD)", False),
    ("precision", "precision", True), ("recall", "recall", True), ("density", "density", True),
    ("coverage", "coverage", True),
)  # fmt: skip


def sets(
    found: Found, sides: Sequence[Side], real: Sequence[Path], network: Network, cache: Path | None, stage: Stage
) -> None:
    """Each side as a set against the real pictures."""
    count = len(sides[0].files)
    if min(count, len(real)) < ENOUGH:
        found.missing[f"set distances in {network.name}"] = (
            f"{min(count, len(real))} pictures are too few: {ENOUGH} or more, better thousands (--count)"
        )
        return
    measured = []
    for side in sides:
        tell = _following(stage(f"{network.name}, sets: {side.name}", count + len(real)))
        first = side is sides[0]
        measured.append(compare_sets(list(side.files), list(real), [network], cache=cache, floor=first, tell=tell))
    drawn = [_by_stem(one.comparisons[0]) for one in measured]
    if "frechet" in drawn[0] and count <= (features := _width(network, sides[0].files[0])):
        why = f"{count} pictures for {features} features: mostly bias; give more than {features}, or read KID"
        found.missing[f"Frechet distance in {network.name}"] = why
        drawn = [{stem: score for stem, score in side.items() if "frechet" not in stem} for side in drawn]
    for stem, title, higher in SETS:
        if all(stem in side for side in drawn):
            _measure(found, "sets", f"{title}, in {network.name}", higher, [side[stem] for side in drawn])
    for floor in measured[0].comparisons[1:]:
        for stem in drawn[0].keys() & {"frechet", "kid"} & _by_stem(floor).keys():
            s = _by_stem(floor)[stem]
            told = f"{s.value:.4g} [{s.low:.4g}, {s.high:.4g}], {s.count} pictures each"
            found.notes.append(f"Floor of {stem} in {network.name}, between two halves of the real pictures: {told}.")
    said = (note for one in measured for note in one.notes)
    found.notes += [note for note in dict.fromkeys(said) if note not in found.notes]
    found.protocol.append(f"Sets: {count} pictures of each side against {len(real)} real ones; {network.told}.")


def diversity(found: Found, sides: Sequence[Side], features: Sequence[Tensor], network: Network) -> None:
    """Mean distance of two pictures of a side. More is not better: the words are the same for all sides."""
    scores = []
    how = f"mean of 1 - cosine over all pairs of pictures, in {network.name}; interval: jackknife"
    for side, of in zip(sides, features, strict=True):
        if len(of) < 3:
            return
        one = spread(of)
        half = Z95 * one.deviation
        limits = (one.value, one.value - half, one.value + half)
        scores.append(Score(f"sets/diversity/{network.name}", *limits, len(side.files), how))
    _measure(found, "sets", f"diversity, in {network.name}", None, scores)


def groups(
    found: Found, items: Sequence[Item], features: Sequence[Tensor], faces: Path, network: Network, cache: Path | None
) -> None:
    """Kernel distance of the faces of a group that was asked for by name to real faces of that group."""
    asked: dict[str, dict[str, list[int]]] = {}
    for name in OPEN:
        trait = question(name)
        truths = [trait.truth(item.attributes) for item in items]
        places = {value: [i for i, t in enumerate(truths) if t == k] for k, value in enumerate(trait.answers)}
        if many := {value: of for value, of in places.items() if len(of) >= FEWEST}:
            asked[name] = many
    if not asked:
        return
    records = read_faces(faces, "test")
    real = measure(network, scan([faces / record.file_name for record in records]), cache).features
    for name, places in asked.items():
        trait = question(name)
        truths = [trait.truth(record.attributes) for record in records]
        values = list(trait.answers)
        theirs = {v: real[[i for i, t in enumerate(truths) if t == values.index(v)]] for v in places}
        sides = [
            {
                q.group: q.distance
                for q in qualities(name, {v: of[i] for v, i in places.items()}, theirs, {}, network.told)
            }
            for of in features
        ]
        for group in places:
            scores = [side[group] for side in sides]
            if all(scores):
                title = f"kernel distance of {group} to real ones, in {network.name}"
                _measure(found, "groups", title, False, [s for s in scores if s])


def copies(
    found: Found, sides: Sequence[Side], network: Network, held_out: Sequence[Path], training: Sequence[Path],
    cache: Path, stage: Stage,
) -> None:  # fmt: skip
    """How near each side's pictures come to training faces, against how near held-out real faces come."""
    for side in sides:
        total = len(training) + 2 * (len(side.files) + len(held_out))
        tick = stage(f"copies: {side.name}", total)
        one = memorisation(network, side.files, held_out, training, cache, tick)
        found.copies.append(one)
        found.notes += [note for note in one.notes if note not in found.notes]
    title = f"nearer to a training face than held-out faces are, in {network.name}"
    _measure(found, "copies", title, False, [one.nearer for one in found.copies])


def _measure(found: Found, section: str, title: str, higher: bool | None, scores: Sequence[Score]) -> None:
    """Numbers whose intervals are their own. Where more is not better, a change has no verdict."""
    limits: list[Limits] = [(s.value, s.low, s.high) for s in scores]
    changes = [unpaired(limits[0], one, higher is not False, judged=higher is not None) for one in limits[1:]]
    found.measures.append(Measure(section, title, higher, tuple(scores), tuple(changes)))


def _by_stem(one: Comparison) -> Mapping[str, Score]:
    return {score.metric.split("/")[0]: score for score in one.scores}


def _width(network: Network, picture: Path) -> int:
    return network.features([picture]).shape[1]


def _following(tick: Callable[[int], None]) -> Callable[[str, int, int], None]:
    """A teller of (stage, done, total) in terms of one that is told how many more are done."""
    done: dict[str, int] = {}

    def tell(stage: str, now: int, total: int) -> None:
        tick(max(0, now - done.get(stage, 0)))
        done[stage] = now

    return tell
