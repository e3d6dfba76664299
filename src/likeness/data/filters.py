"""What keeps a face out of a data set: too small, blurred, dark, not alone, or here already.

Checks are pure functions from a picture to a number; `reject` holds the numbers against a `FilterConfig`. Its defaults
throw out what nobody would keep; they were set by looking at sorted contact sheets of FairFace and of studio portraits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from .compact import Names

if TYPE_CHECKING:
    from PIL import Image

Array = np.ndarray[Any, Any]

REASONS = {
    "no face": "no face was found",
    "several faces": "more than one face of about the same size",
    "unsure": "the detector's confidence is under `confidence`",
    "too small": "the crop has fewer pixels in the source than `min_size`",
    "off the edge": "more than `outside` of the crop would lie outside the picture",
    "blurred": "the variance of the Laplacian is under `blur`",
    "dark": "even the bright parts are under `dark`",
    "bright": "the median brightness is over `bright`",
    "no colour": "a grey picture, and `color` asks for colour",
    "duplicate": "a near-duplicate of a picture that is in the set, or in another one",
}
LOOK = 256  # the checks look at a copy of at most so many pixels a side, so that a number means the same at every size


@dataclass(frozen=True)
class FilterConfig:
    """0 switches a check off (for `bright`: 255, for `outside`: 1, for `duplicates`: -1).

    min_size: pixels of the crop's side in its source; confidence: of the detector; one_face: no second face in the
    picture; rival: a face of less than this part of the largest one's area is a passer-by and does not count;
    outside: the largest part of the crop that may be mirrored; blur: variance of the Laplacian of the middle, at up to
    256 px; dark: 95th percentile of brightness, 0 to 255 (not the mean: dark skin in good light has bright parts too);
    bright: median brightness; color: no grey pictures; duplicates: bits of 256 in which near-duplicates may differ.
    """

    min_size: int = 128
    confidence: float = 0.0
    one_face: bool = False
    rival: float = 0.1
    outside: float = 0.2
    blur: float = 6.0
    dark: float = 60.0
    bright: float = 225.0
    color: bool = False
    duplicates: int = 44

    def __post_init__(self) -> None:
        for name, most in (("confidence", 1), ("rival", 1), ("outside", 1), ("dark", 255), ("bright", 255)):
            if not 0 <= getattr(self, name) <= most:
                raise UsageError(f"filter {name} is {getattr(self, name)}, not within 0 to {most}")
        if self.min_size < 0 or self.blur < 0 or not -1 <= self.duplicates <= 128:
            raise UsageError("filters: min_size and blur cannot be negative, duplicates is within -1 to 128")


@dataclass(frozen=True)
class FaceInfo:
    """What is known of a face from before it was cut: how many such faces the picture has (see `rival`), the detector's
    confidence, the crop's side in source pixels, and the part of it that lies outside the picture."""

    faces: int = 1
    confidence: float = 1.0
    side: float = float("inf")
    outside: float = 0.0


def reject(image: Image.Image, info: FaceInfo | None = None, config: FilterConfig | None = None) -> str | None:
    """Why a cropped face should not be kept (a key of `REASONS`, without "duplicate": see `Duplicates`), or None."""
    config, info = config or FilterConfig(), info or FaceInfo(side=min(image.size))
    if why := _misplaced(info, config):
        return why
    gray = brightness(image) if config.dark or config.bright < 255 or config.blur else np.zeros((1, 1), np.float32)
    if config.dark and float(np.percentile(gray, 95)) < config.dark:
        return "dark"
    if float(np.median(gray)) > config.bright:
        return "bright"
    if config.blur and sharpness(gray) < config.blur:
        return "blurred"
    return "no colour" if config.color and colour(image) < 4 else None


def _misplaced(info: FaceInfo, config: FilterConfig) -> str | None:
    if info.faces < 1:
        return "no face"
    if config.one_face and info.faces > 1:
        return "several faces"
    if info.confidence < config.confidence:
        return "unsure"
    if info.side < config.min_size:
        return "too small"
    return "off the edge" if info.outside > config.outside else None


def brightness(image: Image.Image) -> Array:
    """Luma, 0 to 255, of a copy of at most `LOOK` pixels a side. -> (h, w)"""
    width, height = image.size
    part = min(1.0, LOOK / max(width, height))
    return _gray(image, max(1, round(width * part)), max(1, round(height * part)))


def sharpness(gray: Array) -> float:
    """Variance of the Laplacian of the middle (Pech-Pacheco et al. 2000): 2 to 8 when out of focus, over 200 in studio.

    gray: (h, w) of `brightness`; a background out of focus is no fault, so a fifth is left out on each side.
    """
    height, width = gray.shape
    gray = gray[height // 5 : height - height // 5, width // 5 : width - width // 5]
    if min(gray.shape) < 3:
        return 0.0
    inner = gray[1:-1, 1:-1]
    return float((gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:] - 4 * inner).var())


def colour(image: Image.Image) -> float:
    """Mean distance between the strongest and the weakest channel, 0 (grey) to 255."""
    small = np.asarray(image.convert("RGB").resize((64, 64), reducing_gap=2.0), np.float32)
    return float((small.max(2) - small.min(2)).mean())


def _gray(image: Image.Image, width: int, height: int) -> Array:
    from PIL import Image

    plain = image.convert("L") if max(image.size) < 1024 else image.convert("RGB")
    small = plain.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(small.convert("L"), np.float32)


