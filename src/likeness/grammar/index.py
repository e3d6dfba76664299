"""All tables turned round for reading: from words to what they may mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from ..records import Age
from . import lexicon_people as people
from .lexicon import ADJECTIVES, AFTER_NOUN, ETHNICITY_WORDS, NOUNS, OTHER_NOUNS, PEOPLE, PHOTO_NOUNS
from .lexicon_phrases import PHRASES
from .lexicon_reading import READ_ADJECTIVES, READ_NOUNS
from .lexicon_reading_phrases import READ_ANY, READ_QUALITIES, READ_THINGS

Value = tuple[str, str]  # field, value
TOKEN = re.compile(r"\d+|[a-z]+|[^\sa-z0-9]")
# Before the text is cut into tokens: what punctuation hides.
REWRITES = (
    (re.compile(r"[\u2018\u2019\u02bc`]"), "'"),
    (re.compile(r"[\u2012-\u2015]|\s-+\s|--+"), " , "),
    (re.compile(r"\b3/4\b"), "three quarter"),
    (re.compile(r"\by[./]?\s?o\b\.?(?!')"), "yo"),
    (re.compile(r"\bw/(?=\s|\w)"), "with "),
    (re.compile(r"(?<=[a-z0-9])'(?=[a-z])"), ""),
    (re.compile(r"(?<=[a-z0-9])-(?=[a-z])|(?<=[a-z])-(?=\d)"), " "),
    (re.compile(r"(?<=\d)\s?[\u2010-](?=\d)"), " to "),
)
ARTICLE = re.compile(r"^(?:a|an|some) ")
# A hairdo is hair of some length or texture, so the words before it are about hair: "red curls", "a blonde ponytail".
HAIR_FIELDS = ("hair_length", "hair_texture")
COMPOUND = re.compile(
    r"\b(?:haired|eyed|faced|skinned|nosed|lipped|mouthed|cheeked|browed|eyebrowed|jawed|chinned|toothed)$"
)


@dataclass(slots=True)
class Entry:
    """What a word or a phrase may be; which of it holds is for its neighbours to tell."""

    values: tuple[Value, ...] = ()
    thing: bool = False  # a noun of its own, which takes the adjectives before it
    noun: str = ""
    compound: bool = False  # "eyed", "haired": takes one word and is an adjective itself
    adjective: dict[str, Value] = field(default_factory=dict)
    age: Age | None = None
    minor: bool = False  # the age is certain to be a minor's
    gender: str = ""
    pronoun: str = ""
    roles: frozenset[str] = frozenset()


def normal(text: str) -> str:
    """Lower case, no accents, hyphens and apostrophes inside words resolved, ranges of numbers as "20 to 29"."""
    text = unicodedata.normalize("NFKD", text.lower())
    text = "".join(c for c in text if not unicodedata.combining(c))
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return text


def tokens(text: str) -> list[str]:
    found = TOKEN.findall(normal(text))
    return [word for token in found for word in people.MISSPELT.get(token, token).split()]


def _phrases(alternatives: str) -> Iterator[tuple[str, ...]]:
    for phrase in alternatives.split("|"):
        yield tuple(TOKEN.findall(normal(ARTICLE.sub("", phrase.strip()))))


class _Builder:
    def __init__(self) -> None:
        self.entries: dict[tuple[str, ...], Entry] = {}

    def at(self, alternatives: str) -> Iterator[Entry]:
        for key in _phrases(alternatives):
            yield self.entries.setdefault(key, Entry())

    def value(self, alternatives: str, name: str, value: str, thing: bool) -> None:
        for entry in self.at(alternatives):
            entry.values = tuple(dict.fromkeys([*entry.values, (name, value)]))
            entry.thing = entry.thing or thing
            if thing and name in HAIR_FIELDS:
                entry.noun = "hair"

    def end_with_nouns(self) -> None:
        """ "puffy eyes" is about eyes, so that "big" in "big puffy eyes" is too."""
        for key, entry in self.entries.items():
            last = self.entries.get(key[-1:])
            if len(key) > 1 and entry.thing and last and last.noun and last.noun != "person" and not last.compound:
                entry.noun = last.noun

    def role(self, alternatives: str, role: str) -> None:
        for entry in self.at(alternatives):
            entry.roles |= {role}


def _add_adjectives(build: _Builder) -> None:
    for tables in (ADJECTIVES, AFTER_NOUN, READ_ADJECTIVES):
        for noun, fields in tables.items():
            for name, values in fields.items():
                for value, alternatives in values.items():
                    for entry in build.at(alternatives):
                        entry.adjective.setdefault(noun, (name, value))


def _add_phrases(build: _Builder) -> None:
    for name, values in PHRASES.items():
        for value, verbs in values.items():
            for verb, alternatives in verbs.items():
                # "no glasses" is read as "no" and "glasses", so that "no glasses or hat" goes on.
                kept = "|".join(p for p in alternatives.split("|") if not p.startswith("no "))
                if kept:
                    build.value(kept, name, value, thing=verb != "is" and value != "none")
    for tables, thing in ((READ_THINGS, True), (READ_QUALITIES, False)):
        for name, values_ in tables.items():
            for value, alternatives in values_.items():
                build.value(alternatives, name, value, thing)
    for name, alternatives in READ_ANY.items():
        build.value(alternatives, name, "any", thing=True)
    for value, alternatives in ADJECTIVES["expression"]["expression"].items():
        build.value(alternatives.replace("|blank", ""), "expression", value, thing=False)
    for value, alternatives in ETHNICITY_WORDS.items():
        build.value("|".join(w for w in alternatives.split("|") if w.lower() not in ("white", "black")),
                    "ethnicity", value, thing=False)  # fmt: skip


def _add_nouns(build: _Builder) -> None:
    for noun, (_, names) in (*NOUNS.items(), *OTHER_NOUNS.items()):
        for entry in build.at(names):
            entry.noun = noun
    for noun, names in (*READ_NOUNS.items(), ("photo", PHOTO_NOUNS)):
        for key in _phrases(names):
            entry = build.entries.setdefault(key, Entry())
            entry.noun = noun
            entry.compound = bool(COMPOUND.search(key[-1]))


def _add_people(build: _Builder) -> None:
    groups = [("male", people.MEN), ("female", people.WOMEN), ("", people.PEOPLE_READ)]
    groups += [(gender or "", names) for gender, names in PEOPLE.items()]
    for gender, names in groups:
        for entry in build.at(names):
            entry.noun, entry.gender = "person", gender
    for pronoun, names in (("male", people.HE), ("female", people.SHE), ("they", people.THEY)):
        for entry in build.at(names):
            entry.pronoun = pronoun
    for word, gender in people.GENDERED_ETHNICITY.items():
        for entry in build.at(word):
            entry.pronoun = gender
    for table, minor in ((people.VAGUE_AGES, False), (people.MINOR_AGES, True)):
        for age, names in table.items():
            for entry in build.at(names):
                entry.age, entry.minor = age, minor
    for gender, names in people.YOUNG_PEOPLE.items():
        for entry in build.at(names):
            entry.noun, entry.gender = "person", gender


@cache
def entries() -> dict[tuple[str, ...], Entry]:
    build = _Builder()
    _add_adjectives(build)
    _add_phrases(build)
    _add_nouns(build)
    _add_people(build)
    build.end_with_nouns()
    roles = {
        "not": people.NEGATIONS,
        "is": people.COPULAS,
        "none": people.NONES,
        "yes": people.YESES,
        "and": people.ANDS,
        "or": people.ORS,
        "article": people.ARTICLES,
        "break": people.BREAKS,
        "filler": "|".join(people.FILLER.split()) + "|" + people.FILLER_PHRASES,
        "other": people.OTHERS,
    }
    for role, words in roles.items():
        build.role(words, role)
    return build.entries


@cache
def first_words() -> dict[str, tuple[int, ...]]:
    """For each first word, the lengths of the phrases that it begins, longest first."""
    lengths: dict[str, set[int]] = {}
    for key in entries():
        lengths.setdefault(key[0], set()).add(len(key))
    return {word: tuple(sorted(sizes, reverse=True)) for word, sizes in lengths.items()}


def match(words: list[str], at: int) -> tuple[Entry | None, int]:
    """The longest phrase that begins at a place, and the place after it."""
    table = entries()
    for size in first_words().get(words[at], ()):
        if entry := table.get(tuple(words[at : at + size])):
            return entry, at + size
    return None, at + 1
