"""Shares of a table for several machines: contiguous ranges that together are the whole, sizes within one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from ..errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Share `number` of `count`; numbers start at 1. Raises `UsageError` for a share that there is not."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            most = max(1, self.count)
            raise UsageError(f"no shard {self.number}/{self.count}: write 1/{most} to {most}/{most}")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `3/8`."""
        found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
        if not found:
            raise UsageError(f"shard {text!r}: write number/count, such as 1/4")
        return cls(int(found[1]), int(found[2]))

    def range(self, total: int) -> range:
        """The positions of this share among `total` rows."""
        return range((self.number - 1) * total // self.count, self.number * total // self.count)

    def take(self, rows: Iterable[T], total: int) -> Iterator[T]:
        """The rows of this share, as a stream."""
        mine = self.range(total)
        return islice(rows, mine.start, mine.stop)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
