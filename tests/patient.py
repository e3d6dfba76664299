"""Time that passes only while everybody waits: tests of limits and deadlines take no time, however busy the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Loop(asyncio.SelectorEventLoop):
    """Its clock stands still while there is something to do, and goes on to the next timer when there is not."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if self._scheduled and not self._ready:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """What `work` returns; nothing in it may wait for another process or thread."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(work)


def monotonic() -> float:
    """In place of `time.monotonic`, the clock of the loop that runs."""
    return asyncio.get_running_loop().time()
