"""Text as search compares it: capitals, widths and ways of writing an accent make no difference."""

from __future__ import annotations

from unicodedata import normalize


def fold(words: str) -> str:
    """Compatibility caseless form. Unicode 15, section 3.13, D146 (without its first step, which needs rare text)."""
    return normalize("NFKC", normalize("NFKC", words).casefold())
