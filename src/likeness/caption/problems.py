"""What makes a caption unusable: a refusal, nothing said, another language, a person's name, a loop.

Rules, not a model: they take a millisecond a caption, say why, and err on the side of keeping.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from ..errors import ConfigError
from .quality_words import ENGLISH, GIVEN, LANGUAGES, NOT_NAMES, OPENERS, THINGS, TITLES

LONGEST = 4000  # characters; what a model says beyond them is a loop
FOREIGN_LETTERS = 0.2  # share of letters of another script
KNOWN = 0.3  # share of words that English text about a face has in our vocabulary, at least
LOOP = 0.15  # share of different words, below which a long text goes round in circles
LOOP_WORDS = 40
TITLE_STYLE = 0.6  # share of words with a capital


@dataclass(frozen=True)
class Checks:
    """`min_words`: fewer are no description. `language`: english, or any. `names`: whether names of people count."""

    min_words: int = 8
    language: str = "english"
    names: bool = True

    def __post_init__(self) -> None:
        if self.language not in ("english", "any"):
            raise ConfigError(f"language {self.language!r}: choose english or any")
        if self.min_words < 0:
            raise ConfigError(f"min_words {self.min_words}: give 0 or more")


_CANNOT = r"(?:can(?:['’]?t|not| not)|(?: am|['’]m) (?:unable|not able) to|won['’]?t|will not|could(?:n['’]t| not))"
_REFUSAL = re.compile(
    rf"\bI(?:['’]m| am)? (?:very |so )?sorry\b|\bI apologi[sz]e\b|\bas an? (?:AI|artificial|language model|assistant)\b"
    rf"|\bI\s?{_CANNOT} (?:\w+ )?(?:help|assist|identify|describe|provide|comply|fulfil|fulfill|view|see|process|answer"
    rf"|discuss|recogni[sz]e|comment|determine|make|generate|create|continue|do that|engage|analy[sz]e|offer|give)\b"
    rf"|\bI (?:do not|don['’]?t) (?:have|see|feel|know|provide|think I)\b"
    rf"|\bit is(?: not|n['’]t) (?:appropriate|possible for me)"
    rf"|\b(?:against|violates?) (?:my|the|our) (?:guidelines|polic(?:y|ies)|content)\b|\bno image (?:was|has been|is)\b"
    rf"|\bplease (?:provide|upload|share|attach) (?:an?|the|your) (?:image|photo|picture)\b"
    rf"|\bmy (?:guidelines|programming)\b",
    re.I,
)
_MARKUP = re.compile(
    r"^\s*[\[{]\s*[\"{\[]|<(?:html|body|div|script|img|p)\b|^\s*(?:USER|HUMAN)\s*:|```|\bimport \w+\n", re.I
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_TITLE = re.compile(rf"\b(?:{TITLES})\.?\s+(?P<name>[^\W\d_][\w'’-]+)")
_CALLED = re.compile(
    r"\b(?:named|called|known as|identified as|name is|recogni[sz](?:able|ed) as)\s+[\"“']?(?P<name>[^\W\d_][\w'’-]*)",
)
_LIKE = re.compile(
    r"\b(?:resembl(?:es|ing|e)|looks? (?:a lot |very much |just )?like|similar to|reminiscent of|this is|double of)\s+"
    r"(?:the )?(?:famous |late |young )?(?:actor |actress |singer |politician |celebrity )?(?P<name>[^\W\d_][\w'’-]+)",
    re.I,
)
_RUN = re.compile(r"[^\W\d_][\w'’-]*\.?(?:\s+[^\W\d_][\w'’-]*\.?)*")
_GIVEN = re.compile(
    r"(?:^|(?<=[.!?]\s))(?P<name>[^\W\d_]+)(?:['’]s\b|\s+(?:is|has|was|wears|looks|appears|smiles|seems|with)\b)"
)


def problem(text: str, config: Checks | None = None) -> tuple[str, str] | None:
    """The first thing wrong with a caption: a reason of `captioner.REASONS` and a detail; None when it can be used."""
    config = config or Checks()
    text = text[:LONGEST]
    words = _WORD.findall(text)
    if not words:
        return "empty", ""
    if match := _REFUSAL.search(text):
        return "refused", _around(text, match)
    if match := _MARKUP.search(text):
        return "invalid", f"no running text: {_around(text, match)}"
    if config.language == "english" and (other := foreign(text)):
        return "language", other
    if len(words) < config.min_words:
        return "too short", f"{len(words)} word{'s' * (len(words) != 1)}, at least {config.min_words} are asked for"
    if len(words) >= LOOP_WORDS and len({w.lower() for w in words}) < LOOP * len(words):
        return "invalid", "it repeats itself"
    if config.names and (name := named(text)):
        return "names", name
    return None


def foreign(text: str) -> str:
    """Which other language or script a text is in, or "" for English. Names of languages are guesses, "" is not."""
    letters = [c for c in text if c.isalpha()]
    strange = sum(ord(c) > 0x24F and not 0x1E00 <= ord(c) <= 0x1EFF for c in letters)
    if letters and strange > FOREIGN_LETTERS * len(letters):
        return "letters of another script"
    for part in (text, *re.split(r"(?<=[.!?])\s+", text)):
        words = [w.lower() for w in _WORD.findall(part)]
        if len(words) < 4:
            continue
        counts = Counter({name: sum(w in table for w in words) for name, table in LANGUAGES.items()})
        (best, score), english = counts.most_common(1)[0], sum(w in ENGLISH for w in words)
        if score >= 2 and score > english:
            return f"{best}: {part[:60]}"
    words = [w.lower() for w in _WORD.findall(text)]
    known = sum(w in ENGLISH or w in _vocabulary() for w in words)
    if len(words) >= 4 and known < KNOWN * len(words):
        return f"not English: {text[:60]}"
    return ""


def named(text: str) -> str:
    """The name of a person in a text, or ""."""
    words = _WORD.findall(text)
    # a text in the style of a title shows nothing by its capitals
    if sum(w[0].isupper() for w in words) <= TITLE_STYLE * len(words):
        for run in _RUN.finditer(text):
            if name := _full_name(text, run):
                return name
    for pattern in (_TITLE, _CALLED, _LIKE):
        for match in pattern.finditer(text):
            if _proper(match["name"]):
                return match[0]
    given = (match["name"] for match in _GIVEN.finditer(text))
    return next((name for name in given if name[0].isupper() and name.lower() in GIVEN), "")


def _full_name(text: str, run: re.Match[str]) -> str:
    """Two words or more with capitals, of which one, not at the start of a sentence, is no word that we know."""
    start = run.start() == 0 or text[: run.start()].rstrip()[-1:] in ("", ".", "!", "?", ":", "\n")
    words = run[0].split()
    at = 0
    while at < len(words):
        end = at
        while end < len(words) and words[end][0].isupper() and (end == at or not _ends(words[end - 1])):
            end += 1
        opens = (start and at == 0) or (at > 0 and _ends(words[at - 1]))
        pair = words[at:end]
        if opens and pair and (pair[0].lower() in OPENERS or _plain(pair[0])):
            pair = pair[1:]
        behind = {w.lower().rstrip(".") for w in words[end : end + 2]}
        if len(pair) > 1 and not behind & THINGS and any(_proper(w) for w in pair[opens:]):
            return " ".join(pair).rstrip(".")
        at = max(end, at + 1)
    return ""


def _ends(word: str) -> bool:
    return word.endswith(".") and len(word) > 2


def _proper(word: str) -> bool:
    """Whether a word is written as a name and is none of those we know."""
    return word[0].isupper() and any(c.islower() for c in word) and not _plain(word)


def _plain(word: str) -> bool:
    bare = re.sub(r"['’]s?$", "", word.rstrip(".").lower())
    return all(
        part in NOT_NAMES or part in ENGLISH or part in OPENERS or part in _vocabulary()
        for part in (bare.split("-") if "-" in bare else [bare])
    )


def _around(text: str, match: re.Match[str]) -> str:
    return " ".join(text[max(0, match.start() - 10) : match.end() + 50].split())


@cache
def _vocabulary() -> frozenset[str]:
    from ..grammar import vocabulary

    return frozenset(vocabulary())
