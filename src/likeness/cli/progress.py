"""The one progress bar: on stderr, with rate and time left; where nobody watches, a plain line now and then."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol


class Tell(Protocol):
    """What a stage is told with; `note` is a few words beside the rate, such as what it has cost so far."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None: ...


@contextlib.contextmanager
def stages(show: bool = True, unit: str = "images", every: float = 30) -> Iterator[Tell]:
    """Yield a `Tell`; each stage has a bar of its own. Where stderr is no terminal, one line in `every` seconds.

    A total of 0 is unknown: the bar then shows only that something moves.
    """
    if not (show and sys.stderr.isatty()):
        yield _lines(unit, every) if show else lambda stage, done, total, note="": None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
        TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def tell(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total or None, completed=done, rate="")
            task = tasks[stage]
            speed = progress.tasks[task].finished_speed or progress.tasks[task].speed
            rate = " ".join(t for t in (f"{speed:.1f}/s" if speed else "", note) if t)
            progress.update(task, completed=done, total=total or None, rate=rate)

        yield tell


def _lines(unit: str, every: float) -> Tell:
    last = time.monotonic()
    begun: dict[str, tuple[float, int]] = {}  # stage -> when, and how much was done by then

    def tell(stage: str, done: int, total: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        start, first = begun.setdefault(stage, (now, done))
        if now - last >= every and done > first:
            last = now
            print(line(stage, done, total, (done - first) / (now - start), unit, note), file=sys.stderr, flush=True)

    return tell


def line(stage: str, done: int, total: int, rate: float, unit: str, note: str = "") -> str:
    """`denoiser 12,800/100,000 images, 31/s, 46 min left`: where a stage stands, at `rate` a second."""
    counted = f"{stage} {done:,}/{total:,} {unit}" if total else f"{stage} {done:,} {unit}"
    left = _duration((total - done) / rate) + " left" if total and rate else ""
    return ", ".join(t for t in (counted, f"{rate:.3g}/s" if rate else "", note, left) if t)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@contextlib.contextmanager
def bar(what: str, show: bool = True, unit: str = "steps") -> Iterator[Callable[[int, int], None]]:
    """One stage: yield a callback `(done, total)`."""
    with stages(show, unit) as tell:
        yield partial(tell, what)
