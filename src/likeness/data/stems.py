"""File names of prepared pictures: from their place in the source, plain ASCII, unique, the same every time."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b
from pathlib import Path

from .compact import Numbers
from .manifest import hashed
from .names import portable
from .paths import PICTURES
from .sources import Item

LONGEST = 80
# How the origins of the public sets begin: "FFHQ 00012", "FairFace train/2.jpg".
SETS = (
    "FairFace", "FFHQ", "CelebA-HQ", "CelebA", "EasyPortrait", "UTKFace", "LAION-Face", "Illinois DOC", "Indian faces",
)  # fmt: skip


def split_origin(origin: str, path: str) -> tuple[str, str]:
    """(name of the set, name within it): ("FFHQ", "00012"). `path`: where the source lies, which names unknown sets.

    An origin that says no more than a set's name (a row's own `source`) comes whole.
    """
    place = Path(path)
    for name in (*SETS, place.name, place.stem):
        if name and origin.startswith(f"{name} "):
            return name, origin[len(name) + 1 :]
    return origin, ""


def plain(text: str) -> str:
    """Letters, digits, `-` and `_`; what cannot be kept is told apart by a hash at the end."""
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9-]+", "_", folded).strip("_-")
    lost = len(kept) > LONGEST or not kept or not text.isascii()
    return f"{kept[:LONGEST]}-{short(text)}".lstrip("-") if lost else kept


def short(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


class Stems:
    """Gives each item a name of its own, in the order of asking. Holds a number a name."""

    def __init__(self) -> None:
        self._taken = Numbers()

    def take(self, item: Item, inner: str, prefix: str = "") -> str:
        """The stem for an item; `inner`: its name within its set; `prefix`: the source's, where there are several."""
        name = inner or item.path.name
        stem, dot, suffix = name.rpartition(".")
        name = stem if dot and f".{suffix.lower()}" in PICTURES else name
        wish = portable(f"{prefix}-{plain(name)}" if prefix else plain(name))
        found, number = wish, 0
        # file systems that do not tell A from a must not lose a picture
        while not self._taken.add(hashed(found.lower())):
            number += 1
            found = f"{wish}-{short(f'{item.origin} {item.path} {number}')}"
        return found
