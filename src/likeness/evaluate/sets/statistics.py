"""Features and moments of a set of pictures, kept on disk under what they were made from, and made by many workers.

A set is measured in blocks. A block's file is called by the hash of its pictures' contents, of the network's weights
and of its resize: what changes is measured anew, the rest is found. So a run that is stopped loses one block, and
workers that share the folder each measure every n-th block (`share`); their moments add.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import UsageError
from ...files import atomic_path, cache_folder
from ..floor import sha256
from ..formulas.moments import Moments
from ..networks.catalogue import Network
from ..networks.features import Pictures, pictures

BLOCK = 256

Tell = Callable[[int, int], None]  # pictures done, and how many there are


@dataclass(frozen=True)
class PictureSet:
    """Pictures, the SHA-256 of each one's content, and what is to be known about them."""

    pictures: tuple[Any, ...]
    digests: tuple[str, ...]
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    grey: int = 0

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def copies(self) -> int:
        """How many pictures are copies of others, byte by byte."""
        return len(self.digests) - len(set(self.digests))


@dataclass(frozen=True)
class Measured:
    """Features (N, D), float32, their moments, and the pictures' identities (N,): equal for equal contents."""

    features: Tensor
    moments: Moments
    ids: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def part(self, places: Tensor) -> Measured:
        return Measured(self.features[places], Moments.of(self.features[places]), self.ids[places])


def default_cache() -> Path:
    """Where features lie when nobody says otherwise."""
    return cache_folder() / "features"


def scan(source: Pictures) -> PictureSet:
    """What lies in a folder (or in images/ of a prepared one), or in a sequence of paths or PIL pictures.

    Raises `UsageError` for an empty set, and names the pictures that cannot be opened.
    """
    from PIL import Image

    if isinstance(source, str | Path) and (inner := Path(source) / "images").is_dir():
        source = inner
    found = pictures(source)
    digests, sizes, grey, broken = [], Counter[tuple[int, int]](), 0, []
    for picture in found:
        try:
            image = picture if isinstance(picture, Image.Image) else Image.open(picture)
        except (OSError, Image.DecompressionBombError):
            broken.append(str(picture))
            continue
        sizes[image.size] += 1
        grey += image.mode in ("1", "L", "LA", "I;16")
        digests.append(_digest(picture, image))
        if image is not picture:
            image.close()
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise UsageError(f"{broken[0]}{more} cannot be opened as a picture: draw or fetch it again, or take it away")
    return PictureSet(tuple(found), tuple(digests), sizes, grey)


def _digest(picture: Any, image: Any) -> str:
    if isinstance(picture, str | Path):
        return sha256(picture)
    return hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()


def measure(
    network: Network,
    found: PictureSet,
    cache: Path | None = None,
    batch: int = 64,
    tell: Tell = lambda done, total: None,
) -> Measured:
    """Features and moments of a set; blocks that lie in `cache` are not measured again."""
    parts = []
    for start in range(0, len(found), BLOCK):
        parts.append(_block(network, found, start, cache, batch))
        tell(min(start + BLOCK, len(found)), len(found))
    moments = Moments.empty(parts[0].shape[1])
    for part in parts:
        moments = moments + Moments.of(part)
    ids = torch.tensor([int(digest[:15], 16) for digest in found.digests])  # 60 bits
    return Measured(torch.cat(parts), moments, ids)


def share(
    network: Network, found: PictureSet, cache: Path, worker: int, workers: int, batch: int = 64,
    tell: Tell = lambda done, total: None,
) -> int:  # fmt: skip
    """Measure every `workers`-th block, from `worker` (0 is the first), into `cache`; how many pictures that were."""
    if not 0 <= worker < workers:
        raise UsageError(f"worker {worker + 1} of {workers}: count from 1 to the number of workers")
    starts = range(worker * BLOCK, len(found), workers * BLOCK)
    done, total = 0, sum(min(BLOCK, len(found) - start) for start in starts)
    for start in starts:
        done += len(_block(network, found, start, cache, batch))
        tell(done, total)
    return done


def _block(network: Network, found: PictureSet, start: int, cache: Path | None, batch: int) -> Tensor:
    """Features of one block, from the cache or measured, (B, D)."""
    from safetensors.torch import load_file, save_file

    part = slice(start, start + BLOCK)
    key = f"{network.name} {network.fingerprint} {network.spec.resize} {network.size} {' '.join(found.digests[part])}"
    file = cache / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors" if cache else None
    if file is not None and file.is_file():
        try:
            return load_file(file)["features"]
        except Exception:  # damaged: safetensors raises a kind of its own; measured anew below
            file.unlink(missing_ok=True)
    features = network.features(found.pictures[part], batch=batch)
    if not torch.isfinite(features).all():
        raise UsageError(
            f"{network.name} gives features that are not numbers: its weights are damaged, fetch them again"
        )
    if file is not None:
        with atomic_path(file) as temporary:
            save_file({"features": features.contiguous()}, temporary)
    return features
