"""What a frozen text encoder makes of the captions, computed once: looked up by the text and the encoders' weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..models.conditioning import Conditioner, Conditioning
from .latents import fingerprint
from .store import TensorStore

BATCH, SHARD = 32, 256
Progress = Callable[[int, int], None]


class TextCache:
    """Conditioning on disk, fp16. `encode` looks like a `Conditioner`'s, for texts that `fill` has seen."""

    def __init__(self, folder: Path, conditioner: Conditioner, windows: int = 1) -> None:
        self.windows = windows
        self.store = TensorStore(folder / f"texts-{'-'.join(map(fingerprint, conditioner.encoders))}-{windows}")

    @staticmethod
    def key(text: str) -> str:
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @torch.no_grad()
    def fill(
        self, texts: Sequence[str], conditioner: Conditioner, progress: Progress = lambda done, total: None
    ) -> None:
        """Encode what is not here yet."""
        text_of = {self.key(text): text for text in texts}
        missing = self.store.missing(text_of)
        for start in range(0, len(missing), SHARD):
            keys = missing[start : start + SHARD]
            said = [text_of[key] for key in keys]
            parts = [conditioner.encode(said[i : i + BATCH], self.windows) for i in range(0, len(said), BATCH)]
            found = {"hidden": torch.cat([p.hidden for p in parts]).half().cpu()}
            if pooled := [p.pooled for p in parts if p.pooled is not None]:
                found["pooled"] = torch.cat(pooled).half().cpu()
            self.store.add(keys, found)
            progress(start + len(keys), len(missing))

    def encode(self, texts: Sequence[str]) -> Conditioning:
        """Raises `KeyError` for a text that `fill` has not seen."""
        found = self.store.get([self.key(text) for text in texts])
        return Conditioning(found["hidden"], found.get("pooled"))
