"""Pictures that come in with a request: base64 in, a clean PNG in a private folder out, for as long as it is drawn."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import tempfile
import threading
from collections import Counter
from pathlib import Path

from ..errors import BadImage
from .problems import Problem

FORMATS = ("PNG", "JPEG", "MPO", "WEBP")


class Uploads:
    """Files named by the hash of their pixels. Nothing of a request but its pixels reaches the disk."""

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels
        self._folder = tempfile.TemporaryDirectory(prefix="likeness-uploads-")
        self._held: Counter[Path] = Counter()
        self._lock = threading.Lock()

    def keep(self, data: bytes, param: str) -> Path:
        """Write a picture's pixels, upright and without its metadata; hand it back with `release`. Raises 400."""
        from ..data.decode import Limits, inspect_bytes

        try:
            picture = inspect_bytes(data, Limits(pixels=self.pixels))
            if picture.format not in FORMATS:
                raise Problem(400, "invalid_image", f"{param}: send PNG, JPEG or WebP, not {picture.format}", param)
            drawn = picture.draw()
        except BadImage as error:
            raise Problem(400, "invalid_image", f"{param}: {error}", param) from None
        written = io.BytesIO()
        drawn.save(written, "PNG")
        whole = written.getvalue()
        path = Path(self._folder.name) / f"{hashlib.sha256(whole).hexdigest()}.png"
        with self._lock:
            if not self._held[path]:
                path.write_bytes(whole)
            self._held[path] += 1
        return path

    def release(self, *paths: Path) -> None:
        with self._lock:
            for path in paths:
                self._held[path] -= 1
                if self._held[path] <= 0:
                    del self._held[path]
                    path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._held)

    def close(self) -> None:
        self._folder.cleanup()


def decoded(text: str, param: str) -> bytes:
    """Base64, perhaps as a data: URL -> bytes. Raises 400."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Problem(400, "invalid_image", f"{param}: neither base64 nor the id of a history entry", param) from None
