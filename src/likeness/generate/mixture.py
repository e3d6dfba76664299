"""What a mixture is made of: parts with shares that sum to 1, as a command line says them and as recipes write them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError

Parts = tuple[tuple[str, float], ...]
ANY = "any face"  # the mixture of nothing
METHODS = ("blend", "compose")
_WEIGHED = re.compile(r"(?s)(?P<text>.*\S)\s*:\s*(?P<weight>\d+\.?\d*|\.\d+)\s*")


@dataclass(frozen=True)
class Scene:
    """One picture to be: parts with their shares, its seed, and perhaps how far on the way to another seed's noise."""

    parts: Parts
    seed: int
    towards: tuple[int, float] | None = None

    def facts(self, method: str) -> dict[str, Any]:
        """What goes into the recipe."""
        noise = {"towards": {"seed": self.towards[0], "part": round(self.towards[1], 6)}} if self.towards else {}
        return {"method": method, "parts": [[text, round(share, 6)] for text, share in self.parts]} | noise


def read(texts: Sequence[str], weights: Sequence[float] = ()) -> Parts:
    """`["a man:0.7", "a woman:0.3"]` -> shares that sum to 1; a text without a weight has 1.

    With `weights`, one for each text, the texts are taken as they stand. Raises `UsageError` for weights that are none.
    """
    if weights and len(weights) != len(texts):
        raise UsageError(f"{len(weights)} weights for {len(texts)} parts: give one for each")
    found = [(m["text"], float(m["weight"])) if (m := _WEIGHED.fullmatch(t)) else (t, 1.0) for t in texts]
    if weights:
        found = list(zip(texts, weights, strict=True))
    total = sum(weight for _, weight in found)
    if not all(math.isfinite(weight) and weight >= 0 for _, weight in found) or not total > 0:
        raise UsageError(f"weights must be 0 or more and not all 0, not {', '.join(f'{w:g}' for _, w in found)}")
    return tuple((text.strip(), weight / total) for text, weight in found)


def written(parts: Parts, method: str) -> str:
    """A mixture in one line: `blend` in compel's words, `compose` in those of A1111, which draws it alike."""
    if len(parts) <= 1:
        return parts[0][0] if parts else ANY
    if method == "compose":
        return " AND ".join(f"{text} :{share:.4g}" for text, share in parts)
    texts = ", ".join(json.dumps(text, ensure_ascii=False) for text, _ in parts)
    return f"({texts}).blend({', '.join(f'{share:.4g}' for _, share in parts)})"


def title(parts: Parts) -> str:
    """`Indian + White`, or with its shares where they differ."""
    equal = len({round(share, 6) for _, share in parts}) == 1
    return " + ".join(text if equal else f"{share:.0%} {text}" for text, share in parts) or ANY


def between(a: Parts, b: Parts, part: float) -> Parts:
    """From a (at 0) to b (at 1): shares go over in a straight line."""
    names = dict.fromkeys(text for text, _ in (*a, *b))
    shares = {n: (1 - part) * sum(s for t, s in a if t == n) + part * sum(s for t, s in b if t == n) for n in names}
    return tuple((name, share) for name, share in shares.items() if share > 0)


def check_method(name: str) -> str:
    """Raises `UsageError`."""
    if name not in METHODS:
        raise UsageError(f"unknown method {name!r}: choose from {', '.join(METHODS)}")
    return name
