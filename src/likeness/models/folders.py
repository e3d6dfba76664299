"""Folders that are either whole or not there: made under a temporary name beside the target, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import UsageError
from ..files import DISK


@contextlib.contextmanager
def whole_folder(target: Path, mark: str, overwrite: bool = False) -> Iterator[Path]:
    """Yield a new folder that becomes `target` on a clean exit and goes away on an error.

    Raises `UsageError` when the target is there and not empty; with `overwrite`, when it holds no `mark` (a file's or
    folder's name), because then it is something else than what is being replaced. Also when the disk is full.
    """
    target = Path(os.path.abspath(target))
    taken = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    if taken and not overwrite:
        raise UsageError(f"{target} is there already: choose another folder, or add --overwrite")
    if taken and not (target / mark).exists():
        raise UsageError(f"{target} holds no {mark}, so it will not be replaced: choose another folder")
    temporary = target.parent / f".{target.name[:64]}.{secrets.token_hex(4)}"
    old = temporary.with_suffix(".old")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if taken:
            os.replace(target, old)
        os.replace(temporary, target)
    except OSError as error:
        if error.errno in DISK or error.filename in {str(temporary), str(target.parent)}:
            raise UsageError(f"cannot write {target}: {error.strerror}. Choose another folder.") from None
        raise
    finally:
        if old.exists() and not target.exists():
            os.replace(old, target)
        for left in (temporary, old):
            shutil.rmtree(left, ignore_errors=True)
