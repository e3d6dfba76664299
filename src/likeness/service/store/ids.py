"""Names of history entries that sort in the order of recording (ULID: 48 bits of time, 80 random ones, 26 letters)."""

from __future__ import annotations

import re
import secrets

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U; in the order of ASCII
ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def mint(milliseconds: int, newest: str | None = None) -> str:
    """A new name for that time since 1970 (UTC); greater than `newest` also when a clock was set back."""
    value = milliseconds << 80 | secrets.randbits(80)
    if newest is not None and value <= (last := _number(newest)):
        value = last + 1 + secrets.randbits(32)
    return "".join(LETTERS[value >> shift & 31] for shift in range(125, -1, -5))


def _number(name: str) -> int:
    value = 0
    for letter in name:
        value = value << 5 | LETTERS.index(letter)
    return value
