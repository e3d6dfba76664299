"""Two sets of pictures held against each other: distances, precision and recall, each with interval and protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import UsageError
from ...records import Score
from ..formulas.bootstrap import TOLD, mean_interval
from ..formulas.distances import (
    Extrapolation,
    cubic,
    frechet,
    frechet_deviation,
    frechet_infinity,
    gaussian,
    kernel_estimate,
)
from ..formulas.intervals import Z95, wilson
from ..formulas.manifolds import NEAREST_DC, NEAREST_PR, manifolds
from ..networks.catalogue import Network
from ..networks.features import Pictures
from .statistics import Measured, PictureSet, measure, scan

MOST = 10_000  # pictures of a set in kernels and neighbours, which grow with its square
SMALL = 1_000
BIASED = 0.1  # share of a Frechet distance that may be bias before it is said

Stage = Callable[[str, int, int], None]  # a stage, pictures done, how many there are


@dataclass(frozen=True)
class Comparison:
    """All numbers of one network for two sets: `drawn` against `real`, or (`faces` "floor") halves of the real ones."""

    network: str
    told: str  # which weights, which resize
    faces: str
    scores: tuple[Score, ...]
    notes: tuple[str, ...]
    extrapolation: Extrapolation | None


@dataclass(frozen=True)
class Sets:
    """What `compare_sets` found. `least`: drawn pictures that are furthest from real ones; `missed`: the reverse."""

    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    least: tuple[Any, ...]
    missed: tuple[Any, ...]

    def scores(self) -> list[Score]:
        return [score for comparison in self.comparisons for score in comparison.scores]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        lines = {f"{c.network}/{c.faces}": asdict(c.extrapolation) for c in self.comparisons if c.extrapolation}
        notes = [*self.notes, *(note for c in self.comparisons for note in c.notes)]
        return {"scores": [asdict(s) for s in self.scores()], "notes": notes, "frechet_by_share": lines}


def compare_sets(
    drawn: Pictures,
    real: Pictures,
    networks: Sequence[Network],
    *,
    cache: Path | None = None,
    floor: bool = True,
    seed: int = 0,
    batch: int = 64,
    tell: Stage = lambda stage, done, total: None,
) -> Sets:
    """Hold two folders (or sequences of pictures) against each other in the features of each network.

    `floor`: the same numbers for two random halves of the real set, which is what a perfect model would get. Raises
    `UsageError` for a set without pictures, with one alone, or with one that cannot be read.
    """
    sets = {"drawn": scan(drawn), "real": scan(real)}
    for name, found in sets.items():
        if len(found) < 2:
            raise UsageError(f"the {name} set is one picture, which has no spread: give two or more, better {SMALL:,}")
    made, extremes = [], ((), ())
    for network in networks:
        both = {
            name: measure(network, found, cache, batch, partial(tell, f"{network.name}: {name}"))
            for name, found in sets.items()
        }
        tell(f"{network.name}: distances", 0, 0)
        made.append(compare(both["drawn"], both["real"], network, "drawn", seed))
        if floor and len(both["real"]) >= 4:
            made.append(compare(*halves(both["real"], seed), network, "floor", seed))
        if network is networks[0]:
            extremes = _extremes(both, sets, seed)
    return Sets(tuple(made), tuple(_remarks(sets, networks)), *extremes)


def compare(drawn: Measured, real: Measured, network: Network, faces: str = "drawn", seed: int = 0) -> Comparison:
    """Every number of one network. One that the sets are too small for is left out, and a note says why."""
    what = "drawn to real pictures" if faces == "drawn" else "one half of the real pictures to the other"
    told = f"{len(drawn)} and {len(real)} pictures, {what}, in {network.told}"
    scores: list[Score] = []
    notes: list[str] = []
    line = None

    def score(metric: str, value: float, low: float, high: float, how: str) -> None:
        scores.append(Score(f"{metric}/{network.name}/{faces}", value, low, high, len(drawn), f"{how}. {told}"))

    try:
        line = _frechet(drawn, real, score, notes if faces == "drawn" else [], seed)
    except UsageError as error:
        notes.append(f"No Frechet distance in {network.name} ({faces}): {error}.")
    try:
        _kernels(drawn, real, network, score, seed)
        _neighbours(drawn, real, score, seed)
    except UsageError as error:
        notes.append(f"{network.name} ({faces}): {error}.")
    return Comparison(network.name, network.told, faces, tuple(scores), tuple(notes), line)


Give = Callable[[str, float, float, float, str], None]


def _frechet(drawn: Measured, real: Measured, score: Give, notes: list[str], seed: int) -> Extrapolation | None:
    value = frechet(drawn.moments, real.moments)
    spread = [frechet_deviation(a.features, b.moments) for a, b in ((drawn, real), (real, drawn))]
    half = Z95 * float(torch.tensor(spread).square().sum().sqrt())
    score(
        "frechet", value, max(0.0, value - half), value + half,
        "Frechet distance AT THESE COUNTS, biased upwards by small samples; interval: grouped jackknife over both sets",
    )  # fmt: skip
    least, size = min(len(drawn), len(real)), drawn.moments.size
    if least <= size:
        notes.append(
            f"{least} pictures for {size} features: the covariance is singular and a Frechet distance is mostly bias, "
            "which the extrapolation does not take away here; read the kernel distance."
        )
    line = frechet_infinity(drawn.features, real.features, seed=seed)
    score(
        "frechet_infinity", line.value, line.value - half, line.value + half,
        "Frechet distance of endless samples: the line through shares of both sets, carried to 1/share = 0 "
        "(FD-infinity, Chong & Forsyth 2020); interval: grouped jackknife over both sets",
    )  # fmt: skip
    if value and value - line.value > BIASED * value:
        share = min(1.0, (value - line.value) / value)
        notes.append(
            f"{share:.0%} of the Frechet distance {value:.4g} is small-sample bias, by the extrapolation: "
            "compare it only with distances at the same counts."
        )
    return line


def _kernels(drawn: Measured, real: Measured, network: Network, score: Give, seed: int) -> None:
    a, b = (_at_most(m, MOST, seed) for m in (drawn, real))
    rows = [("kid", cubic, "kernel distance, k = (x.y / D + 1)^3 (KID, Binkowski et al. 2018)")]
    if network.words is not None:  # a CLIP: unit vectors, for which the width of the other kernel was chosen
        told = "1000 times the kernel distance with a Gaussian kernel, sigma = 10 (CMMD, Jayasumana et al. 2024)"
        rows.append(("cmmd", gaussian, told))
    for metric, k, how in rows:
        found = kernel_estimate(a.features, b.features, k, (a.ids, b.ids))
        half = Z95 * found.deviation
        score(
            metric, found.value, found.value - half, found.value + half,
            f"{how}, unbiased, over pairs of different pictures, {len(a)} and {len(b)}; interval: jackknife over both",
        )  # fmt: skip


def _neighbours(drawn: Measured, real: Measured, score: Give, seed: int) -> None:
    n = min(len(drawn), len(real), MOST)
    found = manifolds(*(_at_most(m, n, seed).features for m in (drawn, real)))
    for metric, hits, k, source in (
        ("precision", found.precision, NEAREST_PR, "Kynkaanniemi et al. 2019"),
        ("recall", found.recall, NEAREST_PR, "Kynkaanniemi et al. 2019"),
        ("coverage", found.coverage, NEAREST_DC, "Naeem et al. 2020"),
    ):
        low, high = wilson(int(hits.sum()), n)
        how = f"{metric}, k = {k}, {source}, {n} pictures of each set; interval: Wilson, the other set held fixed"
        score(metric, float(hits.double().mean()), low, high, how)
    low, high = mean_interval(found.density.tolist(), seed=seed)
    told = TOLD.format("drawn pictures")
    how = f"density, k = {NEAREST_DC}, Naeem et al. 2020, {n} pictures of each set; interval: {told}"
    score("density", float(found.density.mean()), low, high, how)


def halves(measured: Measured, seed: int = 0) -> tuple[Measured, Measured]:
    """Two random halves of a set; of an odd number one is left out."""
    order = torch.randperm(len(measured), generator=torch.Generator().manual_seed(seed))
    half = len(measured) // 2
    return measured.part(order[:half]), measured.part(order[half : 2 * half])


def _at_most(measured: Measured, most: int, seed: int) -> Measured:
    if len(measured) <= most:
        return measured
    return measured.part(_sample(len(measured), most, seed))


def _sample(n: int, most: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:most].sort().values


def _extremes(
    both: dict[str, Measured], sets: dict[str, PictureSet], seed: int, show: int = 12
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The drawn pictures furthest from their nearest real one, and the real ones furthest from a drawn one."""
    places = {name: _sample(len(m), MOST, seed) for name, m in both.items()}
    x = {name: both[name].features[places[name]] for name in both}
    gaps = torch.cdist(x["drawn"], x["real"])  # (N, M)
    shown = []
    for name, gap in (("drawn", gaps.min(1).values), ("real", gaps.min(0).values)):
        order = gap.argsort(descending=True)[:show]
        shown.append(tuple(sets[name].pictures[int(places[name][i])] for i in order))
    return shown[0], shown[1]


