"""Worker processes that give their results in order, a bounded number ahead, and outlive what pictures do to them."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from .cutting import Cutter, Outcome, Task, begin, dropped, one_thread, work
from .recipe import PrepareConfig

AHEAD = 6  # tasks in hand for each worker: bounds memory, and lets the others go on while one is slow
SLOWEST = 300.0  # seconds for one picture


class Crew:
    """`workers` processes, each with one thread and a detector of its own; 0: this process does it all."""

    def __init__(self, config: PrepareConfig, pending: Path, workers: int, slowest: float = SLOWEST) -> None:
        self.config, self.pending, self.workers, self.slowest = config, pending, workers, slowest

    def run(self, tasks: Iterator[Task]) -> Generator[tuple[Task, Outcome], None, None]:
        """Each task with its outcome, in order. What a worker raises ends it."""
        if not self.workers:
            yield from self._here(tasks)
            return
        waiting: deque[tuple[Task, Future[Outcome]]] = deque()
        pool = self._pool(self.workers)
        try:
            while True:
                while len(waiting) < AHEAD * self.workers and (task := next(tasks, None)) is not None:
                    waiting.append((task, self._submit(pool, task)))
                if not waiting:
                    return
                task, future = waiting[0]
                try:
                    outcome = future.result(self.slowest)
                except (BrokenProcessPool, TimeoutError):
                    # one of those in hand did it, and nobody knows which: try them one at a time
                    _end(pool)
                    yield from self._alone(waiting)
                    waiting.clear()
                    pool = self._pool(self.workers)
                    continue
                waiting.popleft()
                yield task, outcome
        finally:
            _end(pool)

    def _here(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
        with _single_threaded():
            cutter = Cutter(self.config, self.pending)
            for task in tasks:
                yield task, cutter(task)

    def _alone(self, waiting: deque[tuple[Task, Future[Outcome]]]) -> Iterator[tuple[Task, Outcome]]:
        pool = self._pool(1)
        try:
            for task, future in waiting:
                if future.done() and not future.cancelled() and future.exception() is None:
                    yield task, future.result()
                    continue
                again = self._submit(pool, task)
                try:
                    outcome = again.result(self.slowest)
                except (BrokenProcessPool, TimeoutError) as error:
                    slow = isinstance(error, TimeoutError)
                    _end(pool)
                    pool = self._pool(1)
                    outcome = dropped("too slow" if slow else "crashed")
                yield task, outcome
        finally:
            _end(pool)

    def _pool(self, workers: int) -> ProcessPoolExecutor:
        # spawn: forking a process that has threads (torch, OpenCV, a progress bar) may hang
        return ProcessPoolExecutor(workers, get_context("spawn"), begin, (self.config, self.pending))

    def _submit(self, pool: ProcessPoolExecutor, task: Task) -> Future[Outcome]:
        try:
            return pool.submit(work, task)
        except BrokenProcessPool as error:  # it broke since the last result: treated when its turn comes
            failed: Future[Outcome] = Future()
            failed.set_exception(error)
            return failed


def _end(pool: ProcessPoolExecutor) -> None:
    """Stop a pool at once, busy workers included."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        with contextlib.suppress(OSError, ValueError):
            process.kill()
    pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """As in a worker, so that the same picture comes out; the process's own settings come back afterwards."""
    import sys

    before = os.environ.get("OMP_NUM_THREADS")
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    cv2 = sys.modules.get("cv2")
    others = cv2.getNumThreads() if cv2 else None
    one_thread()
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = before
        if torch and threads:
            torch.set_num_threads(threads)
        if cv2 and others:
            cv2.setNumThreads(others)
