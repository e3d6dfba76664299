"""Captions as models write them -> captions that speak of the face and of nothing else.

    clean("The image shows a woman with long hair. The background is blurred.")  ->  "A woman with long hair."
    problem(text) -> (reason, detail) or None      what makes a text unusable, see `problems`

`clean` takes away: greetings and offers of help, markdown, quotation marks round the whole, sentences and clauses
about the photograph, what was said before, and a sentence that the token limit cut. A sentence that names a part of
the face stays, whatever else it speaks of. Cleaning twice changes nothing more.
"""

from __future__ import annotations

import re

from .problems import LONGEST, Checks, problem
from .quality_words import ABOUT_PICTURE, DANGLING, EMPTY, FACE, PERSON, PICTURE

__all__ = ["Checks", "clean", "problem"]

PASSES = 8
SAME = 0.75  # share of a stretch of an earlier sentence that a repetition of it fills

_TOKENS = re.compile(r"</?s>|<\|[^|>]{1,40}\|>|\[/?INST\]|<think>.*?</think>", re.S)
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SPEAKER = re.compile(r"^\s*(?:assistant|answer|caption|description|response|output)\s*:\s*", re.I)
_MARKS = re.compile(r"\*\*|__|`+|(?<!\w)[*_](?=\w)|(?<=[\w.,:;!?])[*_](?!\w)")
_ITEM = re.compile(r"^\s*(?:[-*+•–]\s+|\(?\d{1,2}[.)]\s+)")
_HEADING = re.compile(r"^\s*#{1,6}\s+.*$|^\s*(?:[-*_=]\s*){3,}$|^\s*```.*$|^\s*\*\*[^*.!?:]+\*\*\s*$")
_LABEL_ONLY = re.compile(r"^[^.!?]{1,60}:$")
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»", "„": "“"}
_GREETING = re.compile(
    r"^(?:(?:sure|certainly|of course|absolutely|okay|ok|great)\b[^.:!?]{0,60}[!.,:]\s*)?"
    r"(?:(?:here(?:'s|’s| is| are)|this is|below is|the following is)\b[^.:]{0,120}"
    r"\b(?:description|caption|paragraph|summary|details|analysis|account)\b[^.:]{0,80}:\s*)?",
    re.I,
)
_OFFER = re.compile(
    r"^(?:let me know\b|i hope\b|feel free\b|is there anything\b|would you like\b"
    r"|do you (?:want|need)\b|if you (?:have|need|want|would)\b|please (?:note|let)\b|note that\b|note:"
    r"|(?:sure|certainly|of course|absolutely)[!.]?$|disclaimer\b"
    r"|this description (?:is|was|provides|focuses|should)\b|the (?:above )?description (?:is|provides|focuses)\b)",
    re.I,
)
# "I can't say who this is, but I can describe what I see: ..."
_ASIDE = re.compile(
    r"^(?:i['’]?m sorry\b|sorry\b|i apologi[sz]e\b|as an ai\b"
    r"|i (?:can['’]?t|cannot|can not|am (?:unable|not able)|don['’]?t|won['’]?t|do not)\b"
    r"|i['’]m (?:unable|not able)\b|(?:however|but),? i can\b|i can (?:describe|tell|provide)\b"
    r"|based on (?:the|this) (?:image|photo|picture),? i can\b)[^:]*(?::\s*|[.!]\s*$|$)",
    re.I,
)
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|approx|e\.g|i\.e|[A-Z])\.$")
_BOUNDARY = re.compile(r"(?<=[.!?])[\"”’')]*\s+(?=[\"“‘'(]?[A-Z0-9])")
_JOINT = re.compile(r"(.*)(?:[,;]|\s(?:and|with|while|but)\b).*")
_ENDED = re.compile(r"[.!?…][\"”’')\]]*$")