def _remarks(sets: dict[str, PictureSet], networks: Sequence[Network]) -> list[str]:
    """What a reader must know about the pictures themselves."""
    said = []
    least = min(map(len, sets.values()))
    if least < SMALL:
        said.append(f"Only {least} pictures in the smaller set: below {SMALL:,} intervals are wide and Frechet biased.")
    for name, found in sets.items():
        if len(found.sizes) > 1:
            common = ", ".join(f"{w}x{h} px ({n})" for (w, h), n in found.sizes.most_common(3))
            more = " ..." if len(found.sizes) > 3 else ""
            said.append(f"The {name} pictures have {len(found.sizes)} sizes, {common}{more}; each is resized whole.")
        if found.grey:
            said.append(f"{found.grey} of the {name} pictures are grey; they are taken as colour pictures.")
        if found.copies:
            said.append(f"{found.copies} of the {name} pictures are copies of others: they count as if they were more.")
    if shared := len(set(sets["drawn"].digests) & set(sets["real"].digests)):
        said.append(f"{shared} pictures lie in both sets, so these are no independent samples.")
    for network in networks:
        small = [name for name, found in sets.items() if min(map(min, found.sizes)) < network.size]
        if small:
            names = " and ".join(small)
            said.append(f"Some {names} pictures are smaller than the {network.size} px that {network.name} looks at.")
    sides = {name: found.sizes.most_common(1)[0][0] for name, found in sets.items()}
    if sides["drawn"] != sides["real"]:
        (w, h), (v, g) = sides["drawn"], sides["real"]
        said.append(f"Drawn pictures are {w}x{h} px and real ones {v}x{g} px: sharpness alone moves these numbers.")
    return said
