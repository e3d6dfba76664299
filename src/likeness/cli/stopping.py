"""Ctrl-C and SIGTERM: the first one asks for an end, the second one, or `GRACE` seconds, makes one."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

GRACE = 20.0  # seconds for what is under way


@contextlib.contextmanager
def gently(remark: str) -> Iterator[Callable[[], str]]:
    """Yield a function that names the signal that came, "" before. `remark` is said on stderr when it comes.

    In another thread than the main one, and on Windows, nothing is caught: Ctrl-C ends at once.
    """
    came = ""

    def stop(number: int, _: Any) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = signal.Signals(number).name
        signal.setitimer(signal.ITIMER_REAL, GRACE)
        print(remark, file=sys.stderr, flush=True)

    try:
        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    except (ValueError, AttributeError):  # another thread; a system without alarms
        yield lambda: ""
        return
    try:
        yield lambda: came
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
