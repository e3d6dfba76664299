"""Pictures -> what the measuring networks say of them, in batches: `eye` features, `judge` probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ...errors import UsageError
from ...models.pixels import RESIZE, to_pixels

SIZE = 128  # what `eye` and `judge` look at
RESIZED = f"{RESIZE}, to {SIZE} px"  # goes into every protocol
PICTURES = {".png", ".webp", ".jpg", ".jpeg", ".bmp"}

Pictures = str | Path | Sequence[Any]  # a folder, or PIL images or paths
Progress = Callable[[int], None]  # told how many pictures were just done
Read = Callable[[Sequence[Any], int], Tensor]  # pictures and a size -> pixels (B, 3, size, size) in [-1, 1]


class Sees(Protocol):
    """What is asked of `models.eye.Eye`: unit vectors of pictures (B, 3, 128, 128) in [-1, 1] and of texts."""

    def image_features(self, pixels: Tensor) -> Tensor: ...

    def text_features(self, texts: Sequence[str]) -> Tensor: ...


class Judges(Protocol):
    """What is asked of `models.judge.Judge`: probabilities (B, classes) by head."""

    def predict(self, pixels: Tensor) -> dict[str, Tensor]: ...


def pictures(source: Pictures) -> list[Any]:
    """The pictures of a folder, by name, or the sequence itself. Raises `UsageError` when there are none."""
    if isinstance(source, str | Path):
        folder = Path(source)
        if not folder.is_dir():
            raise UsageError(f"no folder {folder}: give a folder of pictures")
        found: list[Any] = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)
    else:
        found = list(source)
    if not found:
        raise UsageError(f"no pictures in {source}" if isinstance(source, str | Path) else "no pictures to measure")
    return found


def batches(source: Pictures, batch: int = 64, size: int = SIZE, read: Read = to_pixels) -> Iterator[Tensor]:
    """Yield pixels (B, 3, size, size) in [-1, 1]. Raises `UsageError` that names a picture that cannot be read."""
    found = pictures(source)
    for start in range(0, len(found), batch):
        part = found[start : start + batch]
        try:
            yield read(part, size)
        except OSError:
            raise UsageError(f"{_unreadable(part)} is not a picture that can be read: draw or fetch it again") from None


def _unreadable(part: Sequence[Any]) -> str:
    for picture in part:
        try:
            to_pixels([picture], SIZE)
        except OSError:
            return str(picture)
    return "a picture"


def image_features(eye: Sees, source: Pictures, batch: int = 64, progress: Progress | None = None) -> Tensor:
    """`eye` features (N, D), float32 on the CPU, in the order of `pictures`."""
    parts = []
    for pixels in batches(source, batch):
        parts.append(eye.image_features(pixels).float().cpu())
        if progress:
            progress(len(pixels))
    return torch.cat(parts)


def predictions(
    judge: Judges, source: Pictures, batch: int = 64, progress: Progress | None = None
) -> dict[str, Tensor]:
    """`judge` probabilities (N, classes) by head, float32 on the CPU, in the order of `pictures`."""
    parts: list[dict[str, Tensor]] = []
    for pixels in batches(source, batch):
        parts.append({name: p.float().cpu() for name, p in judge.predict(pixels).items()})
        if progress:
            progress(len(pixels))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
