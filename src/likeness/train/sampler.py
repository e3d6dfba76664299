"""Which image comes when: a pure function of (seed, position), so that resuming needs one number and no state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError


class Sampler:
    """Endless draws over `count` images, epoch by epoch.

    Without weights each epoch is a permutation; with weights it is `count` draws with replacement, so that an image of
    weight 5 comes five times as often as one of weight 1. `rank` of `world` workers take every `world`-th position.
    """

    def __init__(
        self, count: int, batch: int, seed: int, weights: np.ndarray | None = None, rank: int = 0, world: int = 1
    ):
        if count < 1:
            raise UsageError("no training images: check --data and its split column")
        self.count, self.batch, self.seed, self.rank, self.world = count, batch, seed, rank, world
        self.weights = None if weights is None else np.asarray(weights, np.float64) / np.sum(weights)
        self._epoch: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def positions(self, step: int) -> list[int]:
        """Global positions of this worker's samples of a step."""
        first = step * self.batch * self.world + self.rank
        return list(range(first, first + self.batch * self.world, self.world))

    def indices(self, step: int) -> list[int]:
        return [self._at(position) for position in self.positions(step)]

    def _at(self, position: int) -> int:
        epoch, offset = divmod(position, self.count)
        if epoch != self._epoch[0]:
            random = np.random.default_rng([self.seed, epoch])
            if self.weights is None:
                order = random.permutation(self.count)
            else:
                order = random.choice(self.count, self.count, p=self.weights)
            self._epoch = (epoch, order)
        return int(self._epoch[1][offset])


def sample_seed(seed: int, position: int) -> int:
    """The seed of everything drawn for one training sample: its caption, its flip."""
    return int(np.random.SeedSequence([seed, position]).generate_state(1)[0])


def step_seed(seed: int, step: int, rank: int = 0, stream: int = 1) -> int:
    """The seed of what a whole (micro-)batch draws at once; `stream` keeps unlike uses apart."""
    return int(np.random.SeedSequence([seed, step, rank, stream]).generate_state(1, np.uint64)[0]) >> 1


def step_generator(seed: int, step: int, rank: int = 0) -> torch.Generator:
    """Noise and timesteps of a step."""
    return torch.Generator().manual_seed(step_seed(seed, step, rank))


def noise_for(seed: int, positions: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Gaussian noise (B, *shape) on the CPU: each sample's own, whoever draws it and whatever its batch mates are."""
    return torch.stack([torch.randn(*shape, generator=_generator(seed, p, 2)) for p in positions])


def times_for(seed: int, positions: Sequence[int], count: int) -> Tensor:
    """A timestep below `count` for each sample, (B,) int64, uniform and independent of its noise."""
    return torch.cat([torch.randint(count, (1,), generator=_generator(seed, p, 3)) for p in positions])


def _generator(seed: int, position: int, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(step_seed(seed, position, 0, stream))
