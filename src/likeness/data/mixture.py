"""Several data sets in one stream, in given proportions; what comes when is a pure function of (seed, position)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from ..errors import UsageError
from .dataset import FaceDataset


class Mixture(Dataset[dict[str, Any]]):
    """`mixture[position]`, positions without end; a member's pictures come in a new order every time they are through.

    Every `block` positions hold each member in its proportion, exactly but for rounding, so that short stretches are
    mixed alike. A `DataLoader` without shuffling reads one epoch: as many samples as the members have pictures, or
    `length`. Call `set_epoch` before the next.
    """

    def __init__(self, members: Sequence[tuple[FaceDataset, float]], seed: int = 0, length: int | None = None) -> None:
        if not members or any(weight <= 0 for _, weight in members):
            raise UsageError("a mixture needs members with weights above 0")
        if any(not len(faces) for faces, _ in members):
            raise UsageError("a member of the mixture has no pictures")
        if len({faces.size for faces, _ in members}) > 1 or any(faces.buckets for faces, _ in members):
            raise UsageError("members of a mixture have one size, and no buckets")
        self.members = [faces for faces, _ in members]
        self.seed = seed
        self.length = length or sum(len(faces) for faces in self.members)
        weights = np.array([weight for _, weight in members], np.float64)
        shares = weights / weights.sum()
        self._edges = [float(edge) for edge in np.cumsum(shares)[:-1]]
        self.block = max(64, int(np.ceil(2 / shares.min())))
        self.epoch = 0
        self._orders: dict[int, tuple[int, np.ndarray]] = {}
        self._blocks: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Sample `index` of this epoch. Raises `IndexError` past the end of the epoch."""
        if not 0 <= index < self.length:
            raise IndexError(f"sample {index} of {self.length}")
        return self.at(self.epoch * self.length + index)

    def at(self, position: int) -> dict[str, Any]:
        """The sample at a position of the endless stream."""
        member, picture = self.where(position)
        return self.members[member][picture, position]

    def where(self, position: int) -> tuple[int, int]:
        """(member, picture) at a position."""
        block, offset = divmod(position, self.block)
        if self._blocks[0] != block:
            counts = [
                after - before for before, after in zip(self._before(block), self._before(block + 1), strict=True)
            ]
            order = np.random.default_rng([self.seed, 1, block]).permutation(np.repeat(np.arange(len(counts)), counts))
            self._blocks = (block, order)
        order = self._blocks[1]
        member = int(order[offset])
        turn = self._before(block)[member] + int((order[:offset] == member).sum())
        return member, self._picture(member, turn)

    def _before(self, block: int) -> list[int]:
        """How often each member came before a block: differences of rounded edges add up and only grow."""
        edges = [0, *(int(block * self.block * edge) for edge in self._edges), block * self.block]
        return [high - low for low, high in zip(edges, edges[1:], strict=False)]

    def _picture(self, member: int, turn: int) -> int:
        """The picture that a member shows at its `turn`-th turn."""
        count = len(self.members[member])
        times, offset = divmod(turn, count)
        if self._orders.get(member, (-1,))[0] != times:
            self._orders[member] = (times, np.random.default_rng([self.seed, 2, member, times]).permutation(count))
        return int(self._orders[member][1][offset])
