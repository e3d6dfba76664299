"""The floor of the Frechet distance: real faces against real faces, in equal numbers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UsageError
from ..files import atomic_path
from ..models import eye as eye_model
from .formulas.distances import frechet
from .formulas.moments import Moments

FLOOR = eye_model.ASSET / "floor.safetensors"
DRAWS = 10


def write(path: str | Path, features: Tensor, weights: str | Path) -> None:
    """Keep `eye` features (N, D) of train faces that `eye` never saw, with the hash of the weights that made them."""
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file({"features": features.detach().cpu().half().contiguous()}, temporary, {"eye": sha256(weights)})


def read(path: str | Path = FLOOR, weights: str | Path | None = None) -> Tensor:
    """The features (N, D), float32. Raises `UsageError` when missing, damaged, or not made by these `weights`."""
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            features, told = file.get_tensor("features").float(), (file.metadata() or {}).get("eye")
    except FileNotFoundError:
        raise UsageError(f"no floor features in {path}: `likeness train eye` writes them") from None
    except Exception as error:
        raise UsageError(f"{path} does not hold floor features ({' '.join(str(error).split())})") from None
    if weights and told and told != sha256(weights):
        raise UsageError(f"{path} was made by another eye than {weights}: make it again with the eye that measures")
    return features


def distances(features: Tensor, reference: Moments, size: int, draws: int = DRAWS, seed: int = 0) -> list[float]:
    """Frechet distances of `draws` seeded samples of `size` rows of `features` (N, D) to `reference`.

    A sample holds no face twice; samples overlap, since N is smaller than `draws` times `size`.
    """
    if not 2 <= size <= len(features):
        raise UsageError(f"the floor needs {size} faces and has {len(features)}")
    generator = torch.Generator().manual_seed(seed)
    return [
        frechet(Moments.of(features[torch.randperm(len(features), generator=generator)[:size]]), reference)
        for _ in range(draws)
    ]


def sha256(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