_ADJ = r"(?:(?!(?:in|of|on|from|for|with|behind)\b)[\w'’-]+,?\s+){0,5}?"
_DET = r"(?:the|this|that|an?|your|our)"
_OF = r"(?:\s+of|:)"
_IN_PICTURE = re.compile(
    r"(?P<comma>,)?\s*\b(?:as (?:seen|shown|depicted)\s+)?"
    r"(?:(?:shown|seen|depicted|featured|visible|pictured|captured|present)\s+)?"
    r"(?:in|within|from|on|of)\s+(?:the|this|that)\s+(?:provided |given |uploaded )?"
    rf"(?:{PICTURE})\b(?!['’])(?(comma),?)",
    re.I,
)
_SHOWS = (
    r"(?:clearly |prominently |simply |primarily |mainly )?"
    r"(?:shows?|showing|depicts?|depicting|features?|featuring|captures?|capturing|presents?|portrays?|displays?"
    r"|contains?|showcases?|illustrates?|reveals?|focuses on|is focused on"
    r"|cent(?:er|re)s on|highlights?|offers?|provides?|includes?|is of)(?:\s+that)?"
)
# Each takes the frame off a sentence and leaves what it frames.
_FRAMES = (
    re.compile(
        rf"^{_DET}\s+{_ADJ}(?:{PICTURE})s?\s+"
        rf"(?:(?:that )?you(?:['’]ve)? (?:\w+ )?(?:provided|shared|uploaded) )?{_SHOWS}\s+",
        re.I,
    ),
    re.compile(rf"^{_DET}\s+{_ADJ}(?:{PICTURE})\s+is\s+(?:{_DET}\s+)?{_ADJ}(?:{PICTURE}){_OF}\s+", re.I),
    re.compile(rf"^(?:(?:this|it|here)\s+is\s+)?(?:{_DET}\s+)?{_ADJ}(?:{PICTURE})(?:\s+{_SHOWS}|{_OF})\s+", re.I),
    re.compile(rf"^(?:in|from)\s+{_DET}\s+{_ADJ}(?:{PICTURE}),?\s+(?:(?:we|you|i) (?:can )?see\s+|there is\s+)?", re.I),
    re.compile(r"^(?:(?:we|you|i)\s+(?:can\s+)?(?:clearly\s+)?(?:see|observe|notice)(?:\s+that)?)\s+", re.I),
    re.compile(r"^(?:there is|there's|here is|here we see|this is|it is|it shows|it depicts)\s+(?=an?\s)", re.I),
    re.compile(
        r"^(?:based on|judging by|according to) (?:the|this) (?:\w+ )?(?:image|photo|picture|photograph),?\s+", re.I
    ),
)
_THEM = re.compile(r"^(him|her|them)\s+(?=\w+ing\b)", re.I)
_THEY = {"him": "He is ", "her": "She is ", "them": "They are "}
_PERSON = re.compile(rf"\b(?:{PERSON})(?:['’]s|s['’])?\b", re.I)
_SUBJECT = re.compile(
    rf"^(?:{_DET}|its|it is|with|in|there (?:is|are)|overall,?)?\s*(?P<gap>{_ADJ})(?:{ABOUT_PICTURE})\b(?=['’,\s.]|$)",
    re.I,
)
_OF_PICTURE = re.compile(
    rf"\b(?:{PICTURE}|camera|background|backdrop|lighting|composition|watermark|photographer)\b", re.I
)
_ONLY_FACE = re.compile(r"^(?:his|her|their|the (?:[\w-]+ ){0,3}\w+['’]s) face\b", re.I)
_SURROUNDS = re.compile(r"background|backdrop|wall|lighting|illumination", re.I)
_NOTHING = re.compile(
    r"^(?:there (?:is|are) )?no (?:other )?(?:people|persons|(?:visible )?(?:objects|text|watermarks?|background))\b"
    r"|\b(?:can(?:not|['’]t| not) be (?:determined|discerned|identified|seen clearly)|(?:difficult|hard|impossible"
    r"|not possible) to (?:tell|say|determine|discern))\b"
    r"|\b(?:is|are|as) the (?:main |primary |central |clear )?(?:focus|focal point)\b",
    re.I,
)
_BEHIND = (
    re.compile(
        r",?\s*(?:and\s+)?(?:is\s+)?(?:(?:set|standing|posed|posing|photographed|positioned|captured|pictured|isolated|all)\s+)*"
        r"against\s+(?:an?|the)\s+(?P<what>[^,.;]*?\b(?:background|backdrop|wall))\b(?:[^,.;]*)",
        re.I,
    ),
    re.compile(
        r"(?:,\s*(?:and\s+)?|\s+)with\s+(?:an?|the)\s+(?P<what>[^,.;]*?\b(?:background|backdrop))\b[^,.;]*", re.I
    ),
    re.compile(
        r",\s*(?:and|while|as)\s+the\s+(?P<what>(?:[\w-]+\s+){0,3}(?:background|backdrop|lighting)\b[^,.;]*)", re.I
    ),
    re.compile(
        r",?\s*(?:(?:photographed|captured|lit|illuminated|bathed|taken|shot)\s+)?(?:in|under|by|with)\s+"
        r"(?P<what>(?:[\w-]+,?\s+){0,4}(?:lighting|illumination))\b[^,.;]*",
        re.I,
    ),
)  # fmt: skip
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def clean(text: str) -> str:
    """The text without what does not speak of the face; "" when nothing is left. Never raises."""
    for _ in range(PASSES):
        before, text = text, _once(text)
        if text == before:
            break
    return text


def _once(text: str) -> str:
    text = _INVISIBLE.sub("", _TOKENS.sub(" ", text[:LONGEST].replace("\r\n", "\n").replace("\r", "\n")))
    text = " ".join(_unquoted(_lines(text)).split())
    text = _SPEAKER.sub("", text)
    text = _GREETING.sub("", text, count=1)
    said = _uncut(_without_asides([s for s in sentences(text) if not _OFFER.match(s)]))
    kept = [about for s in said if (about := _about_the_face(s))]
    return " ".join(_finished(s) for s in _new(kept))


def sentences(text: str) -> list[str]:
    """Split at full stops that end a sentence: not behind "Dr." or an initial."""
    found: list[str] = []
    for part in _BOUNDARY.split(text):
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] += f" {part}"
        elif part.strip():
            found.append(part.strip())
    return found


