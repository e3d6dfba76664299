"""Ages in numbers and words: "27-year-old", "in his mid-thirties", "between 30 and 39", "seventy or more"."""

from __future__ import annotations

from ..records import Age
from . import lexicon_people
from .ages import DECADES, ONES, OPEN_END, PARTS, TENS
from .lexicon_people import NOT_PEOPLE

NUMBERS = {word: n for n, word in enumerate(ONES)}
TENS_WORDS = {word: n * 10 for n, word in enumerate(TENS) if n > 1}
DECADE_WORDS = {word: first for first, word in DECADES.items()}
SOMETHINGS = {f"{TENS[first // 10]}{end}": first for first in DECADES for end in ("something", "somethings")}
ISH = {f"{word}ish": n for word, n in {**NUMBERS, **TENS_WORDS}.items()}

HEDGES = frozenset(
    "about around approximately approx roughly nearly almost circa some probably maybe perhaps ca age aged ages "
    "aging of at is the between over above past under below least looks turning just barely only who "
    "was younger than older early mid middle late her his their in".split()
)
UNITS = frozenset("year years yr yrs yo".split())
AFTER_BARE = frozenset(
    "and with who or has wearing man woman male female person lady gentleman guy but so in from is".split()
)
PERSON_WORDS = frozenset(
    word
    for words in (
        lexicon_people.MEN,
        lexicon_people.WOMEN,
        lexicon_people.PEOPLE_READ,
        *lexicon_people.MINOR_AGES.values(),
        "boy",
    )
    for word in words.split("|")
)
SHORT_UNITS = frozenset("month months week weeks day days".split())
DESCENT = frozenset("descent ethnicity heritage origin ancestry".split())
OVER, UNDER = frozenset("over above past".split()), frozenset("under below".split())
MORE = frozenset("older over above more beyond up plus upwards".split())
ADULT = 18


class AgeReader:
    """Reads at one place of a list of tokens; `at` moves on as it reads."""

    def __init__(self, words: list[str], at: int) -> None:
        self.words, self.at, self.start = words, at, at

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.words[place] if place < len(self.words) else ""

    def take(self, *options: str) -> str:
        if self.peek() in options:
            self.at += 1
            return self.words[self.at - 1]
        return ""

    def number(self) -> int | None:
        word = self.peek()
        if word.isdigit():
            self.at += 1
            return int(word) if len(word) <= 3 and int(word) <= OPEN_END else None
        if word in TENS_WORDS:
            self.at += 1
            ones = NUMBERS.get(self.peek(), 0)
            if 0 < ones < 10:
                self.at += 1
                return TENS_WORDS[word] + ones
            return TENS_WORDS[word]
        if word in NUMBERS or word in ISH:
            self.at += 1
            return NUMBERS.get(word, ISH.get(word))
        return None

    def units(self) -> bool:
        """Skip "years old", "yo", "years of age"; false where years of a thing are meant."""
        if self.peek() not in UNITS and not (self.peek() == "y" and self.peek(1) in ("o", "old")):
            return bool(self.take("something", "somethings", "ish"))
        word = self.words[self.at]
        self.at += 1
        found = word == "yo"
        if word == "y":
            self.at += 1
            found = True
        self.take(".")
        if self.take("old", "olds", "young"):
            found = True
        elif self.peek() == "of" and self.peek(1) == "age":
            self.at += 2
            found = True
        elif word != "yo" and (self.peek() in ("", ",", ".", ";", "or", "and", "with") or self.peek() in MORE):
            found = True
        return found


def _decade(reader: AgeReader) -> Age | None:
    """ "thirties", "30s", "early 30s", "thirty-something", with what may go on: "or older", "to forties"."""
    part = reader.take("early", "mid", "middle", "late")
    reader.take("to") if part == "mid" else None
    word = reader.peek()
    first = DECADE_WORDS.get(word, SOMETHINGS.get(word))
    if first is not None:
        reader.at += 1
    elif (
        word.isdigit() and int(word) % 10 == 0 and int(word) in DECADES and reader.peek(1) in ("s", "something", "ish")
    ):
        if reader.peek(1) == "ish":
            return None
        reader.at += 2
        first = int(word)
    elif word in TENS_WORDS and reader.peek(1) in ("something", "somethings"):
        reader.at += 2
        first = TENS_WORDS[word]
    else:
        return None
    low, high = (first + edge for edge in PARTS["mid" if part == "middle" else part]) if part else (first, first + 9)
    if reader.peek() in ("or", "and", "to") and reader.peek(1) in MORE:
        reader.at += 2
        return Age(low, OPEN_END)
    if reader.peek() in ("or", "to", "and"):
        rest = AgeReader(reader.words, reader.at + 1)
        later = _decade(rest)
        if later and later.low > first:
            reader.at, high = rest.at, later.high
    return Age(low, min(high, OPEN_END))


