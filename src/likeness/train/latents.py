"""Latents on disk, looked up by what they were made from: content of the picture, transform, autoencoder.

Keyed by content, a latent cannot end up beside another picture's caption, however the data are shuffled or extended.
What is kept are moments: a mean, and for an autoencoder that gives a distribution its log-variance, so that a latent is
drawn afresh at every use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import TrainingError
from ..models.pixels import to_pixels
from ..runtime import Runtime
from .store import TensorStore

SHARD = 256  # latents in a file
Progress = Callable[[int, int], None]


def file_key(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fingerprint(module: nn.Module) -> str:
    """Twelve hex digits of the weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def moments(vae: Any, pixels: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) -> unscaled mean (B, C, h, w), or mean and log-variance (B, 2C, h, w)."""
    pixels = pixels.to(vae.device, vae.dtype).contiguous(memory_format=torch.channels_last)
    found = vae.encode(pixels)
    return found.latents if hasattr(found, "latents") else found.latent_dist.parameters


def drawn(moments: Tensor, channels: int, noise: Tensor | None) -> Tensor:
    """A latent (B, C, h, w) of its moments: the mean, or with `noise` mean + std * noise (Kingma & Welling 2014)."""
    if moments.shape[1] == channels:  # the autoencoder is certain
        return moments
    mean, log_variance = moments.chunk(2, 1)
    return mean if noise is None else mean + torch.exp(0.5 * log_variance.clamp(-30, 20)) * noise


def fill(
    store: TensorStore,
    keys: Sequence[str],
    make: Callable[[Sequence[str]], Tensor],
    batch: int = 16,
    progress: Progress = lambda done, total: None,
) -> None:
    """Encode what the store does not hold: `make` turns `batch` keys into moments (B, ...), kept as fp16."""
    missing = store.missing(keys)
    ready: list[Tensor] = []
    kept = 0
    for start in range(0, len(missing), batch):
        ready.append(make(missing[start : start + batch]).half().cpu())
        done = min(start + batch, len(missing))
        if done - kept >= SHARD or done == len(missing):
            whole = torch.cat(ready)
            if not torch.isfinite(whole).all():
                raise TrainingError("the autoencoder overflows on these pictures: encode with --precision fp32 or bf16")
            store.add(missing[kept:done], {"moments": whole})
            ready, kept = [], done
        progress(done, len(missing))


def cached_latents(
    files: Sequence[Path],
    vae: Any,
    size: int,
    folder: Path,
    runtime: Runtime,
    progress: Progress = lambda done, total: None,
) -> Tensor:
    """Unscaled latents of all files and their mirror images, (N, 2, C, h, w) fp16; only what is missing is encoded."""
    contents = [file_key(f) for f in files]
    store = TensorStore(folder / f"latents-{fingerprint(vae)}-{size}")
    path_of: Mapping[str, Path] = dict(zip(contents, files, strict=True))

    @torch.inference_mode()
    def make(keys: Sequence[str]) -> Tensor:
        pixels = to_pixels([path_of[key] for key in keys], size).to(runtime.device)
        with runtime.autocast():
            return torch.stack([moments(vae, p) for p in (pixels, pixels.flip(-1))], 1)  # (B, 2, C, h, w)

    fill(store, contents, make, 64, progress)
    return store.get(contents)["moments"]  # (N, 2, C, h, w)
