"""Classifier-free guidance: how far what a network says is led away from what it says of nothing, and when."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:  # requests are checked without torch
    from torch import Tensor

Interval = tuple[float, float]
WHOLE: Interval = (0.0, 1.0)
NEXT_TO_NONE = 1 + 2**-40  # leads nowhere, but pipelines go on asking for what is not wanted


def guided(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """u + s (c - u): Ho & Salimans 2022, eq. 6 with s = 1 + w."""
    return unconditional + scale * (conditional - unconditional)


@dataclass(frozen=True)
class Guidance:
    """A scale that holds in a part of the way from noise (0) to picture (1), told by the schedule's time.

    Kynkäänniemi et al. 2024, "Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in
    Diffusion Models": harmful while noise is strong, unneeded near the end.
    """

    scale: float
    interval: Interval = WHOLE
    times: int = 1000  # that the network was trained with

    def at(self, t: float | Tensor) -> float:
        """The scale at time t, the same for all rows of a batch; 1 outside of the interval."""
        now = float(t if isinstance(t, float | int) else t.flatten()[0])
        start, stop = self.interval
        return self.scale if start - 1e-9 <= 1 - now / self.times <= stop + 1e-9 else 1.0

    def scales(self, times: Sequence[float]) -> list[float]:
        """What a pipeline is to be told at each of these times: 1 only when no guidance is to come any more."""
        after = list(itertools.accumulate(reversed([self.at(t) for t in times]), max))[::-1]
        return [max(self.at(t), NEXT_TO_NONE) if left > 1 else 1.0 for t, left in zip(times, after, strict=True)]


def read_interval(text: str | None, where: str = "--guidance-interval") -> Interval | None:
    """`0,0.6` or `[0, 0.6]` -> (0.0, 0.6); None stays None. Raises `UsageError`."""
    if text is None:
        return None
    try:
        start, stop = (float(word) for word in text.strip().removeprefix("[").removesuffix("]").split(","))
    except ValueError:
        raise UsageError(f"{where} {text!r}: write 0,0.6 for guidance from noise (0) to 0.6") from None
    return check_interval((start, stop))


def check_interval(interval: Any) -> Interval:
    """Raises `UsageError` for what is no part of the way from noise (0) to picture (1)."""
    start, stop = interval
    if not 0 <= start < stop <= 1:
        raise UsageError(f"a guidance interval goes from 0 (noise) to 1 (picture), not from {start:g} to {stop:g}")
    return start, stop
