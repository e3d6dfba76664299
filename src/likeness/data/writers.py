"""One writer to a folder at a time: a lock that goes when its process goes, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import UsageError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: one writer at a time is then the user's care
    fcntl = None

NAME = ".metadata.lock"
ELSEWHERE = {errno.EWOULDBLOCK, errno.EACCES}


@contextlib.contextmanager
def only_writer(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the folder's lock; made if it is not there. Raises `UsageError` when `wait` seconds later it is still held.

    On file systems without locks (some cluster ones) nothing is held.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # the lock file stays: a lock that is deleted is held by two
        file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}. Choose another folder.") from None
    try:
        _take(file, folder, wait)
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)


def _take(file: int, folder: Path, wait: float) -> None:
    until = time.monotonic() + wait
    while fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in ELSEWHERE:
                return
        if time.monotonic() >= until:
            holder = os.pread(file, 32, 0).decode(errors="replace").strip() or "?"
            raise UsageError(f"another process ({holder}) is writing to {folder}: wait until it has ended.")
        time.sleep(0.05)
