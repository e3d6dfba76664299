"""What is measured picture by picture: the cosine with its words, and likeness to its reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from ...data.decode import open_image
from ...models.eye import unit
from ...records import Score
from ..formulas.bootstrap import TOLD, mean_interval
from ..networks.catalogue import Network
from ..networks.features import Progress
from ..pairs.measures import Tools, composite, measure
from ..pairs.pairing import Pair
from ..pairs.run import LARGEST, SMALLEST
from .asked import Item
from .changes import paired
from .measures import Found, Measure, Stage
from .sides import Side

WINDOW = "uniform"
BATCH = 32
# part -> what it is called, whether more is better, whether it is a network's
PARTS = {
    "lpips": ("LPIPS", False, False), "ssim": ("SSIM", True, False), "image": ("cosine with the reference", True, True),
    "text": ("cosine of picture and words", True, True), "composite": ("composite", True, True),
}  # fmt: skip


def cosines(found: Found, items: Sequence[Item], sides: Sequence[Side], network: Network, stage: Stage) -> None:
    """Of every picture and its words."""
    told = [i for i, item in enumerate(items) if item.prompt]
    if network.words is None or not told:
        return
    text = unit(network.text_features([items[i].prompt for i in told]).cpu())
    values = []
    for side in sides:
        tick = stage(f"{network.name}, words: {side.name}", len(told))
        features = unit(network.features([side.files[i] for i in told], tick))
        values.append((features * text).sum(1).tolist())
    if not found.cosines:
        of = [dict(zip(told, side, strict=True)) for side in values]
        found.cosines = [[side.get(i, math.nan) for i in range(len(items))] for side in of]
    _means(found, "words", "text", network.name, values)


def references(
    found: Found, items: Sequence[Item], sides: Sequence[Side], lpips: Any, networks: Sequence[Network], stage: Stage
) -> None:
    """Every picture with its reference: LPIPS and SSIM of pixels, cosines of features, and the composite."""
    held = [(i, item.reference) for i, item in enumerate(items) if item.reference]
    if not held:
        found.missing["likeness to references (LPIPS, SSIM, cosines)"] = "no prompt has a reference picture"
        return
    size = max(SMALLEST, min(LARGEST, min(open_image(sides[0].files[0]).size)))
    pairs = [
        [Pair(items[i].name, side.files[i], reference, items[i].prompt) for i, reference in held] for side in sides
    ]
    pixels = Tools(("lpips", "ssim") if lpips else ("ssim",), lpips)
    tick = stage("pixels", len(held) * len(sides))
    drawn = [measure(of, size, pixels, WINDOW, BATCH, False, partial(_second, tick))[0] for of in pairs]
    for part in pixels.parts:
        _means(found, "references", part, "", [[row[part] for row in side] for side in drawn])
    for network in networks:
        tools = Tools(("image",), None, network)
        tock = stage(f"{network.name}, references", len(held) * len(sides))
        alike = [measure(of, size, tools, WINDOW, BATCH, False, partial(_second, tock))[0] for of in pairs]
        _means(found, "references", "image", network.name, [[row["image"] for row in side] for side in alike])
        if lpips:
            both = [list(zip(a, b, strict=True)) for a, b in zip(drawn, alike, strict=True)]
            values = [[composite(p["lpips"], p["ssim"], q["image"]) for p, q in side] for side in both]
            _means(found, "references", "composite", network.name, values)
    found.protocol.append(
        f"References: {len(held)} pictures of each side have one; SSIM and LPIPS at {size} px. A good portrait of the "
        "same words is still another picture: these numbers ask for the same one."
    )
    if lpips:
        found.protocol.append(f"{lpips.told}.")


def _means(found: Found, section: str, part: str, network: str, values: Sequence[Sequence[float]]) -> None:
    title, higher, named = PARTS[part]
    key, by = (f"{section}/{part}/{network}", f", by {network}") if named else (f"{section}/{part}", "")
    how = f"mean of {title}{by}; interval: {TOLD.format('pictures')}"
    scores = tuple(Score(key, sum(v) / len(v), *mean_interval(v), len(v), how) for v in values)
    changes = tuple(paired(values[0], other, higher) for other in values[1:])
    found.measures.append(Measure(section, f"{title}{by}", higher, scores, changes))


def _second(tick: Progress, _: str, more: int) -> None:
    tick(more)
