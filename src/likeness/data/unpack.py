"""A zip or tar of somebody else -> files in one folder: no member leaves it, links and devices are left out, bombs are
refused.

Unpacking again goes on where it stopped: a file of the right size is there already.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from ..errors import UsageError
from .paths import inside
from .sources.base import Problems

COPY = 1 << 20
RATIO = 200  # a picture hardly shrinks; text by 10, a bomb by 1000 and more
SMALL = 100 << 20  # bytes up to which nobody minds


def unpack(
    archive: str | Path,
    folder: str | Path,
    problems: Problems | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Unpack into `folder`; how many files are there. Members that were left out go to `problems`.

    Raises `UsageError` for what is no whole archive, for one that unpacks to far more than its size, and without room.
    """
    archive, folder = Path(archive), Path(folder)
    problems = problems if problems is not None else Problems()
    tell = progress or (lambda done, total: None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                return _write(list(_zipped(opened, problems)), archive, folder, problems, tell)
        with tarfile.open(archive) as tar:
            return _write(list(_tarred(tar, problems)), archive, folder, problems, tell)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise UsageError(f"{archive} is no whole archive ({error}): download it again") from None
    except RuntimeError as error:  # zipfile's word for an encrypted member
        raise UsageError(f"{archive}: {error}") from None
    except OSError as error:
        raise UsageError(f"cannot unpack {archive} into {folder}: {error.strerror or error}") from None


Member = tuple[str, int, Callable[[], "IO[bytes] | None"]]


def _zipped(opened: zipfile.ZipFile, problems: Problems) -> Iterator[Member]:
    for info in opened.infolist():
        kind = info.external_attr >> 28  # the file type of a Unix zip: 0 none, 8 regular
        if info.is_dir():
            continue
        if kind not in {0, 8}:
            problems.add(info.filename[:200], "not a regular file: left out")
        else:
            yield info.filename, info.file_size, lambda info=info: opened.open(info)  # type: ignore[misc]


def _tarred(tar: tarfile.TarFile, problems: Problems) -> Iterator[Member]:
    for info in tar:
        if info.isdir():
            continue
        if not info.isreg():
            problems.add(info.name[:200], "not a regular file: left out")
        else:
            yield info.name, info.size, lambda info=info: tar.extractfile(info)  # type: ignore[misc]


def _write(members: list[Member], archive: Path, folder: Path, problems: Problems, tell: Any) -> int:
    total, packed = sum(size for _, size, _ in members), archive.stat().st_size
    if total > SMALL and total > RATIO * packed:
        raise UsageError(f"{archive} holds {packed} bytes and wants to become {total}: not unpacked")
    if total > (room := shutil.disk_usage(folder).free):
        raise UsageError(f"{archive} needs {total} bytes, but there are {room} in {folder}")
    count = 0
    for number, (name, size, open_member) in enumerate(members, 1):
        try:
            target = inside(folder, name)
        except UsageError as error:
            problems.add(name[:200], error)
            continue
        if not target.is_file() or target.stat().st_size != size:
            source = open_member()
            if source is None or target.is_dir():
                problems.add(name[:200], "cannot be written")
                continue
            _copy(source, target, size)
        count += 1
        tell(number, len(members))
    return count


def _copy(source: IO[bytes], target: Path, size: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # no fsync, which would cost hours over 100,000 pictures: a file of the wrong size is written again
    temporary = target.with_name(f".{target.name[:64]}.{secrets.token_hex(4)}")
    try:
        with source, open(temporary, "xb") as file:
            left = size
            while chunk := source.read(min(COPY, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise tarfile.TarError(f"{target.name} is longer than it says")
                file.write(chunk)
            if left:
                raise EOFError(f"{target.name} ends early")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
