"""Pictures for the tests of preparation: quick to make, distinct to a perceptual hash, sharp enough for the filters."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likeness.data.sources import Item


def pattern(seed: int, side: int = 96, height: int | None = None) -> Image.Image:
    """Coloured blobs with some grain."""
    random = np.random.default_rng(seed)
    blobs = Image.fromarray(random.integers(40, 230, (8, 8, 3), np.uint8)).resize((side, height or side))
    grain = random.integers(-12, 12, (height or side, side, 1))
    return Image.fromarray((np.asarray(blobs).astype(int) + grain).clip(0, 255).astype(np.uint8))


def folder_of(folder: Path, count: int, side: int = 96, first: int = 0, suffix: str = ".png") -> Path:
    """A folder of so many pictures, 00000.png and on."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pattern(first + i, side).save(folder / f"{i:05d}{suffix}")
    return folder


def content(folder: Path) -> dict[str, Any]:
    """Every file of a prepared folder but the lock; of the report what may not differ between two runs."""
    found: dict[str, Any] = {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }
    found.pop(".metadata.lock", None)
    report = json.loads(found["report.json"])
    found["report.json"] = {k: v for k, v in report.items() if k not in {"run", "output"}}
    return found


class Deadly(Item):
    """Kills the worker process that looks at it, as a decoder with a bug does."""

    def __getattribute__(self, name: str) -> Any:
        if name == "data" and multiprocessing.parent_process() is not None:
            os._exit(3)
        return super().__getattribute__(name)


class Slow(Item):
    """Keeps its worker process for ever, or nearly."""

    def __getattribute__(self, name: str) -> Any:
        if name == "data" and multiprocessing.parent_process() is not None:
            time.sleep(120)
        return super().__getattribute__(name)
