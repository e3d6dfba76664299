"""An invisible watermark: five bytes in the pixels, which survive JPEG, cropping and resizing.

Spread spectrum (Cox et al. 1997, "Secure Spread Spectrum Watermarking for Multimedia") in a tile that repeats over the
picture, so that it is found again after a crop (Kutter 1998, "Watermarking resistant to translation, rotation and
scaling"; Voloshynovskiy et al. 2001, "Multibit digital watermarking robust against local nonlinear geometrical
distortions"). There is no secret: anybody may read the mark, and somebody who wants to can wash it out.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log2
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import UsageError
from . import watermark_bits as bits
from .watermark_tile import FINER, TILE, Complexes, Reals, detail, gains, layout, spectrum

if TYPE_CHECKING:
    from PIL import Image

SIZE = bits.SIZE
SMALLEST = 64  # pixels of the shorter side that is marked
PSNR = 42.0  # dB between a picture of 2x2 tiles or less and its marked self: 2 levels of 255
FAINTER = 3.0  # dB more for four times the tiles, because together they say as much,
FAINTEST = 48.0  # up to so many: JPEG must leave something of each
SHADE = 0.4  # the mark is stronger where the picture is busy: contrast to this power
LIMITS = (0.2, 3.0)  # of the amplitude of a coded bit
COARSE = ((384, 1), (1536, 2))  # pixels of the shorter side below which a tile's pixel is so many pixels; else 4
LARGEST = 12  # tiles of the middle of a picture that are read
SEEN = 5.0  # deviations of the sync from which on a message is tried
TRIED = 4  # places at which the tile may begin
SCALES = tuple(float(s) for s in np.geomspace(0.5, 4.0, 106))  # each 2 % over the one before


@dataclass(frozen=True)
class Found:
    """A watermark in a picture.

    confidence: share of the coded bits that were read as the message has them; 0.5 is chance. x, y: where the first
    whole tile begins, in pixels, counted in the mirrored picture if it is mirrored. scale: pixels of this picture to
    one of the tile. mirrored: left and right were exchanged.
    """

    payload: bytes
    confidence: float
    x: float
    y: float
    scale: float = 1.0
    mirrored: bool = False


class _View(NamedTuple):
    """A guess at how a picture lies under the tile, and what it says then."""

    sync: float
    left: int
    top: int
    scale: float
    mirrored: bool
    spectrum: Complexes
    begins: Reals


def embed(image: Image.Image, payload: bytes) -> Image.Image:
    """The picture with `SIZE` bytes in its brightness, at `PSNR` or more from what it was. The same in, the same out.

    Keeps RGB, RGBA and L; any other mode becomes RGB. Raises `UsageError` for another length of payload or a picture
    whose shorter side is under `SMALLEST` pixels.
    """
    from PIL import Image

    if len(payload) != SIZE:
        raise UsageError(f"a watermark holds {SIZE} bytes, not {len(payload)}")
    if min(image.size) < SMALLEST:
        raise UsageError(f"a picture of {image.width}x{image.height} is too small for a watermark: {SMALLEST} at least")
    if image.mode not in ("RGB", "RGBA", "L"):
        image = image.convert("RGB")
    coarse = next((step for below, step in COARSE if min(image.size) < below), 4)
    mark = _mark(_luma(image, coarse), payload)
    if coarse > 1:
        large = Image.fromarray(mark).resize((mark.shape[1] * coarse, mark.shape[0] * coarse), Image.Resampling.BICUBIC)
        mark = np.asarray(large)[: image.height, : image.width]
    mark = mark * _strength(mark, min(image.size) / coarse / TILE)
    pixels = np.array(image)
    coloured = pixels[..., :3] if pixels.ndim == 3 else pixels[..., None]  # alpha is left alone
    coloured[:] = np.clip(np.rint(coloured + mark[..., None]), 0, 255)
    return Image.fromarray(pixels)


def erase(image: Image.Image) -> Image.Image:
    """The picture about as it was before `embed`; the same picture if it has no mark, or was cropped or resized since.

    For a part that is kept in another picture, which gets a mark of its own: two on each other can be seen.
    """
    from PIL import Image

    found = detect(image, search=False)
    if found is None or (found.x, found.y) != (0, 0):
        return image
    twice = embed(image, found.payload)  # what is added depends so little on a mark that is there already
    pixels = np.asarray(image.convert(twice.mode), np.int16)
    return Image.fromarray(np.clip(2 * pixels - np.asarray(twice), 0, 255).astype(np.uint8))


def detect(image: Image.Image, search: bool = True) -> Found | None:
    """The watermark of a picture, or None. With `search` also in a resized or mirrored one, which takes longer.

    A picture without one is taken for marked once in a million or less: the sync must stand out by `SEEN` deviations,
    and version and check sum (20 bits) must fit at one of `TRIED` places in some of 110 views.
    """
    luma = _luma(image)
    if min(luma.shape) < TILE // 2:
        return None
    for view in _views(luma, search):
        if view.sync >= SEEN and (found := _read(view)):
            return found
    return None


def _mark(luma: Reals, payload: bytes) -> Reals:
    """What is added to the brightness. (H, W)"""
    parts = layout()
    shade = detail(luma)[1] ** SHADE
    signs = bits.encode(payload)
    places = np.bincount(parts.bit, minlength=bits.CODED)
    said = parts.message(spectrum(luma)) * signs
    even = _laid(parts.pattern(signs), shade)
    moved = parts.message(spectrum(np.clip(luma + even, 0, 255))) * signs - said
    each = max(float(moved.sum() / places.sum()), 1e-6)  # what an amplitude does in this picture, all told
    amplitudes = gains(said, each * places, places, float(places.sum()), LIMITS)
    return _laid(parts.pattern(signs * amplitudes), shade)


def _laid(tile: Reals, shade: Reals) -> Reals:
    height, width = shade.shape
    mark = np.tile(tile, (ceil(height / TILE), ceil(width / TILE)))[:height, :width] * shade
    return (mark * _strength(mark, min(shade.shape) / TILE)).astype(np.float32)


def _strength(mark: Reals, tiles: float) -> float:
    """What a mark is multiplied by in a picture whose shorter side holds so many tiles."""
    wanted = min(PSNR + FAINTER * max(0.0, log2(tiles / 2)), FAINTEST)
    return 255 / 10 ** (wanted / 20) / max(float(np.sqrt(np.mean(mark**2))), 1e-12)


def _luma(image: Image.Image, coarse: int = 1) -> Reals:
    """Brightness, 0 to 255, as means of squares of `coarse` pixels. (H, W)"""
    values = np.asarray(image.convert("RGB").convert("L"), np.float32)
    if coarse == 1:
        return values
    values = np.pad(values, [(0, -n % coarse) for n in values.shape], mode="edge")
    return values.reshape(values.shape[0] // coarse, coarse, -1, coarse).mean((1, 3))


def _views(luma: Reals, search: bool) -> Iterator[_View]:
    """The picture as it may have been marked, the likely first."""
    native = [1.0, *(float(step) for _, step in COARSE[1:]), 4.0]
    sides = (False, True) if search else (False,)
    for mirrored in sides:
        for scale in native:
            if min(luma.shape) >= SMALLEST * scale or scale == 1:
                yield _view(luma, scale, mirrored)
    if not search:
        return
    # a scale that is off by a per cent shows in the middle of the picture only, so that is looked at first
    fits = [s for s in SCALES if min(luma.shape) >= SMALLEST * s * 0.7]
    rough = heapq.nlargest(3, (_view(luma, scale, False, 2.5) for scale in fits), key=lambda view: view.sync)
    for view in rough:
        near = (_view(luma, view.scale * off, False, 6) for off in np.linspace(0.985, 1.015, 13))
        yield from heapq.nlargest(2, near, key=lambda view: view.sync)


def _view(luma: Reals, scale: float, mirrored: bool, tiles: float = LARGEST) -> _View:
    """The middle of the picture, at most so many tiles of it, brought to the tile's own size."""
    from PIL import Image

    height, width = (min(int(n / scale), int(tiles * TILE)) for n in luma.shape)
    top, left = (int((n - scale * m) / 2) for n, m in zip(luma.shape, (height, width), strict=True))
    part = luma[:, ::-1] if mirrored else luma
    part = part[top : top + ceil(scale * height), left : left + ceil(scale * width)]
    if scale != 1:
        box = (0, 0, scale * width, scale * height)
        part = np.asarray(Image.fromarray(part).resize((width, height), Image.Resampling.BICUBIC, box))
    found = spectrum(part)
    begins = layout().begins(found)
    return _View(float(begins.max()), left, top, scale, mirrored, found, begins)


def _read(view: _View) -> Found | None:
    parts = layout()
    for place in np.argsort(view.begins, axis=None)[::-1][:TRIED]:
        y, x = (float(n) / FINER for n in np.unravel_index(int(place), view.begins.shape))
        soft = parts.message(parts.shifted(view.spectrum, x, y))
        if payload := bits.decode(soft):
            right = float((np.sign(soft) == bits.encode(payload)).mean())
            tile = TILE * view.scale
            first = (view.left + x * view.scale) % tile, (view.top + y * view.scale) % tile
            return Found(payload, right, *first, view.scale, view.mirrored)
    return None
