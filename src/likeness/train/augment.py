"""Pictures at hand and the small changes that keep a network from learning them by heart."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.decode import BadImage, open_image
from ..data.transforms import Transform, resized
from ..files import atomic_path, cache_folder, write_json
from ..models.pixels import RESIZE

MAPPED = 2 << 30  # bytes; what takes more lies in a file
Progress = Callable[[str, int, int], None]


@dataclass
class Seen:
    """What reading has shown: position -> why a file cannot be read; "256x256" -> pictures of that size."""

    broken: dict[int, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


class Pictures:
    """Faces as uint8 (49 KB each at 128 px); indexing by a list gives (B, 3, H, W) float32 in [-1, 1].

    They are in memory, or where that would take more than `most` bytes in a file of the cache folder that is mapped,
    and found again by the next run. A picture that is not square is cropped at its centre. A file that cannot be read
    raises `BadImage`; with `lenient` it is black and told in `seen`.
    """

    def __init__(
        self, files: Sequence[Path], size: int, progress: Progress, lenient: bool = False, most: int = MAPPED
    ) -> None:
        shape = (len(files), 3, size, size)
        if len(files) * 3 * size * size > most:
            pixels, self.seen = mapped(files, shape, progress, lenient)
        else:
            pixels = np.zeros(shape, np.uint8)
            self.seen = read(files, pixels, progress, lenient)
        self.pixels, self.rows = torch.from_numpy(pixels), torch.arange(len(files))

    def only(self, rows: Sequence[int]) -> None:
        """From now on number i is the picture that was number `rows[i]`."""
        self.rows = self.rows[list(rows)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: list[int]) -> Tensor:
        return self.pixels[self.rows[indices]].float() / 127.5 - 1


def read(files: Sequence[Path], pixels: np.ndarray, progress: Progress, lenient: bool) -> Seen:
    """Decode into `pixels` (N, 3, H, W), in threads."""
    size, centre, seen, sizes = pixels.shape[-1], Transform(), Seen(), Counter[str]()

    def one(file: Path) -> tuple[np.ndarray, str] | BadImage:
        try:
            picture = open_image(file)
        except BadImage as error:
            return error
        shape = (size, size)
        return np.asarray(resized(picture, centre.box(picture.size, shape), shape)), f"{picture.width}x{picture.height}"

    with ThreadPoolExecutor() as threads:
        for start in range(0, len(files), 64):
            for i, found in enumerate(threads.map(one, files[start : start + 64]), start):
                if not isinstance(found, BadImage):
                    pixels[i] = found[0].transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
                    sizes[found[1]] += 1
                elif lenient:
                    seen.broken[i] = found.reason
                else:
                    raise found
            progress("reading", min(start + 64, len(files)), len(files))
    seen.sizes = dict(sizes.most_common())
    return seen


def mapped(files: Sequence[Path], shape: tuple[int, ...], progress: Progress, lenient: bool) -> tuple[np.ndarray, Seen]:
    """Pixels in a file that is mapped, written unless an earlier run has; looked up by names, sizes and times."""
    about = [(str(f.resolve()), *_stat(f)) for f in files]
    digest = hashlib.sha256(json.dumps([RESIZE, shape, lenient, about]).encode()).hexdigest()[:16]
    target = cache_folder() / "pictures" / f"{digest}-{shape[-1]}.u8"
    told = target.with_suffix(".json")
    if not (target.exists() and told.exists()):
        with atomic_path(target) as temporary:
            pixels = np.memmap(temporary, np.uint8, "w+", shape=shape)
            seen = read(files, pixels, progress, lenient)
            pixels.flush()
        write_json(told, asdict(seen))
    noted = json.loads(told.read_text(encoding="utf-8"))
    seen = Seen({int(i): why for i, why in noted["broken"].items()}, noted["sizes"])
    return np.memmap(target, np.uint8, "c", shape=shape), seen  # "c": never written, but torch wants it writable


def _stat(file: Path) -> tuple[int, int]:
    try:
        about = os.stat(file)
    except OSError:
        return 0, 0
    return about.st_size, about.st_mtime_ns


def jittered(pixels: Tensor, seeds: Sequence[int], shift: int = 6, light: float = 0.15) -> Tensor:
    """Each picture mirrored or not, shifted, zoomed, and in other light, by its own seed. Same shape."""
    out = []
    for picture, seed in zip(pixels, seeds, strict=True):
        random_ = random.Random(seed ^ 0x5EED)
        zoom, angle = random_.uniform(0.92, 1.08), random_.uniform(-0.06, 0.06)
        across, down = (random_.uniform(-shift, shift) * 2 / picture.shape[-1] for _ in range(2))
        mirror = -1.0 if random_.random() < 0.5 else 1.0
        out.append([[mirror * zoom, angle, across], [-angle, zoom, down]])
    grid = F.affine_grid(torch.tensor(out), list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    strengths = torch.tensor([[random.Random(s ^ i).uniform(-light, light) for i in (1, 2)] for s in seeds]).view(
        -1, 2, 1, 1, 1
    )
    return (moved * (1 + strengths[:, 0]) + strengths[:, 1]).clamp(-1, 1)
