"""Small rules of English."""

from __future__ import annotations

from collections.abc import Sequence

# "a unibrow", "a European": the letter is a vowel, the sound is not.
SOUNDS_LIKE_CONSONANT = ("eu", "uni", "one ", "one-")
SOUNDS_LIKE_VOWEL = ("a", "e", "i", "o", "u", "8", "11-", "11 ", "18-", "18 ")


def article(words: str) -> str:
    """The words with "a" or "an" before them, by sound."""
    first = words.lower()
    vowel = first.startswith(SOUNDS_LIKE_VOWEL) and not first.startswith(SOUNDS_LIKE_CONSONANT)
    return f"{'an' if vowel else 'a'} {words}"


def joined(parts: Sequence[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