def _numbers(reader: AgeReader, hedges: list[str]) -> Age | None:
    low = reader.number()
    if low is None:
        return None
    high, sure = low, bool({"aged", "age", "ages"} & set(hedges))
    link = reader.peek()
    if link in ("to", "and", "or", ",", "until") or reader.peek() == "-":
        rest = AgeReader(reader.words, reader.at + 1)
        second = rest.number()
        near = (
            second is not None and second > low and (link in ("to", "-") or "between" in hedges or second - low <= 10)
        )
        if near and low >= 10 or near and (link in ("to", "-") or "between" in hedges):
            reader.at, high = rest.at, second or low
            sure = sure or "between" in hedges or reader.peek() in ("", ",", ".")
    if reader.take("s"):
        return None
    if reader.take("+"):
        return Age(low, OPEN_END) if reader.units() or low >= 10 else None
    if reader.peek() in SHORT_UNITS and reader.peek(1) == "old" and reader.peek(2) not in NOT_PEOPLE:
        months = reader.peek().startswith("month")
        reader.at += 2
        return Age(min(low // 12, OPEN_END) if months else 0)
    united = reader.units()
    if united and reader.peek() in NOT_PEOPLE:
        return None
    if reader.peek() in ("or", "and") and (reader.peek(1) in MORE) or reader.peek() == "plus":
        reader.at += 1 if reader.peek() == "plus" else 2
        return Age(low, OPEN_END)
    if not (united or sure or _bare(reader, low, hedges)):
        return None
    if OVER & set(hedges) or "least" in hedges or {"older", "than"} <= set(hedges):
        return Age(low, OPEN_END)
    if UNDER & set(hedges) or {"younger", "than"} <= set(hedges):
        # "under 30" is said of adults: only "under 18" and less speaks of minors.
        return Age(ADULT, low - 1) if low > ADULT else Age(0, max(low - 1, 0))
    return Age(low, high)


def _bare(reader: AgeReader, low: int, hedges: list[str]) -> bool:
    """Whether a number without "years" is an age: it stands alone, as in "woman, 35, brown hair" or "about forty"."""
    before = reader.words[reader.start - 1] if reader.start else ""
    alone = not reader.peek() or not reader.peek()[0].isalnum() or reader.peek() in AFTER_BARE
    if not alone or before in ("foot", "feet", "#") or reader.peek() in ("'", '"', "%"):
        return False
    if hedges:
        if hedges[-1] in ("of", "at") and (before in PERSON_WORDS | DESCENT or not before[:1].isalnum()):
            return True
        return low >= 10 or "who" in hedges or hedges[-1] not in ("of", "at", "in", "the", "is")
    return low >= 10 and (
        not before
        or not before[0].isalnum()
        or before in ("man", "woman", "male", "female", "person", "or", "hes", "shes", "theyre")
    )


def read_age(words: list[str], at: int) -> tuple[Age, int] | None:
    """The age that is said at a place, and the place after it."""
    reader = AgeReader(words, at)
    hedges: list[str] = []
    while reader.peek() in HEDGES and len(hedges) < 6:
        if reader.peek() in ("early", "mid", "middle", "late") and (age := _decade(reader)):
            return age, reader.at
        hedges.append(reader.peek())
        reader.at += 1
        if hedges[-1] in ("age", "aged", "approx"):
            reader.take(":", ".")
    place = reader.at
    if age := _decade(reader):
        return (Age(age.low, OPEN_END), reader.at) if OVER & set(hedges) else (age, reader.at)
    reader.at = place
    age = _numbers(reader, hedges)
    return (age, reader.at) if age else None