# A hash of 64 bits says too little about faces that all sit in the same place: of 90 million pairs of aligned faces,
# hundreds of strangers are within 8 bits. Within 44 of 256 bits there were 35 pairs; those of them that were looked at
# are the same picture in other colours or cut elsewhere, or one face a moment later. Copies that are re-encoded,
# resized or brightened are within 20, copies turned by a degree within 40. A neutral and a smiling studio portrait of
# one person are 24 to 62 apart, which no radius can tell from those.
@lru_cache(maxsize=1)
def _waves() -> Array:
    """The cosines of a DCT-II of 32 points. -> (16 lowest frequencies, 32)"""
    k, n = np.arange(16)[:, None], np.arange(32)[None]
    waves: Array = np.cos(np.pi * (2 * n + 1) * k / 64).astype(np.float32)
    return waves


def phash(image: Image.Image) -> int:
    """A perceptual hash of 256 bits: which of the slowest 16x16 waves of a picture are stronger than the middle one.

    Its first 64 bits are the slowest 8x8, the usual 64-bit hash (Zauner 2010). Write it as `f"{value:064x}"`.
    """
    table = _waves() @ _gray(image, 32, 32) @ _waves().T  # (32, 32) -> (16, 16)
    slow = np.append(table[:8, :8].reshape(-1)[1:], table[8, 0])  # the mean of the picture says nothing
    rest = np.concatenate([table[:8, 8:].reshape(-1), table[8:].reshape(-1)])
    bits = np.concatenate([slow > np.median(slow), rest > np.median(rest)])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def distance(one: int, two: int) -> int:
    """The bits in which two hashes differ."""
    return (one ^ two).bit_count()


@dataclass(frozen=True)
class Match:
    """A near-duplicate: the key of the picture that was there first, and the bits in which they differ."""

    key: str
    distance: int


class Duplicates:
    """Hashes that were seen, and whether another is within `radius` bits of one of them.

    Of the radius, no more than a quarter may fall on the slowest 64 bits: that part is looked at first, for all hashes
    at once, so a look takes 0.4 ms among 300,000. Between sets: add all of one, then ask with the other's.
    Not for use by several threads at once.
    """

    def __init__(self, radius: int = 44) -> None:
        self.radius = radius
        self.keys = Names()
        self._slow = np.zeros(1024, np.uint64)
        self._rest = np.zeros((1024, 3), np.uint64)
        self._scratch = np.empty(1024, np.uint64)  # a fresh array for each look would cost more than the look

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, key: str, value: int) -> None:
        """Remember a hash."""
        count = len(self.keys)
        if count == len(self._slow):
            self._slow = np.concatenate([self._slow, np.zeros_like(self._slow)])
            self._rest = np.concatenate([self._rest, np.zeros_like(self._rest)])
            self._scratch = np.empty(len(self._slow), np.uint64)
        words = _words(value)
        self._slow[count], self._rest[count] = words[0], words[1:]
        self.keys.append(key)

    def find(self, value: int) -> Match | None:
        """The nearest hash within the radius, of equally near ones the first."""
        rows, bits = self._near(_words(value), 0)
        if not len(rows):
            return None
        best = int(bits.argmin())
        return Match(self.keys[rows[best]], int(bits[best]))

    def check(self, key: str, value: int) -> Match | None:
        """`find`, and `add` when nothing was found: the first of several copies stays."""
        match = self.find(value)
        if match is None:
            self.add(key, value)
        return match

    def groups(self, values: Iterable[int]) -> list[list[int]]:
        """Positions of near-duplicates among `values`, chains joined, each group and the list of them in order.

        Only groups of two and more. What was added before does not take part. Seconds for 100,000.
        """
        among = Duplicates(self.radius)
        for position, value in enumerate(values):
            among.add(str(position), value)
        root = list(range(len(among)))

        def find(i: int) -> int:
            while root[i] != i:
                root[i] = root[root[i]]
                i = root[i]
            return i

        for i in range(len(among)):
            rows, _ = among._near((among._slow[i], *among._rest[i]), i + 1)
            for j in rows.tolist():
                one, two = sorted((find(i), find(j)))
                root[two] = one
        members: dict[int, list[int]] = {}
        for i in range(len(among)):
            members.setdefault(find(i), []).append(i)
        return [group for group in members.values() if len(group) > 1]

    def _near(self, words: Sequence[Any], start: int) -> tuple[Array, Array]:
        """Rows from `start` on that are within the radius, and their distances."""
        count = len(self.keys) - start
        slow = np.bitwise_count(np.bitwise_xor(self._slow[start : start + count], words[0], out=self._scratch[:count]))
        rows = np.flatnonzero(slow <= self.radius // 4)
        rest = np.bitwise_count(self._rest[rows + start] ^ np.array(words[1:], np.uint64)).sum(1)
        bits = slow[rows] + rest.astype(np.int64)
        close = bits <= self.radius
        return rows[close] + start, bits[close]


def _words(value: int) -> tuple[np.uint64, ...]:
    if not 0 <= value < 1 << 256:
        raise UsageError(f"{value:#x} is not a hash of 256 bits")
    return tuple(np.uint64(value >> shift & (1 << 64) - 1) for shift in (192, 128, 64, 0))
