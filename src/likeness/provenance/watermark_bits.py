"""The watermark's message as coded bits and back: version, payload and check sum under a convolutional code.

The code is the one of LTE's control channels (3GPP TS 36.212, 5.1.3.1: rate 1/3, constraint length 7, generators 133,
171 and 165 octal), read by soft decisions (Viterbi 1967, "Error bounds for convolutional codes").
"""

from __future__ import annotations

import binascii
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

VERSION = 1
SIZE = 5  # bytes of payload
GENERATORS = (0o133, 0o171, 0o165)
MEMORY = 6
MESSAGE = 4 + 8 * SIZE + 16  # bits: version, payload, CRC-16
CODED = (MESSAGE + MEMORY) * len(GENERATORS)  # the code ends in state 0


def encode(payload: bytes) -> NDArray[np.float64]:
    """`SIZE` bytes -> `CODED` signs, 1 for a zero bit and -1 for a one."""
    said = _bits(VERSION, 4) + [bit for byte in payload for bit in _bits(byte, 8)]
    register, signs = 0, []
    for bit in said + _bits(_check(said), 16) + [0] * MEMORY:
        register = bit << MEMORY | register >> 1
        signs += _emitted(register)
    return np.array(signs, np.float64)


def decode(soft: NDArray[np.floating]) -> bytes | None:
    """The payload of the most likely message for `CODED` soft signs, or None when version or check sum are wrong."""
    before, gains = _trellis()
    steps = np.einsum("psg,tg->tps", gains, soft.reshape(-1, len(GENERATORS)))
    score = np.full(1 << MEMORY, -np.inf)
    score[0] = 0
    came = np.empty(steps.shape[::2], bool)  # (T, S): from which of the two states before
    for t, step in enumerate(steps):
        ways = score[before] + step
        came[t] = ways[1] > ways[0]
        score = ways.max(0)
    state, bits = 0, []
    for choice in came[::-1]:
        bits.append(state >> (MEMORY - 1))
        state = int(before[int(choice[state]), state])
    said = bits[::-1][: MESSAGE - 16]
    if _number(said[:4]) != VERSION or _number(bits[::-1][MESSAGE - 16 : MESSAGE]) != _check(said):
        return None
    return bytes(_number(said[i : i + 8]) for i in range(4, len(said), 8))


@lru_cache(maxsize=1)
def _trellis() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each state: the two states before it (2, S), and the signs that each way into it emits (2, S, G)."""
    states = np.arange(1 << MEMORY)
    before = np.stack([states << 1, states << 1 | 1]) & (1 << MEMORY) - 1
    registers = states >> (MEMORY - 1) << MEMORY | before
    return before, np.array([[_emitted(int(register)) for register in row] for row in registers], np.float64)


def _emitted(register: int) -> list[int]:
    return [1 - 2 * ((register & g).bit_count() & 1) for g in GENERATORS]


def _check(bits: list[int]) -> int:
    return binascii.crc_hqx(_number(bits).to_bytes((len(bits) + 7) // 8, "big"), 0xFFFF)


def _bits(number: int, count: int) -> list[int]:
    return [number >> i & 1 for i in reversed(range(count))]


def _number(bits: list[int]) -> int:
    return int("".join(map(str, bits)), 2)
