"""One file over HTTP: resumed where it broke off, verified, and never under its own name before it is whole.

What has come lies in `.<name>.part`, what is known of it in `.<name>.part.json`. A server whose file has changed since,
or that cannot resume, makes it start anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from ..errors import Unreachable, UsageError
from ..files import write_text

CHUNK = 1 << 18
RETRIED = {408, 425, 429, 500, 502, 503, 504}
DROPPED = (http.client.HTTPException, urllib.error.URLError, ConnectionError, TimeoutError)
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Expected:
    """What is known of the whole file; `None` where nobody publishes it."""

    size: int | None = None
    md5: str | None = None
    sha256: str | None = None

    def trouble(self, path: Path) -> str | None:
        """Why the file is not the expected one, or None."""
        if self.size is not None and path.stat().st_size != self.size:
            return f"{path.stat().st_size} bytes, expected {self.size}"
        for name in ("md5", "sha256"):
            wanted = getattr(self, name)
            if wanted and (found := digest(path, name)) != wanted.lower():
                return f"its {name} is {found}, expected {wanted}"
        return None


ANYTHING = Expected()


def digest(path: Path, name: str = "sha256") -> str:
    """Hexadecimal checksum of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(name, usedforsecurity=False)).hexdigest()


def fetch(
    url: str,
    target: str | Path,
    expected: Expected = ANYTHING,
    *,
    attempts: int = 8,
    pause: float = 1.0,
    timeout: float = 60.0,
    progress: Tell | None = None,
) -> Path:
    """Download to `target`, unless it is there and as expected; `progress(bytes, total)`, total 0 if unknown.

    `attempts` in a row without a new byte end it with `Unreachable`; the next call goes on where this one stopped.
    Raises `UsageError` for what will not mend itself: not http(s), 403, 404, a web page instead of a file, another
    checksum, no room.
    """
    target = Path(target)
    if urlsplit(url).scheme not in {"http", "https"}:
        raise UsageError(f"{url}: only http and https addresses are downloaded")
    if target.is_file() and (why := expected.trouble(target)) is None:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        with open(part, "ab+") as file, _alone(file, target):
            _Download(url, part, file, expected, progress).run(attempts, pause, timeout)
            file.flush()
            os.fsync(file.fileno())
            if why := expected.trouble(part):
                _forget(part)
                raise UsageError(f"{url}: {why}. It was thrown away: run again, or check the address.")
            os.replace(part, target)
        _note(part).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}") from None
    return target


class _Download:
    """One file on its way."""

    def __init__(self, url: str, part: Path, file: IO[bytes], expected: Expected, progress: Tell | None) -> None:
        self.url, self.part, self.file, self.expected = url, part, file, expected
        self.tell = progress or (lambda done, total: None)
        self.total, self.mark = self._remembered()
        if self.total < 0:
            self._restart()

    def _remembered(self) -> tuple[int, str]:
        """Length (-1: not of this download) and version of the file that the part belongs to."""
        try:
            known = json.loads(_note(self.part).read_text(encoding="utf-8"))
            return (int(known["total"]), str(known["mark"])) if known["url"] == self.url else (-1, "")
        except (OSError, ValueError, KeyError, TypeError):
            return -1, ""

    def _restart(self) -> None:
        self.file.truncate(0)
        self.total, self.mark = 0, ""

    def _have(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def run(self, attempts: int, pause: float, timeout: float) -> None:
        best, tries = self._have(), 0
        while True:
            wait, reason = 0.0, ""
            try:
                if self._once(timeout):
                    return
                reason = "the connection broke off"
            except urllib.error.HTTPError as error:
                error.close()
                if error.code == 416 and self._have():
                    self._restart()  # the file is shorter than what we have: another one
                elif error.code not in RETRIED:
                    raise UsageError(f"{self.url}: the server answers {error.code} {error.reason}") from None
                wait, reason = _wait(error.headers), f"the server answers {error.code}"
            except DROPPED as error:
                reason = str(getattr(error, "reason", "") or error) or type(error).__name__
            have = self._have()
            tries, best = (1, have) if have > best else (tries + 1, best)
            if tries >= attempts:
                raise Unreachable(f"{self.url}: {reason}; {have} bytes are kept. Run it again to go on.")
            time.sleep(max(wait, min(pause * 2 ** (tries - 1), 60.0)))

    def _once(self, timeout: float) -> bool:
        """One request; whether the file is whole now."""
        start = self._have()
        if start and start == self.total:
            return True
        headers = {"User-Agent": "likeness", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if self.mark:
                headers["If-Range"] = self.mark
        with urllib.request.urlopen(urllib.request.Request(self.url, headers=headers), timeout=timeout) as answer:
            start = self._begin(answer, start)
            room = shutil.disk_usage(self.part.parent).free
            if self.total - start > room:
                raise UsageError(
                    f"{self.url}: {self.total - start} bytes to come, but {room} bytes of room in {self.part.parent}"
                )
            done = start
            while chunk := answer.read(CHUNK):
                done += len(chunk)
                if self.total and done > self.total:
                    self._restart()
                    raise UsageError(f"{self.url}: the server sends more than it announced")
                self.file.write(chunk)
                self.tell(done, self.total)
            self.file.flush()
            # chunked answers end with a mark of their own: a cut one has raised
            return done == self.total if self.total else True

    def _begin(self, answer: Any, start: int) -> int:
        """Look at the headers; from where the body goes on."""
        if answer.headers.get_content_type() == "text/html" and self.part.suffixes[-2:-1] not in ([".html"], [".htm"]):
            raise UsageError(f"{self.url}: a web page came instead of the file (an agreement, a quota or a log-in?)")
        span = re.match(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if answer.status == 206 and span and int(span[1]) == start and self.total in {0, int(span[2])}:
            self.total = int(span[2])
            return start
        if answer.status == 206:
            self._restart()
            raise ConnectionError("the server sent another part than asked for")
        self._restart()
        self.total = int(answer.headers.get("Content-Length") or self.expected.size or 0)
        if not self.total and not getattr(answer, "chunked", False) and not (self.expected.md5 or self.expected.sha256):
            raise UsageError(
                f"{self.url}: the server tells no length, so that a cut would not be seen; give a checksum"
            )
        if self.expected.size is not None and self.total and self.total != self.expected.size:
            raise UsageError(f"{self.url}: {self.total} bytes are offered, expected {self.expected.size}")
        tag = answer.headers.get("ETag") or ""
        self.mark = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified") or ""
        write_text(_note(self.part), json.dumps({"url": self.url, "total": self.total, "mark": self.mark}))
        return 0


def _wait(headers: Any) -> float:
    after = headers.get("Retry-After", "") if headers else ""
    return min(float(after), 300.0) if after.isdecimal() else 0.0


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(file: IO[bytes], target: Path) -> Iterator[None]:
    """Keep a second process off the same part."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"{target} is being downloaded by another process") from None
    yield  # closing the file lets go
