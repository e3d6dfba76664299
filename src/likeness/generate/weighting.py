r"""Emphasis in prompts: A1111's `(word:1.3)`, `(word)`, `[word]` and compel's `word++`, `word--`, `(words)1.5`.

| written | weight |
|---|---|
| `(words:1.3)`, `(words)1.3` | 1.3 |
| `(words)`, `[words]` | 1.1, 1 / 1.1 |
| `(words)++`, `word++`, `(words)--`, `word--` | 1.1 or 0.9 for each sign; a bare word wants two |
| `\(`, `\)`, `\[`, `\]`, `\+`, `\-`, `\\` | the sign itself |

`70+` is an age. Nested weights multiply; a bracket without its partner stands for itself.
"""

from __future__ import annotations

import re
from itertools import groupby

from ..errors import UsageError

MOST = 2.0  # beyond it pictures fall apart
ROUND, SQUARE, PLUS, MINUS = 1.1, 1 / 1.1, 1.1, 0.9
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_MARK = re.compile(
    r"\\(?P<escaped>[()\[\]\\+-])"
    r"|(?P<open>[(\[])"
    rf"|(?::\s*(?P<weight>{_NUMBER})\s*)?(?P<round>\))(?P<after>(?:\++|-+|\d*\.?\d+)(?!\w))?"
    r"|(?P<square>\])"
    r"|(?<=\w)(?P<signs>\+{2,}|-{2,})(?=[\s,.;:!?)\]]|$)"
)

Piece = tuple[str, float]


def parse(text: str) -> list[Piece]:
    """The text without its marks, in pieces of equal weight. Raises `UsageError` for a weight outside 0 to 2."""
    frames: list[tuple[str, list[Piece]]] = [("", [])]  # the bracket that opened it, and what has been read in it
    at = 0
    for mark in _MARK.finditer(text):
        pieces = frames[-1][1]
        pieces.append((text[at : mark.start()], 1.0))
        at = mark.end()
        if mark["escaped"]:
            pieces.append((mark["escaped"], 1.0))
        elif mark["open"]:
            frames.append((mark["open"], []))
        elif mark["signs"]:
            _weigh_word(pieces, mark["signs"])
        elif frames[-1][0] == ("(" if mark["round"] else "["):
            _, inner = frames.pop()
            factor = _factor(mark)
            frames[-1][1].extend((piece, weight * factor) for piece, weight in inner)
        else:
            pieces.append((mark[0], 1.0))
    frames[-1][1].append((text[at:], 1.0))
    whole = [piece for opened, pieces in frames for piece in [(opened, 1.0), *pieces]]
    return _merged(whole)


def plain(text: str) -> str:
    """The words alone, as the grammar and the safety check must see them."""
    return "".join(piece for piece, _ in parse(text))


def _factor(mark: re.Match[str]) -> float:
    if mark["square"]:
        return SQUARE
    if mark["weight"]:
        return float(mark["weight"])
    after = mark["after"] or ""
    if not after:
        return ROUND
    return _signs(after) if after[0] in "+-" else float(after)


def _signs(signs: str) -> float:
    return float((PLUS if signs[0] == "+" else MINUS) ** len(signs))


def _weigh_word(pieces: list[Piece], signs: str) -> None:
    """Weigh the last word of the last piece; a word without a letter (`70++`) is none."""
    text, weight = pieces.pop()
    start = len(text)
    while start and (text[start - 1].isalnum() or text[start - 1] in "_'’-"):
        start -= 1
    word = text[start:]
    if any(c.isalpha() for c in word):
        pieces += [(text[:start], weight), (word, weight * _signs(signs))]
    else:
        pieces.append((text + signs, weight))


def _merged(pieces: list[Piece]) -> list[Piece]:
    merged = []
    for weight, run in groupby(((t, round(w, 6)) for t, w in pieces if t), key=lambda piece: piece[1]):
        text = "".join(t for t, _ in run)
        if not 0 <= weight <= MOST:
            raise UsageError(
                f"weight {weight:g} of {text.strip()[:40]!r} is outside 0 to {MOST:g} "
                r"(a colon and number in brackets weigh words: write \( and \) for brackets as such)"
            )
        merged.append((text, weight))
    return merged
