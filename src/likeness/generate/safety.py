"""What is never drawn. The embedded model saw adults only; a sexual picture of a minor is refused for every model."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable

from ..errors import PromptRefused
from ..models.registry import ModelSpec

ADULT = 18
_log = logging.getLogger(__name__)

_NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
).split()  # 1-17: the ages that matter here
_NUMBER = rf"(?P<n>\d{{1,3}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_AGES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b{_NUMBER}[\W_]*(?:years?|yrs?|months?)[\s-]*(?:old|of[\s-]age)\b",
        rf"\b{_NUMBER}[\s-]*(?:y\.?/?o)\b",
        rf"\bage[sd]?\s*(?:of|:|is|about|around|only|just)?\s*{_NUMBER}\b",
    )
)
# Words that say "not yet grown up" by themselves. "girl" and "boy" alone do not: people say them of adults.
_CHILD = re.compile(
    r"\b(?:child(?:ren)?|kids?|kiddo|toddlers?|infants?|newborns?|bab(?:y|ies)(?![\s-]*(?:fac|hair|bangs|blue|doll))|"
    r"preteens?|pre-teens?|tweens?|teens?|teenage[dr]?s?|teen-?aged|adolescents?|juveniles?|under[\s-]?aged?|jailbaits?|"
    r"sweet\s+(?:1[5-7]|fifteen|sixteen|seventeen)|not\s+yet\s+(?:18|eighteen|(?:an\s+)?adult|(?:fully\s+)?grown)|"
    r"(?:a|an|the|is)\s+minors?(?!\s+(?:\w+\s+)?(?:scar|mole|mark|wound|wrinkle|blemish|flaw|detail|injur|cut))|"
    r"school[\s-]?(?:girl|boy|child|kid)s?|(?:little|small|tiny|young)\s+(?:girl|boy)s?|pupils?\s+at\s+school|"
    r"lolis?|lolitas?|lolicon|shotas?|shotacon|kindergart\w+|youngsters?|pubescents?|prepubescents?)\b"
)
_NOT_CHILD = re.compile(
    r"\b(?:child|kid|baby|teen)(?:like|ish)\b|\b(?:no|not\s+a|without|non)[\s-]+(?:child(?:ren)?|kids?|bab(?:y|ies)|teen\w*|minors?)\b"
)
_SEXUAL = re.compile(
    r"\b(?:nud(?:e|es|ity|ist)|naked|(?:without|no)\s+(?:any\s+)?cloth(?:es|ing)(?:\s+on)?|topless|bottomless|undress\w*|unclothed|stripp(?:ed|ing|er)|strip-?tease|sex|sexy|sexual\w*|"
    r"sexuali[sz]\w+|erotic\w*|porn\w*|nsfw|hentai|ecchi|xxx|fetish\w*|bdsm|orgasm\w*|masturbat\w*|genital\w*|penis\w*|vagina\w*|"
    r"vulva\w*|nipples?|areola\w*|breasts?|boobs?|tits|cleavage|buttocks?|lingerie|underwear|panties|bikini|seductive\w*|"
    r"aroused|arousing|horny|lewd|lascivious\w*|provocative\w*|sensual\w*|cum|cumshot|ejaculat\w*|blowjob\w*|intercourse|"
    r"fuck\w*|suck(?:ing)?\s+(?:a\s+)?(?:cock|dick)\w*|cock|dick|pussy|slut\w*|whore\w*|escort|rape[ds]?|molest\w*)\b"
)


# A negative prompt with these draws the opposite of a grown-up.
_GROWN = re.compile(r"\b(?:adults?|adulthood|grown|grown-?ups?|of[\s-]age|over\s+18|18\s*\+)(?!\w)")


def check(prompts: Iterable[str], spec: ModelSpec, negative: str = "", names: Iterable[str] = ()) -> None:
    """Raise `PromptRefused` if this model must not draw that. The log never holds the prompt's text.

    `prompts` are readings of one prompt (with and without its marks), `names` those of the model and its LoRAs, which
    say what they add. A negative prompt that names adults asks for the young. Where a prompt is sexual, "no child"
    counts as one: the model reads the noun, and a weight can take the "no" away.
    """
    readings = [_plain_letters(prompt) for prompt in prompts]
    whole = " ".join([*readings, *(_plain_letters(name) for name in names)])
    if _SEXUAL.search(whole) and (
        _CHILD.search(whole)
        or _NOT_CHILD.search(whole)
        or any(map(says_minor, readings))
        or _GROWN.search(_plain_letters(negative))
    ):
        _log.warning("refused for model %s: sexual content with a minor's age", spec.name)
        raise PromptRefused("likeness never draws sexual content with a minor. This prompt is refused for every model.")
    if spec.adults_only and any(map(says_minor, readings)):
        model = "mini" if spec.family == "mini" else spec.name
        raise PromptRefused(
            f"{model} draws adults only: it was trained on adult faces. Write an age of {ADULT} or more."
        )


def says_minor(prompt: str) -> bool:
    """Whether the prompt asks for somebody under 18: by number, by word, or as the grammar reads it."""
    text = _plain_letters(prompt)
    if _CHILD.search(_NOT_CHILD.sub(" ", text)):
        return True
    for pattern in _AGES:
        for found in pattern.finditer(text):
            word = found["n"]
            if (int(word) if word.isdigit() else _NUMBERS.index(word) + 1) < ADULT or "month" in found[0]:
                return True
    from ..grammar import parse

    age = parse(prompt).attributes.age
    # a bound from above only ("under 40") reaches down to 0 and asks for no child
    return age is not None and (age.high < ADULT or 0 < age.low < ADULT)


def _plain_letters(text: str) -> str:
    """Lower case without accents, look-alike forms and invisible signs; the underscores of tag lists as spaces."""
    apart = unicodedata.normalize("NFKD", text.lower().replace("ı", "i"))
    seen = (c for c in apart if unicodedata.category(c) not in {"Mn", "Cf"})
    return "".join(seen).replace("_", " ")
