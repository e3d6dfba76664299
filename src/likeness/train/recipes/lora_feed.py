"""Batches for a LoRA: latents and texts from the caches, or pictures and captions to be encoded at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...models.conditioning import Conditioning, time_ids
from ...runtime import Runtime
from ..latents import fill, fingerprint, moments
from ..sampler import noise_for, step_seed, times_for
from ..store import TensorStore
from ..text_cache import TextCache
from .lora_data import Cuts, Draw

Progress = Callable[[str, int, int], None]
LATENT, OFFSET = 4, 5  # streams of random numbers beside those of `sampler`


@dataclass
class Batch:
    """What a step needs, on the CPU. Of moments (B, M, h, w) and pixels (B, 3, H, W) there is one; of words and texts.

    noise and latent_noise (B, C, h, w), offset (B, C, 1, 1), times (B,), frames (B, 6) for SDXL.
    """

    noise: Tensor
    latent_noise: Tensor
    offset: Tensor
    times: Tensor
    texts: list[str]
    moments: Tensor | None = None
    pixels: Tensor | None = None
    words: Conditioning | None = None
    frames: Tensor | None = None


@dataclass
class Feed:
    """Turns drawn samples into batches. `channels` and `scale` are the latents'; `sized`: the model is told sizes."""

    cuts: Cuts
    seed: int
    steps: int
    channels: int
    scale: int
    sized: bool
    latents: LatentCache | None = None
    texts: TextCache | None = None

    @torch.autocast("cpu", enabled=False)  # the same wherever it is called
    def batch(self, draws: Sequence[Draw], positions: Sequence[int], times: Tensor | None = None) -> Batch:
        """Draws of one shape. `times` (B,) replaces those that the positions draw."""
        width, height = self.cuts.shape(draws[0].face)
        shape = (self.channels, height // self.scale, width // self.scale)
        made = Batch(
            noise_for(self.seed, positions, shape),
            noise_for(step_seed(self.seed, 0, 0, LATENT), positions, shape),
            noise_for(step_seed(self.seed, 0, 0, OFFSET), positions, (self.channels, 1, 1)),
            times_for(self.seed, positions, self.steps) if times is None else times,
            [d.text for d in draws],
        )
        if self.latents is not None:
            made.moments = self.latents.get(draws)
        else:
            with ThreadPoolExecutor(8) as pool:
                pictures = list(pool.map(lambda d: self.cuts.pixels(d.face, d.at, d.mirrored), draws))
            made.pixels = torch.stack(pictures)
        if self.texts is not None:
            made.words = self.texts.encode(made.texts)
        if self.sized:
            frames = [self.cuts.framing(d.face, d.at, d.mirrored) for d in draws]
            made.frames = time_ids([f[0] for f in frames], [f[1] for f in frames], [(height, width)] * len(draws))
        return made


class LatentCache:
    """Moments of every crop that can come, on disk: one store for each shape."""

    def __init__(self, folder: Path, vae: Any, cuts: Cuts) -> None:
        self.folder, self.cuts, self.fingerprint = folder, cuts, fingerprint(vae)
        self.stores: dict[tuple[int, int], TensorStore] = {}

    def store(self, face: int) -> TensorStore:
        shape = self.cuts.shape(face)
        if shape not in self.stores:
            self.stores[shape] = TensorStore(self.folder / f"latents-{self.fingerprint}-{shape[0]}x{shape[1]}")
        return self.stores[shape]

    def key(self, face: int, variant: str, mirrored: bool) -> str:
        return f"{self.cuts.contents[face]} {variant}{' mirrored' * mirrored}"

    def get(self, draws: Sequence[Draw]) -> Tensor:
        keys = [self.key(d.face, d.variant, d.mirrored) for d in draws]
        return self.store(draws[0].face).get(keys)["moments"].float()  # (B, M, h, w)

    def fill(self, vae: Any, runtime: Runtime, progress: Progress, batch: int = 8) -> None:
        """Encode what is missing, each process its share; in fp32: half-precision encoders overflow, and it is once."""
        mirrors = (False, True) if self.cuts.transform.flip else (False,)
        wanted: dict[TensorStore, dict[str, tuple[int, tuple[float, float], bool]]] = {}
        for face in range(runtime.rank, len(self.cuts.faces), runtime.world):
            crops = wanted.setdefault(self.store(face), {})
            for at, variant in self.cuts.every(face):
                crops |= {self.key(face, variant, m): (face, at, m) for m in mirrors}
        total = sum(len(store.missing(crops)) for store, crops in wanted.items())
        done = 0
        with ThreadPoolExecutor(8) as pool:
            for store, crops in wanted.items():

                @torch.inference_mode()
                def make(keys: Sequence[str], crops: Any = crops) -> Tensor:
                    return moments(vae, torch.stack(list(pool.map(lambda k: self.cuts.pixels(*crops[k]), keys))))

                missing = len(store.missing(crops))
                fill(store, list(crops), make, batch, partial(_told, progress, done, total))
                done += missing
        runtime.wait()
        for store in self.stores.values():
            store.refresh()


def _told(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    progress("latents", before + done, total)
