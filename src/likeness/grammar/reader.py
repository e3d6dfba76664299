"""The reading itself: one walk over the words, in which adjectives find their nouns and "no" finds its things.

An adjective waits until a noun takes it ("short black" hair), or belongs to the noun before it when that noun is the
subject of "is" ("her eyes are big and blue") or stands right before it ("hair tied back"). What no noun takes means
what it means of a person ("white", "pale"), or is reported. "No" reaches one thing, and further over "or".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..records import FIELDS, Age
from .ages_reading import DECADE_WORDS, HEDGES, ISH, NUMBERS, SOMETHINGS, TENS_WORDS, read_age
from .index import Entry, Value, match
from .lexicon_people import NOT_PEOPLE
from .surroundings import (
    COMMAS,
    HANDS,
    STOPS,
    adjective_follows,
    ahead,
    at_end,
    feeling_follows,
    followed_by_noun,
    hand_on_face,
    is_a_minor,
    list_goes_on,
    shown,
)

PRONOUNS = {"his": "male", "her": "female"}
RELATIVE = frozenset(("that", "which", "who"))
WEAK = frozenset(("break", "filler", "article", "is"))
AGE_WORDS = frozenset((*NUMBERS, *TENS_WORDS, *DECADE_WORDS, *ISH, *SOMETHINGS)) | HEDGES
MOST_WAITING = 40  # nobody says more about one noun; keeps a hostile text linear
SEPARATOR = ""
# What an adjective means where no noun takes it, beside what it means of a person.
ALONE_NOUNS = ("person", "photo")
ALONE_WORDS = frozenset("blond blonde curly wavy coily hazel ginger".split())


@dataclass
class Said:
    """One thing that was read; `negated` means that it was denied."""

    field: str
    value: str
    negated: bool = False


@dataclass
class Reader:
    words: list[str]
    said: list[Said] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    ages: list[tuple[str, Age]] = field(default_factory=list)  # "exact", "minor" or "vague", and the age
    genders: list[str] = field(default_factory=list)
    pronouns: list[str] = field(default_factory=list)
    waiting: list[tuple[str, Entry | None]] = field(default_factory=list)  # adjectives and SEPARATORs
    waiting_in_list: bool = False  # the first of them stood at the start of a list item
    subject: str = ""
    linked: bool = False  # "is" or a colon stands behind the subject
    loose: bool = False  # a comma or "and" stands behind the subject
    denying: bool = False
    denied: bool = False  # "no" has found its thing
    fresh: bool = True  # at the start, or right after a comma
    last: list[Said] = field(default_factory=list)  # what the unit before said
    last_is_thing: bool = False
    label: list[Said] = field(default_factory=list)  # what stood before a colon

    def read(self) -> Reader:
        at = 0
        while at < len(self.words):
            at = self.step(at)
        self.flush()
        return self

    def step(self, at: int) -> int:
        word = self.words[at]
        if not word[0].isalnum():
            self.punctuation(word, at)
            return at + 1
        entry, after = match(self.words, at)
        if word == "minor" and not self.denying and is_a_minor(self.words, after):
            self.ages.append(("minor", Age(0, 17)))
            return after
        if entry and "other" in entry.roles:
            self.waiting += [(word, None) for word in self.words[at:after]]
            return after
        weak = entry is None or (bool(entry.roles & WEAK) and after == at + 1 and not entry.values)
        if weak and (word in AGE_WORDS or word.isdigit()) and (found := read_age(self.words, at)):
            self.settle()
            if not self.denying:
                self.ages.append(("exact", found[0]))
            self.pronouns += [PRONOUNS[word] for word in self.words[at : found[1]] if word in PRONOUNS]
            self.fresh = False
            return found[1]
        if entry is None:
            self.unknown_word(word, at)
        else:
            self.unit(entry, at, after)
        self.fresh = False
        return after

    # ---- one unit ----

    def unit(self, entry: Entry, at: int, after: int) -> None:
        words = " ".join(self.words[at:after])
        if entry.pronoun:
            self.pronouns.append(entry.pronoun)
        if entry.age and not self.denying and not (after < len(self.words) and self.words[after] in NOT_PEOPLE):
            self.ages.append(("minor" if entry.minor else "vague", entry.age))
        if entry.noun == "person" and entry.gender:
            self.genders.append(entry.gender)
        if entry.roles - {"filler"} and not entry.values and not entry.noun:
            self.link(entry, at, after)
        elif entry.noun and not (entry.adjective and followed_by_noun(self.words, entry, after)):
            self.noun(entry, words, at, after)
        elif entry.values and not followed_by_noun(self.words, entry, after):
            self.value(entry, after)
        elif entry.adjective:
            self.adjective(entry, words, after)
        elif entry.pronoun and not entry.values:
            self.flush()
            self.subject, self.linked, self.loose = "person", True, False
        elif entry.values:
            self.value(entry, after)

    def link(self, entry: Entry, at: int, after: int) -> None:
        """Words that hold the others together; one word may have several roles."""
        roles, word = entry.roles, self.words[at]
        if "not" in roles:
            self.flush()
            if at_end(self.words, after) and (self.label or self.last):
                self.deny_last()
            else:
                self.denying, self.denied = True, False
        if "none" in roles and (self.label or at_end(self.words, after)):
            self.deny_last()
        if "yes" in roles:
            self.said += self.label
            self.label = []
        if "or" in roles:
            self.separate()
        elif "and" in roles:
            self.separate()
            if self.denied:
                self.denying = self.denied = False
        if "is" in roles:
            self.flush()
            if self.loose and word not in RELATIVE:
                self.subject = "person"  # "wears a hat and is bald": not the hat
            self.linked, self.loose = bool(self.subject), False
        elif "article" in roles:
            self.flush()
        elif "break" in roles:
            self.flush()
            self.subject, self.linked = "", False
            if self.denied:
                self.denying = self.denied = False
        if entry.pronoun and word in ("hes", "shes", "theyre", "he", "she", "they"):
            self.subject, self.linked, self.loose = "person", True, False

    def noun(self, entry: Entry, words: str, at: int, after: int) -> None:
        noun, found, waited = entry.noun, [], bool(self.waiting)
        if entry.compound:
            found = self.take_one(noun)
        else:
            found = self.take_all(noun, words)
            self.subject, self.linked, self.loose = noun, False, False
        before = [Said(name, value) for name, value in entry.values]
        fields = {one.field for one in found}
        self.last_is_thing = noun == "fringe" or entry.thing
        if noun == "fringe" and "fringe" not in fields:
            before.append(Said("fringe", "full"))
        if noun == "hair" and self.denying and not waited and not entry.values:
            before.append(Said("hair_length", "some"))
        if noun == "teeth" and not found and not adjective_follows(self.words, noun, after) and shown(self.words, at):
            before.append(Said("mouth", "teeth showing"))
        self.say(found + before, after, keep=noun != "person")

    def value(self, entry: Entry, after: int) -> None:
        self.last_is_thing = entry.thing
        if entry.thing:
            self.describe_thing()
            self.subject, self.linked, self.loose = "thing", False, False
        self.say([Said(name, value) for name, value in entry.values], after)

    def adjective(self, entry: Entry, words: str, after: int) -> None:
        if words == "little" and feeling_follows(self.words, after):  # "a little afraid"
            return
        hit = entry.adjective.get(self.subject)
        if self.subject and (hit or self.linked):
            coming = ahead(self.words, after, entry)
            if hit and (not coming or coming == "later" and not self.loose) and not (self.loose and self.taken(hit)):
                self.linked = True
                self.say([Said(*hit)], after)
                return
            if not hit and not coming and self.subject not in ("person", "photo"):
                self.report(words)
                return
        if len(self.waiting) > MOST_WAITING:
            self.flush()
        if not self.waiting:
            self.waiting_in_list = self.fresh
        self.waiting.append((words, entry))

    def unknown_word(self, word: str, at: int) -> None:
        if word in HANDS and hand_on_face(self.words, at):
            self.say([Said("occlusion", "hand on face")], at + 1)
            return
        if word.isdigit():
            self.waiting.clear()
            return
        self.waiting.append((word, None))
        self.denied = self.denied or self.denying

    def punctuation(self, mark: str, at: int) -> None:
        if mark in STOPS:
            self.flush()
            self.subject, self.linked, self.loose = "", False, False
            self.denying = self.denied = False
            self.label, self.last = [], []
        elif mark == ":" or mark == "=":
            self.flush()
            self.linked = bool(self.subject)
            self.loose = False
            self.label = self.last if self.last_is_thing else []
            self.said = [one for one in self.said if all(one is not other for other in self.label)]
        elif mark in COMMAS:
            self.separate()
            if self.denying and not list_goes_on(self.words, at):
                self.denying = self.denied = False
        self.fresh = True

    # ---- saying ----

    def say(self, found: list[Said], after: int, keep: bool = True) -> None:
        for one in found:
            one.negated = one.negated or self.denying
        self.said += found
        if found or keep:
            self.last = found
        if self.denying and keep:
            self.denied = True
            if not list_goes_on(self.words, after):
                self.denying = self.denied = False

    def deny_last(self) -> None:
        for one in self.label or self.last:
            one.negated = True
            if all(one is not other for other in self.said):
                self.said.append(one)
        self.label = []

    def report(self, words: str) -> None:
        """Words that weren't understood; those that say nothing anyway are passed over."""
        for word in words.split():
            entry, _ = match([word], 0)
            if word.isalpha() and word not in NUMBERS and not (entry and entry.roles):
                self.unknown.append(word)

    # ---- adjectives that wait ----

    def separate(self) -> None:
        """A comma or "and": what it parts may still share a noun."""
        if self.subject and not self.linked:
            self.loose = True
        if self.waiting and self.waiting[-1][0] != SEPARATOR:
            if self.waiting[-1][1] is None:
                self.describe_thing()
            self.waiting.append((SEPARATOR, None))

    def settle(self) -> None:
        """An age or another unit that leaves adjectives waiting."""
        if self.waiting and self.waiting[-1][1] is None and self.waiting[-1][0] != SEPARATOR:
            self.describe_thing()

    def describe_thing(self) -> None:
        """The adjectives right before a thing describe it, and no field holds that: they are reported."""
        while self.waiting and self.waiting[-1][0] != SEPARATOR:
            self.report(self.waiting.pop()[0])
        if not any(words for words, _ in self.waiting):
            self.waiting.clear()

    def flush(self) -> None:
        """No noun comes any more."""
        if self.waiting and self.waiting[-1][1] is None and self.waiting[-1][0] != SEPARATOR:
            self.describe_thing()
        for words, entry in self.waiting:
            if words != SEPARATOR:
                self.alone(words, entry)
        self.waiting = []

    def alone(self, words: str, entry: Entry | None) -> None:
        """What an adjective without a noun says of the person or the picture."""
        hits = [entry.adjective[noun] for noun in ALONE_NOUNS if noun in entry.adjective] if entry else []
        if entry and not hits and words in ALONE_WORDS:
            hits = [next(iter(entry.adjective.values()))]
        if not hits:
            self.report(words)
            return
        self.said.append(Said(*hits[0], negated=self.denying))

    def take_one(self, noun: str) -> list[Said]:
        if not self.waiting or not self.waiting[-1][1]:
            return []
        words, entry = self.waiting[-1]
        hit = entry.adjective.get(noun) if entry else None
        if hit:
            self.waiting.pop()
            return [Said(*hit)]
        return []

    def take_all(self, noun: str, noun_words: str) -> list[Said]:
        """Let the noun take what waits for it, the nearest first; what it can't use stands alone."""
        waiting, self.waiting = self.waiting, []
        found: list[Said] = []
        direct = True
        first = next((i for i, (words, _) in enumerate(waiting) if words != SEPARATOR), 0)
        for place in range(len(waiting) - 1, -1, -1):
            words, entry = waiting[place]
            if words == SEPARATOR:
                direct = False
                continue
            hit = entry.adjective.get(noun) if entry else None
            # "white, straight hair" at the start of a tag speaks of the person.
            listed = not direct and place == first and self.waiting_in_list and entry and "person" in entry.adjective
            if hit and (direct or not listed) and not self.clash(hit, found):
                found.insert(0, Said(*hit))
            elif direct and not (noun == "person" or (entry and hit)):
                self.report(words)
            elif direct and entry and not (hit or any(n in entry.adjective for n in ALONE_NOUNS)):
                self.report(words)
            else:
                self.alone(words, entry)
        return found

    @staticmethod
    def clash(hit: Value, found: list[Said]) -> bool:
        return not FIELDS[hit[0]].many and any(one.field == hit[0] for one in found)

    def taken(self, hit: Value) -> bool:
        return not FIELDS[hit[0]].many and any(one.field == hit[0] for one in self.said)
