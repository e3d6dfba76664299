"""Pictures as files under the SHA-256 of their bytes: in a folder, or at any URL that fsspec knows.

A picture appears under its name only when it is whole, and what is read is checked against its name. A name from
outside never becomes a path unless it is 64 hexadecimal digits.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ...errors import MissingExtra, UsageError
from ...files import atomic_path
from .database import StoreError

DIGEST = re.compile(r"[0-9a-f]{64}")
LEFTOVER = re.compile(r"\.[0-9a-f]{64}\.[0-9a-f]{8}\.png")  # what `atomic_path` and `_put` write before the renaming

log = logging.getLogger(__name__)


class Pictures:
    """`where`: a folder, or a URL such as s3://bucket/faces. Raises `UsageError`, or `MissingExtra` for its package."""

    def __init__(self, where: str | Path) -> None:
        self.where = str(where)
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.where, use_listings_cache=False)  # others write too
        except ImportError as error:
            raise MissingExtra(f"pictures at {self.where} need another package: {error}") from None
        except ValueError as error:
            raise UsageError(f"pictures cannot be kept at {self.where}: {error}") from None
        self._local = isinstance(self._files, LocalFileSystem)
        try:
            if self._local:
                Path(self._root).mkdir(parents=True, exist_ok=True, mode=0o700)
            else:
                self._files.makedirs(self._root, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder {self.where}: {error}. Choose another place.") from None

    def write(self, digest: str, data: bytes) -> None:
        """Make sure that the whole picture is there; nothing is written when it is."""
        if self.read(digest) == data:
            return
        with self._working():
            try:
                self._put_locally(Path(self._path(digest)), data) if self._local else self._put(digest, data)
            except UsageError as error:  # a full disk is no mistake of the one who asks for a picture
                raise StoreError(str(error)) from None

    def read(self, digest: str) -> bytes | None:
        """The bytes, or None: no such picture, a damaged one, or no name of a picture at all."""
        if not DIGEST.fullmatch(digest):
            return None
        with self._working():
            try:
                data: bytes = self._files.cat_file(self._path(digest))
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None
        if hashlib.sha256(data).hexdigest() != digest:
            log.error("picture %s is damaged", digest)
            return None
        return data

    def exists(self, digest: str) -> bool:
        with self._working():
            return bool(self._files.exists(self._path(digest)))

    def remove(self, digest: str) -> None:
        with self._working(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(digest))

    def remove_leftovers(self, older_than: float) -> int:
        """Remove what a killed writer left unfinished, when it is so many seconds old; how many there were."""
        if not self._local:
            return 0  # object stores show nothing unfinished, and listing one is dear
        found = 0
        with self._working():
            for path in Path(self._root).glob("[0-9a-f][0-9a-f]/.*.png"):
                with contextlib.suppress(FileNotFoundError):  # another server sweeps too
                    if LEFTOVER.fullmatch(path.name) and time.time() - path.stat().st_mtime > older_than:
                        path.unlink()
                        found += 1
        return found

    def writable(self) -> bool:
        with self._working():
            return os.access(self._root, os.W_OK) if self._local else bool(self._files.exists(self._root))

    def _path(self, digest: str) -> str:
        if not DIGEST.fullmatch(digest):
            raise UsageError(f"no name of a picture: {digest[:80]!r}")
        return f"{self._root}/{digest[:2]}/{digest}.png"

    def _put_locally(self, path: Path, data: bytes) -> None:
        new = not path.parent.exists()
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        for folder in (path.parent, path.parent.parent)[: 1 + new]:  # the name must outlive a power cut too
            _sync_folder(folder)

    def _put(self, digest: str, data: bytes) -> None:
        path = self._path(digest)
        temporary = f"{path.rpartition('/')[0]}/.{digest}.{secrets.token_hex(4)}.png"
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(temporary, data)
        self._files.mv(temporary, path)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"the pictures at {self.where} cannot be used: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # folders cannot be opened there
    handle: Any = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
