"""Left and right change places when a picture is flipped; other senses of the words stay."""

from __future__ import annotations

import re

SIDE = re.compile(r"\b(left|right)(?=(?:s|most|wards?|handed|hand|facing|er)?\b)", re.IGNORECASE)
# "all right", "human right", "quite right": not a side.
NOT_SIDE_BEFORE = re.compile(r"(?:\b(?:all|quite|just|absolutely|human|that\W?s|copy)\s+)$", re.IGNORECASE)
# "right now", "right behind", "left the room": not a side.
NOT_SIDE_AFTER = {
    "right": re.compile(
        r"\s+(?:now|away|here|there|angles?|after|before|behind|at|into|in\s+(?:front|the)|through|under|above|below|between"
        r"|amount|size|kind|person|answer|on\s+top|next|beside|beneath|up\s+close)\b|-?\s?angled\b|\s*[?!]",
        re.IGNORECASE,
    ),
    "left": re.compile(r"\s+(?:the|a|an|his|her|their|my|him|them|behind|home|town|work|alone|out)\b", re.IGNORECASE),
}
# "He was right.", "she had left.": the end of a clause shows that no side is meant.
VERB_BEFORE = {
    "right": re.compile(r"\b(?:is|was|are|were|be)\s+$", re.IGNORECASE),
    "left": re.compile(r"\b(?:has|have|had|having|he|she|they|who)\s+$", re.IGNORECASE),
}
CLAUSE_END = re.compile(r"\s*(?:[.,;:!)]|$)|\s+(?:and|but|about|with|in|on|at|for|when)\b", re.IGNORECASE)
WINDOW = 24  # characters looked at on either side


def _swapped(match: re.Match[str]) -> str:
    word, text = match[0], match.string
    before, after = text[max(0, match.start() - WINDOW) : match.start()], text[match.end() : match.end() + WINDOW]
    side = word.lower()
    other_sense = (
        NOT_SIDE_BEFORE.search(before)
        or NOT_SIDE_AFTER[side].match(after)
        or (VERB_BEFORE[side].search(before) and CLAUSE_END.match(after))
    )
    if other_sense:
        return word
    other = "right" if side == "left" else "left"
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other


def mirror(text: str) -> str:
    """The text of a picture that is flipped sideways: "a scar on the left cheek" is then on the right one."""
    return SIDE.sub(_swapped, text)
