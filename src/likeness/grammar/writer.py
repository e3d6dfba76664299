"""The parts of a description: who is seen, and one item for each thing that is seen. `describe` puts them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

from ..records import Age, Attributes
from .ages import in_words, vague_word, wordings
from .english import article, joined
from .lexicon import (
    ADJECTIVES,
    AFTER_NOUN,
    ATTRIBUTIVE,
    ETHNICITY_WORDS,
    LATINO_BY_GENDER,
    MINORS,
    NOUNS,
    OTHER_NOUNS,
    PEOPLE,
    PHOTO_NOUNS,
)
from .lexicon_phrases import ABSENT, PHRASES, PRONOUNS

Item = tuple[str, str]  # what it follows ("has", "wears", "is", "looks", "without", "own": his or her), and the words

# The order in which a careful witness goes over a face; one noun or one field each.
ORDER = (
    "hair", "hair_length", "hairline", "fringe", "face", "skin", "cheekbones", "cheeks", "eyes", "eye_state", "brows",
    "nose", "mouth", "teeth", "lips", "chin", "facial_hair", "expression", "glasses", "headwear", "jewellery", "makeup",
    "marks", "occlusion", "pose",
)  # fmt: skip
# What can be said by an adjective as well as by a phrase.
EITHER = tuple(
    (field, value)
    for field, values in PHRASES.items()
    for value in values
    if field != "expression" and any(value in words.get(field, ()) for words in ADJECTIVES.values())
)


EITHER_SET = frozenset(EITHER)


@cache
def split(alternatives: str) -> tuple[str, ...]:
    return tuple(alternatives.split("|"))


@cache
def predicative(alternatives: str) -> tuple[str, ...]:
    """The alternatives that can stand after "is"."""
    return tuple(word for word in split(alternatives) if word not in ATTRIBUTIVE)


class Steady(Random):
    """Draws nothing: the first of all words, in the order of a witness, every time."""

    def random(self) -> float:
        return 0.0

    def choice(self, seq: Any) -> Any:
        return seq[0]

    def shuffle(self, x: Any) -> None:
        pass


class Writer:
    """One description on its way to paper: the draws of one generator, and the words that agree with the gender."""

    def __init__(self, attributes: Attributes, rng: Random, style: str, tight: bool = False) -> None:
        self.said = attributes.said()
        self.gender: str | None = attributes.gender
        self.random = rng.random
        self.rng = rng
        self.tight = tight
        self.own_share = 0.15 if style == "paragraph" and not tight else 0.0  # "her hair is ..."
        self.comma_share = 0.0 if style == "tags" else 0.2  # "long, black hair"
        self.shared_share = 0.0 if style == "tags" else 1.0 if tight else 0.6  # "without glasses or hat"
        self.pronoun, self.possessive = PRONOUNS[self.gender]
        self.phrased: set[tuple[str, str]] = set()  # what a phrase says although an adjective could
        self.phrased.update(
            (field, value) for field, value in EITHER if value in self.values(field) and self.chance(0.35)
        )
        self.done: set[tuple[str, str]] = set()  # what has been said already

    def pick(self, options: Sequence[str]) -> str:
        return options[int(self.random() * len(options))]

    def word(self, alternatives: str) -> str:
        return self.pick(split(alternatives))

    def chance(self, share: float) -> bool:
        return not isinstance(self.rng, Steady) and self.random() < share

    # ---- who ----

    def ethnicity(self, value: str) -> str:
        words = LATINO_BY_GENDER.get(self.gender or "") if value == "Latino" else None
        return self.word(words or ETHNICITY_WORDS[value])

    def age(self, age: Age) -> tuple[str, str]:
        """What goes before the noun, and what follows it."""
        before, after, fill = wordings(age)
        number = in_words(age.low) if self.chance(0.3) else fill["a"]
        if self.chance(0.25):
            fill["d"] = fill["s"]
        form = self.pick(before if before and self.chance(0.4) else after)
        text = form.format(n=number, p=self.possessive, **fill)
        vague = vague_word(age)
        share = 0.0 if self.tight else 0.15
        if form in before:
            return text, ""
        return (vague if vague and self.chance(share) else ""), text

    def who(self, with_age: bool = True) -> str:
        """The person as a noun phrase without article: "27-year-old white woman"."""
        age = self.said.get("age")
        minor = age is not None and age.high < 18
        noun = self.word((MINORS if minor else PEOPLE)[self.gender])
        before, after = self.age(age) if age and with_age else ("", "")
        ethnicity, tail = "", ""
        if values := self.said.get("ethnicity"):
            words = [self.ethnicity(value) for value in values]
            if len(words) > 1 and self.chance(0.5):
                tail = f"of mixed {joined(words)} {self.pick(('descent', 'ethnicity', 'heritage', 'origin'))}"
            else:
                ethnicity = ("mixed " if len(words) > 1 else "") + joined(words)
        if tail and after.startswith("of "):
            after = "aged" + after[2:]  # not "of mixed descent of nine"
        front = [before, ethnicity] if not ethnicity or self.chance(0.8) or "year" in before else [ethnicity, before]
        return " ".join(part for part in (*front, noun, tail, after) if part)

    # ---- what is seen ----

    def values(self, field: str) -> tuple[str, ...]:
        said = self.said.get(field)
        return said if isinstance(said, tuple) else (said,) if said else ()

    def adjectives(self, noun: str, options: Callable[[str], tuple[str, ...]]) -> list[str]:
        """One word for each value that this noun can carry; empty where a value has no fitting word."""
        found = []
        for field, words in ADJECTIVES[noun].items():
            for value in self.values(field):
                if value in words and (field, value) not in self.phrased:
                    choice = options(words[value])
                    found.append(self.pick(choice) if choice else "")
        return found

    def noun_item(self, noun: str) -> Item | None:
        """ "short black hair", or "her hair is short and black"."""
        after = ""
        for field, words in AFTER_NOUN.get(noun, {}).items():
            if (value := self.said.get(field)) in words:
                after = self.word(words[value])
        own = self.chance(self.own_share)
        adjectives = self.adjectives(noun, predicative if own else split)
        if not adjectives and not after:
            return None
        if own and not all(adjectives):
            own, adjectives = False, self.adjectives(noun, split)
        if noun == "hair" and len(adjectives) > 1 and self.chance(0.2):
            self.rng.shuffle(adjectives)
        counted, names = NOUNS[noun]
        if noun in OTHER_NOUNS and self.chance(0.3):
            counted, names = OTHER_NOUNS[noun]
        name = self.word(names)
        if own:
            return (
                "own",
                f"{name} {'are' if counted == 'plural' else 'is'} {joined(adjectives + [after] * bool(after))}",
            )
        text = self.before_noun(noun, adjectives, f"{name} {after}" if after else name)
        return "has", article(text) if counted == "count" else text

    def before_noun(self, noun: str, adjectives: list[str], rest: str) -> str:
        if noun == "expression" and len(adjectives) > 1:
            link = self.pick(("and partly", "and", "and slightly"))
            return f"{', '.join(adjectives[:-1])} {link} {adjectives[-1]} {rest}"
        # "black, long hair" in a list could be a black person with long hair.
        apart = len(adjectives) == 2 and adjectives[0] not in ("black", "white")
        glue = ", " if apart and self.chance(self.comma_share) else " "
        return glue.join(adjectives) + (" " if adjectives else "") + rest

    def expression_item(self) -> Item | None:
        """A face "looks sad" as often as it has "a sad expression"."""
        values = self.values("expression")
        if len(values) == 1 and values[0] in PHRASES["expression"] and self.chance(0.45):
            return self.phrase_item("expression", values[0])
        choices = [predicative(ADJECTIVES["expression"]["expression"][value]) for value in values]
        if values and all(choices) and self.chance(0.5):
            return "looks", joined(
                [self.pick(choice) for choice in choices], self.pick(("and", "and partly", "and a little"))
            )
        return self.noun_item("expression")

    def phrase_item(self, field: str, value: str) -> Item:
        verbs = PHRASES[field][value]
        verb = self.pick(tuple(verbs))
        return verb, self.word(verbs[verb])

    def absences(self) -> list[Item]:
        """Several things that are not there share one "without": "without glasses, hat or beard"."""
        absent = [field for field in ABSENT if "none" in self.values(field)]
        if len(absent) < 2 or not self.chance(self.shared_share):
            return []
        if len(absent) > 2 and not self.tight and self.chance(0.4):
            absent.pop(int(self.random() * len(absent)))
        self.done.update((field, "none") for field in absent)
        self.rng.shuffle(absent)
        return [("without", joined([self.word(ABSENT[field]) for field in absent], "or"))]

    def items(self) -> list[Item]:
        """Everything that is seen, in a witness's order."""
        last = self.absences()
        found: list[Item | None] = []
        for key in ORDER:
            if key == "expression":
                found.append(self.expression_item())
                continue
            if key in NOUNS:
                found.append(self.noun_item(key))
            if key in PHRASES:
                found.extend(self.field_items(key))
        return [item for item in found if item] + last

    def field_items(self, field: str) -> list[Item]:
        """Items for the values of a field that no noun and no shared absence has said."""
        phrases = PHRASES[field]
        said = self.done | (EITHER_SET - self.phrased)
        return [
            self.phrase_item(field, value)
            for value in self.values(field)
            if value in phrases and (field, value) not in said
        ]

    # ---- the photograph ----

    def photo(self) -> str:
        """ "a sharp frontal photo": the noun with whatever is said of quality and pose."""
        return article(" ".join([*self.adjectives("photo", split), self.word(PHOTO_NOUNS)]))
