"""What is due once a round through the data: the mean loss of the epoch, the curve drawn, memory given back."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence

import torch

from ..runs import RunFolder
from .curve import write_curve
from .hooks import Hook, State

REST = 30.0  # seconds at least between two collections: one takes a good part of a second, an epoch may take less


def epochs(run: RunFolder, count: int, draw_every: int = 0) -> Hook:
    """Log `epoch` and `epoch_loss` after each `count` images, and free memory; draw the curve every so many images.

    The mean is that of the losses logged within the epoch: log at least once in it. Nothing is kept between the calls
    that the metrics do not tell, so a run that goes on from a checkpoint logs the same.
    """
    done, freed = -1, time.monotonic()

    def hook(state: State) -> None:
        nonlocal done, freed
        if done < 0:
            done = max((int(row["epoch"]) for row in run.metrics() if "epoch" in row), default=0)
        reached, rows = state.images // count, []
        if reached > done:
            rows = [(row["images"], row["loss"]) for row in run.metrics() if "loss" in row]
        ends = state.images >= state.total
        if rows and (rows[-1][0] >= reached * count or ends):
            if (mean := mean_between(rows, done * count, reached * count)) is not None:
                run.log(state.images, epoch=reached, epoch_loss=mean)
            done = reached
            if time.monotonic() - freed > REST:
                free()
                freed = time.monotonic()
        if state.passed(draw_every) or ends:
            write_curve(run)

    return hook


def mean_between(rows: Sequence[tuple[int, float]], start: int, end: int) -> float | None:
    """The mean loss from image `start` to `end`, of rows (images, mean since the row before); None where none is."""
    total = weight = 0.0
    before = 0
    for images, loss in rows:
        shared = max(0, min(images, end) - max(before, start))
        total, weight, before = total + shared * loss, weight + shared, images
    return total / weight if weight else None


def free() -> None:
    """Give back what no tensor uses any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
