"""Files that are either whole or not there: write to a temporary name beside the target, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import UsageError

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


def state_folder() -> Path:
    """Where history, pictures and certificates stay: `LIKENESS_HOME`, or ~/.local/share/likeness."""
    return Path(os.environ.get("LIKENESS_HOME") or "~/.local/share/likeness").expanduser()


def cache_folder() -> Path:
    """Where things lie that can be made again: `LIKENESS_CACHE`, or likeness/ in the user's cache folder."""
    if named := os.environ.get("LIKENESS_CACHE"):
        return Path(named).expanduser()
    return user_cache() / "likeness"


def user_cache() -> Path:
    """The folder that programs share for their caches: `XDG_CACHE_HOME`, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@contextlib.contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder; on a clean exit it becomes `target`, on an error it goes away.

    Raises `UsageError` when the folder cannot be made or written, when `target` is a folder, or when the disk is full.
    """
    target = Path(target)
    # not mkstemp: its files are private (0600), and only the kernel can apply the umask without a race between threads
    temporary = target.parent / f".{target.stem[:64]}.{secrets.token_hex(4)}{target.suffix}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        mode = temporary.stat().st_mode
    except OSError as error:
        raise _unwritable(target, error) from None
    try:
        yield temporary
        temporary.chmod(mode)  # safetensors puts a private file of its own in this place
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if error.errno in DISK or error.filename == str(temporary):
            raise _unwritable(target, error) from None
        raise  # the block's own trouble with another file
    finally:
        temporary.unlink(missing_ok=True)


def _unwritable(target: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot write {target}: {error.strerror or error}. Choose another output path.")


def write_text(target: str | Path, text: str) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: str | Path, value: Any) -> None:
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """All rows of a JSON-lines file; a torn last line (a writer was killed) is dropped, any other bad line raises.

    Only a last line without its newline counts as torn. Raises `UsageError` too when the file cannot be read.
    """
    try:
        # bytes, because a line may be torn inside a character, and str.splitlines would split at U+2028 within a text
        lines = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.") from None
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            if number == len(lines):
                break
            raise UsageError(f"{path}, line {number}: not valid JSON. Mend or delete that line.") from None
        if not isinstance(row, dict):
            raise UsageError(f"{path}, line {number}: not a JSON object. Mend or delete that line.")
        rows.append(row)
    return rows
