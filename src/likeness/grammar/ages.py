"""How an age is said: numbers in words, decades, and the vague words that go with them."""

from __future__ import annotations

from ..records import Age

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
DECADES = {20: "twenties", 30: "thirties", 40: "forties", 50: "fifties", 60: "sixties", 70: "seventies",
           80: "eighties", 90: "nineties"}  # fmt: skip
# A third of a decade, as offsets from its first year.
PARTS = {"early": (0, 3), "mid": (4, 6), "late": (7, 9)}
OPEN_END = 120

# {n} is the number in digits or words, {p} his / her / their, {d} a decade as "thirties" or "30s".
EXACT_BEFORE = ("{n}-year-old", "{n}-year-old", "{n} year old")
EXACT_AFTER = (
    "aged {n}", "{n} years old", "{n} years of age", "around {n} years old", "about {n} years old", "at the age of {n}",
    "who is {n}", "of {n}", "aged about {n}", "approximately {n} years old",
)  # fmt: skip
RANGE_AFTER = (
    "aged {a}-{b}", "{a}-{b} years old", "between {a} and {b}", "between {a} and {b} years old", "{a} to {b} years old",
    "aged between {a} and {b}", "aged {a} to {b}", "between the ages of {a} and {b}",
)  # fmt: skip
DECADE_AFTER = (
    "in {p} {part}{d}",
    "in {p} {part}{d}",
    "in {p} {part}{d}",
    "in {p} {part}{d}",
    "aged {a}-{b}",
    "{a}-{b} years old",
    "between {a} and {b}",
    "{a} to {b} years old",
    "aged between {a} and {b}",
)
OVER_AFTER = (
    "over {a}", "aged {a} or over", "{a} or older", "{a} years or older", "at least {a} years old", "aged {a}+",
    "over {a} years old", "aged {a} or older", "aged over {a}",
)  # fmt: skip
OVER_DECADE_AFTER = ("in {p} {part}{d} or older", "in {p} {part}{d} or beyond")
TEENS_AFTER = ("in {p} teens", "aged 13-19", "between 13 and 19")

# Said beside an exact or ranged age, so that the word is learnt; alone they mean these ranges.
VAGUE = {
    "young": Age(20, 29),
    "middle-aged": Age(40, 59),
    "elderly": Age(70, OPEN_END),
}


def in_words(number: int) -> str:
    """`27` -> twenty-seven; digits from 100 on, which nobody spells out."""
    if number < 20:
        return ONES[number]
    if number >= 100:
        return str(number)
    tens, ones = divmod(number, 10)
    return TENS[tens] + (f"-{ONES[ones]}" if ones else "")


def vague_word(age: Age) -> str | None:
    """The vague word that agrees with an age, if there is one."""
    for word, span in VAGUE.items():
        if span.low <= age.low and age.high <= span.high:
            return word
    return None


def wordings(age: Age) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]:
    """Forms that go before the noun, forms that follow it, and what fills their places."""
    decade = DECADES.get(age.low)
    fill = {"a": str(age.low), "b": str(age.high), "d": decade or "", "s": f"{age.low}s", "part": ""}
    if age.exact:
        return EXACT_BEFORE, EXACT_AFTER, fill
    if age.high == OPEN_END:
        return (), OVER_AFTER + (OVER_DECADE_AFTER if decade else ()), fill
    if decade and age.high == age.low + 9:
        return (f"{TENS[age.low // 10]}-something",), DECADE_AFTER, fill
    if age == Age(13, 19):
        return ("teenage",), TEENS_AFTER, fill
    start = age.low - age.low % 10
    for part, (first, last) in PARTS.items():
        if start in DECADES and (age.low, age.high) == (start + first, start + last):
            fill |= {"part": f"{part} ", "d": DECADES[start], "s": f"{start}s"}
            return (), (*RANGE_AFTER[:2], "in {p} {part}{d}", "in {p} {part}{d}"), fill
    return (), RANGE_AFTER, fill
