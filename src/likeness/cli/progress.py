"""The one progress bar: on stderr, with rate and time left; silent where nobody watches."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import partial


@contextlib.contextmanager
def stages(show: bool = True, unit: str = "images") -> Iterator[Callable[[str, int, int], None]]:
    """Yield a callback `(stage, done, total)`; each stage has a bar of its own. Nothing unless stderr is a terminal.

    A total of 0 is unknown: the bar then shows only that something moves.
    """
    if not (show and sys.stderr.isatty()):
        yield lambda stage, done, total: None
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

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total or None, completed=done, rate="")
            task = tasks[stage]
            speed = progress.tasks[task].finished_speed or progress.tasks[task].speed
            progress.update(task, completed=done, total=total or None, rate=f"{speed:.1f}/s" if speed else "")

        yield tell


@contextlib.contextmanager
def bar(what: str, show: bool = True, unit: str = "steps") -> Iterator[Callable[[int, int], None]]:
    """One stage: yield a callback `(done, total)`."""
    with stages(show, unit) as tell:
        yield partial(tell, what)