def _lines(text: str) -> str:
    """Markdown as running text: headings go, items of a list become sentences."""
    lines = [_ITEM.sub("", line) for line in text.split("\n") if not _HEADING.match(line)]
    lines = [line for raw in lines if (line := _MARKS.sub("", raw).strip())]
    if len(lines) < 2:
        return " ".join(lines)
    items = [line for line in lines if not _LABEL_ONLY.match(line)]
    open_ends = sum(not _ENDED.search(line) for line in items[:-1])
    # where no line ends in a full stop the last one need not be cut either
    stops = ["." if not _ENDED.search(line) else "" for line in items[:-1]]
    last = "." if items and open_ends and not _ENDED.search(items[-1]) and not _cut(items[-1]) else ""
    return " ".join(line.rstrip(",;") + stop for line, stop in zip(items, [*stops, last], strict=False))


def _unquoted(text: str) -> str:
    text = text.strip()
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    return text


def _without_asides(said: list[str]) -> list[str]:
    """Without "I can't say who this is" at the start, where a description follows; a bare refusal stays as it is."""
    rest = list(said)
    while rest and (aside := _ASIDE.match(rest[0])):
        left = rest[0][aside.end() :].strip()
        rest = [_capital(left), *rest[1:]] if left else rest[1:]
    return rest if any(_faces(s) for s in rest) else said


def _cut(sentence: str) -> bool:
    last = _WORD.findall(sentence)[-1:]
    return sentence.endswith((",", "-", ":", ";")) or bool(last and last[0].lower() in DANGLING)


def _uncut(said: list[str]) -> list[str]:
    """Without a last sentence that has no end; one that stands alone loses its last words only, if it needs to."""
    if not said or _ENDED.search(said[-1]):
        return said
    if len(said) > 1:
        return said[:-1]
    last = said[0]
    while _cut(last) and " " in last:
        last = last.rstrip(",;:- ")
        head = _JOINT.match(last)
        last = head[1] if head and len(head[1]) > len(last) // 2 else last.rpartition(" ")[0]
    return [last if last == said[0] else last.rstrip(",;:- ") + "."]


def _faces(sentence: str) -> bool:
    """Whether a part of the face is named, or something worn on it."""
    found = {w for word in _WORD.findall(sentence.lower()) for w in (word, *word.split("-"))}
    return bool(found & FACE)


def _about_the_face(sentence: str) -> str:
    """The sentence without its frame and its clauses about the photograph; "" when there was nothing else in it."""
    left = sentence
    for frame in _FRAMES:
        if (match := frame.match(left)) and (_PERSON.search(left[match.end() :]) or _faces(left[match.end() :])):
            left = left[match.end() :]
    if left != sentence and _ONLY_FACE.match(left) and not _faces(left):
        return ""  # "a close-up of his face": which face, has been said
    left = _THEM.sub(lambda m: _THEY[m[1].lower()], left)
    left = _IN_PICTURE.sub("", left)
    for clause in _BEHIND if _SURROUNDS.search(left) else ():
        left = clause.sub(lambda m: m[0] if _faces(m["what"]) else "", left)
    left = _capital(left.strip(" ,;"))
    if not _WORD.search(left) or _NOTHING.search(left):
        return ""
    subject = _SUBJECT.match(left)
    if subject and not _PERSON.search(subject["gap"]) and not _faces(left):
        return ""
    # the frame could not be taken off, and nobody is spoken of
    return "" if _OF_PICTURE.search(left) and not _faces(left) and not _PERSON.search(left) else _once_each(left)


def _once_each(sentence: str) -> str:
    """A list that says a thing twice running, once: "long hair, long hair, and long hair"."""
    parts = sentence.split(", ")
    kept = parts[:1]
    for part in parts[1:]:
        bare = part.removeprefix("and ").rstrip(".!?").casefold()
        if len(bare) < 3 or not f" {kept[-1].casefold()}".endswith(f" {bare}"):
            kept.append(part)
    end = sentence[-1] if sentence[-1:] in ".!?" and not kept[-1].endswith(sentence[-1]) else ""
    return ", ".join(kept) + end


def _new(said: list[str]) -> list[str]:
    """Without sentences that say what one before them says, and without those that a later one says in full."""
    kept: list[tuple[str, list[str]]] = []
    for sentence in said:
        content = [w for w in _WORD.findall(sentence.lower()) if w not in EMPTY]
        if any(_within(content, earlier) for _, earlier in kept):
            continue
        kept = [one for one in kept if not (one[1] and _within(one[1], content))]
        kept.append((sentence, content))
    return [sentence for sentence, _ in kept]


def _within(part: list[str], whole: list[str]) -> bool:
    """Whether `part` stands in `whole` in its order, and nearly without a gap."""
    if not part or len(part) > len(whole):
        return part == whole
    for start in (i for i, word in enumerate(whole) if word == part[0]):
        at, found = start, 0
        while at < len(whole) and found < len(part):
            found += whole[at] == part[found]
            at += 1
        if found == len(part) and len(part) >= SAME * (at - start):
            return True
    return False


def _finished(sentence: str) -> str:
    return sentence.rstrip(" ,;:") if not _ENDED.search(sentence) else sentence


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
