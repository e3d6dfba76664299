"""Tensors on disk, looked up by what they were made from; several runs share a folder, and none loads it whole.

Each `add` writes a shard of its own, whole or not at all: a run that is killed loses the shard it was making, and two
that write at once at worst keep a tensor twice.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..files import atomic_path

Entry = dict[str, Tensor]


class TensorStore:
    """Entries of equal shapes under text keys. Reading maps the file: only what is asked for is in memory."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._place: dict[str, tuple[Any, int]] = {}  # key -> an open shard, row in it
        self._seen: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take in the shards that others have written since."""
        from safetensors import safe_open

        for shard in sorted(self.folder.glob("*.safetensors")):
            if shard.name not in self._seen:
                self._seen.add(shard.name)
                file = safe_open(shard, "pt")
                self._place |= {key: (file, row) for row, key in enumerate(json.loads(file.metadata()["keys"]))}

    def __contains__(self, key: str) -> bool:
        return key in self._place

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those that are not here, each once, in order."""
        return [key for key in dict.fromkeys(keys) if key not in self._place]

    def add(self, keys: Sequence[str], tensors: Mapping[str, Tensor]) -> None:
        """Row i of every tensor belongs to `keys[i]`."""
        from safetensors.torch import save_file

        shard = self.folder / f"{secrets.token_hex(8)}.safetensors"
        with atomic_path(shard) as temporary:
            ready = {name: tensor.contiguous() for name, tensor in tensors.items()}
            save_file(ready, temporary, metadata={"keys": json.dumps(list(keys))})
        self.refresh()

    def get(self, keys: Sequence[str]) -> Entry:
        """Entries stacked in the order of `keys`. Raises `KeyError` for one that is not here."""
        places = [self._place[key] for key in keys]
        names = places[0][0].keys()
        return {name: torch.stack([file.get_slice(name)[row] for file, row in places]) for name in names}
