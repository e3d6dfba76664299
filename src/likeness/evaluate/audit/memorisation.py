"""Are drawn faces copies? Nearest training faces in feature space, against how near real faces that were held out come.

A distance alone says nothing: how near is near depends on the network and the set. So each drawn face's nearest
training face is held against the nearest training faces of real faces that the model never saw (Meehan, Chaudhuri &
Dasgupta 2020), and the nearest pairs are shown, beside the nearest pairs of real faces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...data.labels import read_faces
from ...errors import UsageError
from ...files import atomic_path
from ...records import Score
from ..formulas.intervals import Z95, wilson
from ..networks.features import Pictures, Progress, pictures

NEIGHBOURS = 50  # of which the first is the candidate and the others say how dense the place is
TAIL = 0.01  # the share of held-out real faces that lie nearer to a training face than the line that is drawn
FEWEST = 100  # held-out faces for a line at `TAIL`


class Embeds(Protocol):
    """What is asked of a `networks.Network`."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def told(self) -> str: ...

    def features(self, source: Pictures, progress: Progress | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Pair:
    """A picture and its nearest training pictures, the nearest first. `nearer`: share of held-out real faces that are
    nearer to a training face than it; `ratio`: its distance by the mean distance of the next neighbours (Carlini et al.
    2023, sec. 5): far below 1 stands out.
    """

    picture: Path
    training: tuple[Path, ...]
    distance: float
    nearer: float
    ratio: float


@dataclass(frozen=True)
class Memorisation:
    """`nearer`: how often a drawn face is nearer to a training face than a held-out real one is (0.5: as near);
    `below`: the share of drawn faces nearer than all but `TAIL` of the held-out ones, or None where those are too few.
    """

    nearer: Score
    below: Score | None
    drawn: tuple[Pair, ...]  # all, the nearest first
    real: tuple[Pair, ...]
    notes: tuple[str, ...] = ()


def nearest(a: Tensor, b: Tensor, count: int = NEIGHBOURS, rows: int = 512) -> tuple[Tensor, Tensor]:
    """Distances 1 - cosine and places of the `count` nearest rows of b (M, D) for each of a (N, D): two (N, count)."""
    x, y = normalize(a.float(), dim=-1), normalize(b.float(), dim=-1)
    parts = [(1 - part @ y.T).topk(min(count, len(y)), largest=False) for part in x.split(rows)]
    return torch.cat([p.values for p in parts]).clamp(min=0), torch.cat([p.indices for p in parts])


def superiority(a: Tensor, b: Tensor) -> tuple[float, float, float]:
    """P(a < b) + P(a = b) / 2 of two independent samples (N,), (M,) with its interval: (value, low, high).

    Mann & Whitney 1947; variance from the placements of each in the other: DeLong, DeLong & Clarke-Pearson 1988. Where
    one sample lies wholly before the other there is no variance to see: the interval is then Wilson's, of min(N, M).
    """
    wins = (a[:, None] < b[None]).double() + (a[:, None] == b[None]).double() / 2  # (N, M)
    value = float(wins.mean())
    if min(len(a), len(b)) < 2 or value in (0.0, 1.0):
        n = min(len(a), len(b))
        return value, *wilson(round(value * n), n)
    half = Z95 * float((wins.mean(1).var() / len(a) + wins.mean(0).var() / len(b)).sqrt())
    return value, max(0.0, value - half), min(1.0, value + half)


def split_of(folder: str | Path, split: str) -> list[Path]:
    """The pictures of this split if the folder has a table that names splits, all of its pictures otherwise."""
    folder = Path(folder)
    if (folder / "labels.jsonl").exists() or (folder / "metadata.jsonl").exists():
        return [folder / record.file_name for record in read_faces(folder, split)]
    return pictures(folder)


def features_of(network: Embeds, faces: Sequence[Path], cache: Path, progress: Progress | None = None) -> Tensor:
    """Features (N, D) of these pictures, kept in `cache`, by the content of the pictures and the network's weights."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    key = hashlib.sha256(network.fingerprint.encode())
    for face in faces:
        try:
            key.update(hashlib.sha256(face.read_bytes()).digest())
        except OSError as error:
            raise UsageError(f"cannot read {face}: {error.strerror}") from None
    made = {"key": key.hexdigest()}
    if cache.is_file():
        with safe_open(cache, "pt") as kept:
            if kept.metadata() == made:
                return kept.get_tensor("features")
    found = network.features(list(faces), progress)
    with atomic_path(cache) as temporary:
        save_file({"features": found.contiguous()}, temporary, made)
    return found


def memorisation(
    network: Embeds, drawn: Sequence[Path], held_out: Sequence[Path], training: Sequence[Path], cache: Path,
    progress: Progress | None = None, shown: int = 3,
) -> Memorisation:  # fmt: skip
    """How near drawn and held-out real faces come to training faces, the mirror image of each tried too.

    `progress` is told of len(training) + 2 (len(drawn) + len(held_out)) pictures, or of fewer if `cache` serves. Raises
    `UsageError` where held-out and training faces share a picture.
    """
    theirs = features_of(network, training, cache, progress)
    found, mine = (_nearest(network, faces, theirs, progress) for faces in (held_out, drawn))
    if copies := int((found[0][:, 0] < 1e-6).sum()):
        if copies > len(held_out) / 2:
            raise UsageError("most held-out faces lie among the training faces: give a folder that was not trained on")
    line = found[0][:, 0]
    pairs = _pairs(drawn, training, mine, line, shown)
    real = _pairs(held_out, training, found, line, shown)
    notes = (
        [f"{copies} held-out faces have a twin among the training faces: near duplicates in the set."] if copies else []
    )
    told = f"{network.told}; 1 - cosine to the nearest of {len(training)} training faces, mirrored too"
    value = superiority(mine[0][:, 0], line)
    how = (
        f"how often a drawn face is nearer than one of {len(held_out)} held-out real faces; 0.5: as near; a model that "
        f"draws typical faces has more without copying; interval: DeLong. {told}"
    )
    nearer = Score(f"memorisation/{network.name}/nearer", *value, len(drawn), how)
    below = None
    if len(held_out) >= FEWEST:
        limit = float(line.double().quantile(TAIL))
        hits = int((mine[0][:, 0] < limit).sum())
        how = f"share of drawn faces nearer than {limit:.4f}, as are {TAIL:.0%} of {len(held_out)} held-out real faces"
        interval = wilson(hits, len(drawn))
        below = Score(
            f"memorisation/{network.name}/below", hits / len(drawn), *interval, len(drawn), f"{how}; Wilson. {told}"
        )
    else:
        notes.append(f"{len(held_out)} held-out faces are too few for a line at {TAIL:.0%}: {FEWEST} or more.")
    return Memorisation(nearer, below, pairs, real, tuple(notes))


def _nearest(
    network: Embeds, faces: Sequence[Path], theirs: Tensor, progress: Progress | None
) -> tuple[Tensor, Tensor]:
    """Nearest training faces of each face or its mirror image, whichever comes nearer."""
    turned = [network.features([_mirrored(f) for f in faces[i : i + 64]], progress) for i in range(0, len(faces), 64)]
    own, other = (
        nearest(features, theirs) for features in (network.features(list(faces), progress), torch.cat(turned))
    )
    better = (other[0][:, :1] < own[0][:, :1]).expand_as(own[0])
    return torch.where(better, other[0], own[0]), torch.where(better, other[1], own[1])


def _mirrored(face: Path) -> Any:
    from PIL import Image, ImageOps

    with Image.open(face) as opened:
        return ImageOps.mirror(opened.convert("RGB"))


def _pairs(
    faces: Sequence[Path], training: Sequence[Path], found: tuple[Tensor, Tensor], line: Tensor, shown: int
) -> tuple[Pair, ...]:
    distances, places = found
    order = distances[:, 0].argsort().tolist()
    pairs = []
    for i in order:
        first, others = float(distances[i, 0]), distances[i, 1:]
        ratio = first / float(others.mean()) if len(others) and float(others.mean()) else 1.0
        theirs = tuple(training[j] for j in places[i, :shown].tolist())
        pairs.append(Pair(faces[i], theirs, first, float((line < first).double().mean()), ratio))
    return tuple(pairs)
