"""Looking at the pictures of pairs before they are measured: what cannot be read, and what should be known of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.decode import BadImage, open_image
from .pairing import Matched, Pair

NAMED = 5  # names in a remark
SQUEEZED = 0.02  # proportions that differ by more are said
LEFT_OUT = "left out"


@dataclass(frozen=True)
class Look:
    """What a picture file holds; `problem` if it cannot be read."""

    size: tuple[int, int] = (0, 0)
    grey: bool = False
    blank: bool = False
    problem: str = ""


Looks = Mapping[Path, Look]


def look(paths: Iterable[Path], tick: Callable[[int], None]) -> dict[Path, Look]:
    """Draw every file once."""
    found: dict[Path, Look] = {}
    for path in paths:
        if path not in found:
            found[path] = _look(path)
        tick(1)
    return found


def problem(pair: Pair, looks: Looks) -> str:
    """Why a pair cannot be measured, or nothing."""
    return looks[pair.generated].problem or looks[pair.real].problem


def common_size(pairs: Sequence[Pair], looks: Looks) -> int:
    """The commonest shorter side of the generated pictures; the smaller one of two that are as common."""
    times = Counter(min(looks[pair.generated].size) for pair in pairs)
    return min(times, key=lambda side: (-times[side], side))


def unmatched(matched: Matched) -> list[str]:
    """What has no partner, in words."""
    names = {"generated pictures without a real one": matched.only_generated}
    names["real pictures without a generated one"] = matched.only_real
    return [f"{LEFT_OUT}: {_listed(what, found)}" for what, found in names.items() if found]


def remarks(pairs: Sequence[Pair], looks: Looks) -> list[str]:
    """What should be known of these pairs, in words."""
    bad = [f"{pair.name} ({problem(pair, looks)})" for pair in pairs if problem(pair, looks)]
    good = [(pair, looks[pair.generated], looks[pair.real]) for pair in pairs if not problem(pair, looks)]
    kinds = {
        "pairs of unlike proportions, both stretched to a square": [p.name for p, a, b in good if _squeezed(a, b)],
        "pairs of a grey and a coloured picture; grey is taken as three equal channels": [
            p.name for p, a, b in good if a.grey != b.grey and not (a.blank or b.blank)
        ],
        "generated pictures of one colour": [p.name for p, a, _ in good if a.blank],
    }
    told = [f"{LEFT_OUT}: {_listed('pairs that cannot be read', bad)}"] if bad else []
    return told + [_listed(what, names) for what, names in kinds.items() if names]


def _look(path: Path) -> Look:
    from PIL import ImageChops

    try:
        picture = open_image(path)
    except BadImage as error:
        return Look(problem=str(error))
    red, green, blue = picture.split()
    grey = not (ImageChops.difference(red, green).getbbox() or ImageChops.difference(red, blue).getbbox())
    blank = all(low == high for low, high in (channel.getextrema() for channel in (red, green, blue)))
    return Look(picture.size, grey, blank)


def _squeezed(a: Look, b: Look) -> bool:
    ratios = sorted(look.size[0] / look.size[1] for look in (a, b))
    return ratios[1] / ratios[0] > 1 + SQUEEZED


def _listed(what: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} {what}: {', '.join(names[:NAMED])}{more}"
