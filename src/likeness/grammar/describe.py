"""Attributes to English: a forensic paragraph, one sentence, or comma tags."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from ..errors import RecordError
from ..records import Attributes
from .english import article, capital, joined
from .lexicon import ADJECTIVES, PHOTO_NOUNS
from .lexicon_phrases import BARE_OPENINGS, EMPTY, OPENINGS, QUALITY_REMARKS, SUBJECTS, VERBS
from .writer import Item, Steady, Writer, split

# A text encoder reads 75 tokens: a longer paragraph is written once more, tightly.
TOKEN_BUDGET = 68
TOKENS = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]+")
ARTICLE = re.compile(r"^an? ")
VERB_ORDER = ("has", "wears", "is", "looks")


def describe(attributes: Attributes, style: str = "paragraph", seed: int | None = 0) -> str:
    """Say the attributes in English; `style` is "paragraph", "sentence" or "tags".

    The same attributes, style and seed give the same text, and `parse` reads the attributes back. Without a seed (None)
    the words are the plainest, and another attribute changes only its own words. Raises `RecordError` for an unknown
    style.
    """
    if style not in STYLES:
        raise RecordError(f"style {style!r}: choose from {', '.join(STYLES)}")
    rng = Steady() if seed is None else Random(seed)
    if not attributes.said():
        return rng.choice(split(EMPTY[style]))
    text = STYLES[style](Writer(attributes, rng, style))
    if len(TOKENS.findall(text.lower())) > TOKEN_BUDGET:
        text = STYLES[style](Writer(attributes, rng, style, tight=True))
    return text


def paragraph(writer: Writer) -> str:
    opening, remark = _opening(writer)
    items = writer.items()
    if items and items[0][0] == "has" and writer.chance(0.3):
        opening += f" with {items.pop(0)[1]}"
    sentences = [capital(opening) + "."]
    if writer.chance(0.25):
        items = _turned(writer, items)
    while items:
        size = 8 if writer.tight else 2 + int(writer.random() * 4)
        sentences += _sentences(writer, items[:size])
        items = items[size:]
    return " ".join(sentences + remark)


def sentence(writer: Writer) -> str:
    """One sentence: a noun phrase with "with ...", "wearing ...", and participles after commas."""
    opening, _ = _opening(writer, remarks=False)
    items = writer.items()
    if writer.chance(0.25):
        items = _turned(writer, items)
    by_verb = _by_verb(items)
    parts = [capital(opening)]
    if by_verb["has"]:
        parts[0] += f" with {joined(by_verb['has'])}"
    rest = []
    if by_verb["wears"]:
        rest.append(f"wearing {joined(by_verb['wears'])}")
    rest += by_verb["is"]
    if by_verb["looks"]:
        rest.append(f"looking {joined(by_verb['looks'])}")
    if writer.chance(0.5):
        writer.rng.shuffle(rest)
    return ", ".join(parts + rest + [f"without {text}" for text in by_verb["without"]]) + "."


def tags(writer: Writer) -> str:
    """Comma tags; the person comes first, the rest in a witness's order or shuffled."""
    first = []
    if writer.said.get("gender") or writer.said.get("ethnicity") or writer.chance(0.3):
        first.append(writer.who(with_age=False))
    if age := writer.said.get("age"):
        before, after = writer.age(age)
        first += [part for part in (before, after) if part]
    photo = [f"{word} {writer.word(PHOTO_NOUNS)}" for word in writer.adjectives("photo", split)]
    rest = [text for _, text in writer.items()]
    if writer.chance(0.5):
        rest = [ARTICLE.sub("", text) for text in rest]
    if writer.chance(0.4):
        writer.rng.shuffle(rest)
    everything = photo + first + rest if writer.chance(0.3) else first + rest + photo
    return ", ".join(everything)


def _turned(writer: Writer, items: list[Item]) -> list[Item]:
    """The items from another starting point, so that the same thing isn't always said first."""
    start = int(writer.random() * (len(items) or 1))
    return items[start:] + items[:start]


def _opening(writer: Writer, remarks: bool = True) -> tuple[str, list[str]]:
    """The first noun phrase, and a closing sentence on the picture's quality if it was kept for the end."""
    who = article(writer.who())
    quality = writer.said.get("quality")
    remark = []
    if quality and remarks and not writer.tight and writer.chance(0.2):
        word = writer.word(ADJECTIVES["photo"]["quality"][quality])
        remark = [writer.pick(QUALITY_REMARKS).format(photo=writer.word("photo|picture|image"), quality=word)]
        writer.phrased.add(("quality", quality))
    photo = writer.photo()
    if " " in photo.split(" ", 1)[1] or writer.chance(0.3):
        return writer.pick(OPENINGS).format(photo=photo, who=who), remark
    return writer.pick(BARE_OPENINGS).format(who=who), remark


def _by_verb(items: list[Item]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {verb: [] for verb in (*VERB_ORDER, "own", "without")}
    for verb, text in items:
        found[verb].append(text)
    return found


def _sentences(writer: Writer, items: list[Item]) -> list[str]:
    """The items as one sentence, and one more for what "his" or "her" begins."""
    by_verb = _by_verb(items)
    plural = writer.gender is None
    subject = writer.pronoun
    if writer.chance(0.15):
        subject, plural = writer.word(SUBJECTS[writer.gender]), False
    clauses = []
    for verb in VERB_ORDER:
        if by_verb[verb]:
            clauses.append(f"{writer.rng.choice(VERBS[verb])[plural]} {joined(by_verb[verb])}")
    absent = by_verb["without"]
    if absent and not clauses:
        clauses.append(f"{'have' if plural else 'has'} no {absent.pop()}")
    sentences = []
    if clauses:
        text = f"{subject} {joined(clauses)}" + (f", without {absent[0]}" if absent else "")
        sentences.append(capital(text) + ".")
    if by_verb["own"]:
        sentences.append(capital(joined([f"{writer.possessive} {text}" for text in by_verb["own"]])) + ".")
    return sentences


STYLES: dict[str, Callable[[Writer], str]] = {"paragraph": paragraph, "sentence": sentence, "tags": tags}
