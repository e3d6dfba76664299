"""Latents on disk, looked up by what they were made from: content of the picture, transform, autoencoder.

Keyed by content, a latent cannot end up beside another picture's caption, however the data are shuffled or extended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..files import atomic_path
from ..models.pixels import to_pixels
from ..runtime import Runtime

VARIANTS = ("as it is", "mirrored")  # every variant that the transform can draw is cached


def file_key(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fingerprint(module: nn.Module) -> str:
    """Twelve hex digits of the weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def cached_latents(
    files: Sequence[Path],
    vae: Any,
    size: int,
    folder: Path,
    runtime: Runtime,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Unscaled latents of all files and their mirror images, (N, 2, C, h, w) fp16; only what is missing is encoded."""
    keys = [file_key(f) for f in files]
    store = folder / f"latents-{fingerprint(vae)}-{size}.safetensors"
    known = _load(store)
    missing = list(dict.fromkeys(k for k in keys if k not in known))
    if missing:
        path_of = dict(zip(keys, files, strict=True))
        for start in range(0, len(missing), 64):
            part = missing[start : start + 64]
            for key, latents in zip(part, _encode([path_of[k] for k in part], vae, size, runtime), strict=True):
                known[key] = latents
            progress(min(start + 64, len(missing)), len(missing))
        _save(store, known)
    return torch.stack([known[k] for k in keys])  # (N, 2, C, h, w)


@torch.inference_mode()
def _encode(files: Sequence[Path], vae: Any, size: int, runtime: Runtime) -> Tensor:
    pixels = to_pixels(files, size).to(runtime.device)
    with runtime.autocast():
        variants = [
            vae.encode(p.contiguous(memory_format=torch.channels_last)).latents for p in (pixels, pixels.flip(-1))
        ]
    return torch.stack(variants, 1).half().cpu()  # (B, 2, C, h, w)


def _load(store: Path) -> dict[str, Tensor]:
    from safetensors import safe_open

    if not store.exists():
        return {}
    with safe_open(store, "pt") as file:
        keys = json.loads(file.metadata()["keys"])
        return dict(zip(keys, file.get_tensor("latents"), strict=True))


def _save(store: Path, known: dict[str, Tensor]) -> None:
    from safetensors.torch import save_file

    with atomic_path(store) as temporary:
        save_file({"latents": torch.stack(list(known.values()))}, temporary, metadata={"keys": json.dumps(list(known))})
