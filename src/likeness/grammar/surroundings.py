"""What stands round a place in the text: short looks ahead and back, each of bounded length."""

from __future__ import annotations

from .index import Entry, match

SHOWING = frozenset(
    "show shows showing bare bares baring flash flashes flashing exposing exposes reveals revealing".split()
)
HANDS = frozenset(("hand", "hands", "fist", "fists", "palm", "finger", "fingers"))
TOUCHING = frozenset(
    "on over across against to covering covers cover covered hides hiding under near front rests resting holding "
    "touching".split()
)
FACE_PARTS = frozenset("face chin cheek cheeks mouth forehead head nose eye eyes lips jaw temple brow".split())
LOOK_AHEAD = 12
STOPS = frozenset(".;!?")
COMMAS = frozenset(",/|()[]\"'*")


def ahead(words: list[str], at: int, entry: Entry) -> str:
    """ "direct" if a noun or an unknown word follows with only adjectives between, "later" if beyond a comma."""
    parted = False
    for _ in range(LOOK_AHEAD):
        if at >= len(words):
            return ""
        word = words[at]
        if not word[0].isalnum():
            if word not in COMMAS:
                return ""
            parted, at = True, at + 1
            continue
        other, at = match(words, at)
        if other is None:
            return "" if parted or word.isdigit() else "direct"
        if other.roles & {"and", "or"}:
            parted = True
        elif other.noun:
            return ("later" if other.noun in entry.adjective else "") if parted else "direct"
        elif other.values and other.thing:
            return "" if parted else "direct"
        elif other.roles & {"is", "break", "article", "not", "none"} and not other.adjective:
            return ""
    return ""


def followed_by_noun(words: list[str], entry: Entry, at: int) -> bool:
    """Whether the word right behind is a noun, other than a person, that takes this word as its adjective."""
    if not entry.adjective or at >= len(words) or not words[at][0].isalnum():
        return False
    other, _ = match(words, at)
    return bool(other and other.noun in entry.adjective and other.noun != "person")


def adjective_follows(words: list[str], noun: str, at: int) -> bool:
    if at >= len(words) or not words[at][0].isalnum():
        return False
    other, _ = match(words, at)
    return bool(other and noun in other.adjective)


def feeling_follows(words: list[str], at: int) -> bool:
    other = match(words, at)[0] if at < len(words) else None
    return bool(other and not other.thing and any(name == "expression" for name, _ in other.values))


def is_a_minor(words: list[str], at: int) -> bool:
    """ "She is a minor" against "a minor scar"."""
    if at_end(words, at):
        return True
    other, _ = match(words, at)
    return bool(other and other.roles and not (other.noun or other.values or other.adjective))


def at_end(words: list[str], at: int) -> bool:
    return at >= len(words) or not words[at][0].isalnum()


def shown(words: list[str], at: int) -> bool:
    """Whether a verb of showing stands shortly before, in the same clause."""
    for word in reversed(words[max(0, at - 6) : at]):
        if not word[0].isalnum():
            return False
        if word in SHOWING:
            return True
    return False


def hand_on_face(words: list[str], at: int) -> bool:
    """Whether a hand touches a part of the face in this clause."""
    clause = []
    for step, limit in ((-1, 7), (1, 9)):
        place = at + step
        while 0 <= place < len(words) and abs(place - at) <= limit and words[place] not in STOPS | {","}:
            clause.append(words[place])
            place += step
    near = set(clause)
    return bool(near & TOUCHING and near & FACE_PARTS) and not near & {"microphone", "mic"}


def list_goes_on(words: list[str], at: int) -> bool:
    """Whether "or" follows behind nothing but more things of the same list: "no hat, glasses or beard"."""
    commas = False
    for _ in range(2 * LOOK_AHEAD):
        if at >= len(words):
            return False
        word = words[at]
        if not word[0].isalnum():
            if word != ",":
                return False
            commas, at = True, at + 1
            continue
        entry, at = match(words, at)
        if entry is None:
            return False
        if "or" in entry.roles:
            return True
        if not commas or not (entry.thing or entry.adjective or entry.noun == "fringe" or "article" in entry.roles):
            return False
    return False
