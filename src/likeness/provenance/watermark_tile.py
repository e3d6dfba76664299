"""The watermark's pattern: a small periodic tile in the frequency domain, and what a picture says at its frequencies.

A tile of 64x64 pixels is laid over the whole picture. Its middle frequencies carry signs: a fixed quarter of them is
the same in every picture and says where the tile begins, the others carry the message. A picture is folded onto one
tile, so any part of it that is large enough tells as much as any other, wherever it was cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .watermark_bits import CODED

TILE = 64
# Cycles per tile. Faces drown out what is lower, JPEG at quality 80 takes away most of what is higher.
LOWEST, HIGHEST = 8, 22
SYNC = 0.27  # part of the frequencies
FINER = 2  # the tile's beginning is looked for at every half pixel
KEY = "likeness watermark 1"  # public: the mark is to be found by everybody
REACH = 4  # pixels to each side over which brightness and contrast are measured
QUIET = 3.0  # contrast, in levels of 255, that no place is counted under
LOUD = 2.5  # deviations from the neighbourhood beyond so many contrasts are cut
STEEPNESS = 1.2  # of the spectrum of faces, as power of the frequency; amplitudes are divided by it

Reals = NDArray[Any]
Complexes = NDArray[np.complexfloating]


@dataclass(frozen=True)
class Layout:
    """Which frequency carries what. u, v: whole cycles per tile across and down, one of each conjugate pair."""

    u: NDArray[np.int64]
    v: NDArray[np.int64]
    expected: Reals  # how strong faces are there
    sync: NDArray[np.int64]  # indices into u and v
    data: NDArray[np.int64]
    known: Complexes  # signs of the sync frequencies, real and imaginary
    bit: NDArray[np.int64]  # coded bit that each real part, then each imaginary part, of the data frequencies carries

    def message(self, spectrum: Complexes) -> Reals:
        """What the data frequencies say about each coded bit, summed over the places that carry it. (CODED,)"""
        said = spectrum[self.data]
        return np.bincount(self.bit, np.concatenate([said.real, said.imag]), CODED)

    def agreement(self, spectrum: Complexes) -> float:
        """How strongly the sync frequencies show their signs, for a tile that begins at the corner."""
        return float((spectrum[self.sync] * self.known.conj()).real.sum())

    def begins(self, spectrum: Complexes) -> Reals:
        """Agreement for every place at which the tile may begin, in its own deviations. (FINER*TILE, FINER*TILE)"""
        grid = np.zeros((FINER * TILE, FINER * TILE), complex)
        grid[self.v[self.sync], self.u[self.sync]] = spectrum[self.sync] * self.known.conj()
        found = np.fft.ifft2(grid).real
        return found / max(found.std(), 1e-12)

    def shifted(self, spectrum: Complexes, x: float, y: float) -> Complexes:
        """The spectrum as it would be if the tile that begins at (x, y) began at the corner."""
        return spectrum * np.exp(2j * np.pi * (self.u * x + self.v * y) / TILE)

    def pattern(self, signs: Reals, sync: float = 1.0) -> Reals:
        """The tile with these amplitudes for the coded bits (CODED,) and this one for the sync. (TILE, TILE)"""
        half = np.zeros(len(self.u), complex)
        half[self.sync] = sync * self.known
        real, imaginary = np.split(signs[self.bit], 2)
        half[self.data] = real + 1j * imaginary
        grid = np.zeros((TILE, TILE), complex)
        grid[self.v, self.u], grid[-self.v, -self.u] = half, half.conj()
        return np.fft.ifft2(grid).real


@lru_cache(maxsize=1)
def layout() -> Layout:
    """The one layout of this version; drawn with SHA-256, which is the same everywhere and for ever."""
    axis = np.fft.fftfreq(TILE, 1 / TILE).astype(int)
    v, u = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
    radius = np.hypot(u, v)
    kept = ((v > 0) | (v == 0) & (u > 0)) & (radius >= LOWEST) & (radius < HIGHEST)
    v, u, radius = v[kept], u[kept], radius[kept]
    order = np.argsort(_drawn("frequencies", len(u)))
    sync, data = np.split(order, [int(SYNC * len(u))])
    signs = np.where(_drawn("signs", 2 * len(sync)) % 2, 1.0, -1.0)
    bit = np.empty(2 * len(data), int)
    bit[np.argsort(_drawn("bits", len(bit)))] = np.arange(len(bit)) % CODED
    known = signs[: len(sync)] + 1j * signs[len(sync) :]
    return Layout(u, v, radius**-STEEPNESS, sync, data, known, bit)


def _drawn(what: str, count: int) -> NDArray[np.uint64]:
    digests = (hashlib.sha256(f"{KEY} {what} {i}".encode()).digest() for i in range(count))
    return np.array([int.from_bytes(digest[:8], "big") for digest in digests], np.uint64)


def spectrum(luma: Reals) -> Complexes:
    """What a picture (H, W) says at the frequencies of the layout, all places and frequencies of like weight.

    Deviations from the local mean are divided by the local contrast and cut, so that an outline does not outweigh a
    cheek; the frequencies are then divided by what faces have there (whitening: Cox, Miller et al. 2007, "Digital
    Watermarking and Steganography", 7.6).
    """
    parts, size = layout(), TILE
    deviation, contrast = detail(luma)
    flat = np.clip(deviation / contrast, -LOUD, LOUD)
    height, width = flat.shape
    whole = np.pad(flat, ((0, -height % size), (0, -width % size)))
    folded = whole.reshape(whole.shape[0] // size, size, -1, size).sum((0, 2))  # (H, W) -> (TILE, TILE)
    times = np.outer(*(np.maximum(np.bincount(np.arange(n) % size, minlength=size), 1) for n in (height, width)))
    return np.fft.fft2(folded / np.sqrt(times))[parts.v, parts.u] / (size * parts.expected)


def detail(luma: Reals) -> tuple[Reals, Reals]:
    """Deviation of each pixel from the mean of its neighbourhood, and the contrast there. Both (H, W)."""
    deviation = luma - _mean(luma)
    return deviation, np.sqrt(np.maximum(_mean(deviation**2), 0)) + QUIET


def _mean(values: Reals) -> Reals:
    """Over squares of 9 by 9 pixels; borders are repeated. Sums of 2, 4 and 8 neighbours, and one more."""
    total = np.pad(values, REACH, mode="edge")
    for axis in (0, 1):
        one = np.moveaxis(total, axis, 0)
        two = one[:-1] + one[1:]
        four = two[:-2] + two[2:]
        total = np.moveaxis(four[:-5] + four[4:-1] + one[8:], 0, axis)
    return total / 81


def gains(said: Reals, moved: Reals, places: Reals, budget: float, limits: tuple[float, float]) -> Reals:
    """Amplitude for each coded bit, so that all are read with the largest common margin. (CODED,)

    said: what the unmarked picture says, positive where it already says what it should; moved: by how much an amplitude
    of one changes that; places: how many frequencies carry the bit; budget: of the energy, in amplitudes squared times
    places. The picture is known when it is marked, so it is no noise (Malvar & Florencio 2003, "Improved Spread
    Spectrum", eq. 9, solved for a common margin by bisection).
    """
    asked: Callable[[float], Reals] = lambda margin: np.clip((margin - said) / moved, *limits)  # noqa: E731
    low, high = float(said.min()), float((said + limits[1] * moved).max())
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if (places * asked(middle) ** 2).sum() > budget else (middle, high)
    return asked(low)
