"""Aspect buckets: pictures of like shape in one batch, so that none is cut to a square or squeezed into one.

Novel AI's idea (2022): shapes of about the same area, sides in steps of 64 px; a picture goes to the nearest one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import UsageError


@dataclass(frozen=True)
class Buckets:
    """Shapes (width, height) in multiples of `step`, none above `size`² pixels nor longer than `longest` : 1."""

    size: int = 512
    step: int = 64
    longest: float = 2.0
    shapes: tuple[tuple[int, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.step < 1 or self.size % self.step or self.longest < 1:
            raise UsageError(f"buckets: size {self.size} must be a multiple of step {self.step}, and longest 1 or more")
        found = set()
        for width in range(self.step, int(self.size * self.longest) + 1, self.step):
            height = min(self.size**2 // width // self.step * self.step, int(self.size * self.longest))
            if height >= self.step and max(width, height) <= self.longest * min(width, height):
                found |= {(width, height), (height, width)}
        # of shapes with the same height only the widest: the rest are crops of it
        widest = {(w, h) for w, h in found if not any(w2 >= w and h2 >= h and (w2, h2) != (w, h) for w2, h2 in found)}
        object.__setattr__(self, "shapes", tuple(sorted(widest)))

    def shape_for(self, width: int, height: int) -> tuple[int, int]:
        """The shape whose aspect is nearest, on a logarithmic scale."""
        aspect = math.log(width / height)
        return min(self.shapes, key=lambda s: (abs(math.log(s[0] / s[1]) - aspect), -s[0] * s[1]))


class BucketBatches:
    """A batch sampler: every picture once an epoch, one shape a batch, in an order that is a pure function of
    (seed, epoch). Give it to a `DataLoader` as `batch_sampler` and call `set_epoch` before each epoch.

    `rank` of `world` workers take every `world`-th batch, all the same number; `start` skips batches, to resume.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        batch: int,
        seed: int = 0,
        drop_last: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if batch < 1:
            raise UsageError("a batch holds 1 picture or more")
        self.shapes, self.batch, self.seed, self.drop_last, self.rank, self.world = (
            shapes,
            batch,
            seed,
            drop_last,
            rank,
            world,
        )
        self.epoch = self.start = 0

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        return max(0, -(-len(self._sizes()) // self.world) - self.start)

    def __iter__(self) -> Iterator[list[int]]:
        members: dict[tuple[int, int], list[int]] = {}
        for i, shape in enumerate(self.shapes):
            members.setdefault(shape, []).append(i)
        random = np.random.default_rng([self.seed, self.epoch])
        batches = []
        for shape in sorted(members):
            order = random.permutation(members[shape]).tolist()
            batches += [order[i : i + self.batch] for i in range(0, len(order), self.batch)]
        if self.drop_last:
            batches = [b for b in batches if len(b) == self.batch]
        order = random.permutation(len(batches)).tolist()
        # the last round is filled up from the start, so that no worker waits for another
        order += order[: -len(order) % self.world]
        yield from (batches[i] for i in order[self.rank :: self.world][self.start :])

    def _sizes(self) -> list[int]:
        counts: dict[tuple[int, int], int] = {}
        for shape in self.shapes:
            counts[shape] = counts.get(shape, 0) + 1
        full = [self.batch for n in counts.values() for _ in range(n // self.batch)]
        return full if self.drop_last else full + [n % self.batch for n in counts.values() if n % self.batch]
