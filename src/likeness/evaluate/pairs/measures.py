"""The numbers of pairs of pictures: SSIM and LPIPS on pixels, cosines in a feature network, and their composite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ...data.decode import open_image
from ...errors import ModelNotFound
from ...models.eye import unit
from ...models.pixels import to_pixels
from ..formulas.ssim import ssim
from ..networks import catalogue as networks
from ..networks.catalogue import Network
from ..networks.lpips import Lpips
from .pairing import Pair

PARTS = ("lpips", "ssim", "image", "text")
Values = dict[str, float]  # by part; without those that could not be had
Tick = Callable[[str, int], None]  # told a stage and how many pairs were just done


@dataclass(frozen=True)
class Tools:
    """What measures. `parts` are those that can be had; `missing` says of the others what to do."""

    parts: tuple[str, ...]
    lpips: Lpips | None = None
    network: Network | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


def prepare(
    parts: Sequence[str], trunk: str, network: str, weights: Mapping[str, str | Path], device: str | None = None
) -> Tools:
    """Load what `parts` need, or what all parts need and is there when it is empty.

    Raises `ModelNotFound` when a part that was asked for lacks its weights; one that was not is named in `missing`.
    """
    loaders = {
        f"lpips-{trunk}": (("lpips",), lambda: networks.lpips(trunk, weights, device)),
        network: (("image", "text"), lambda: networks.load(network, weights, device)),
    }
    found, missing = {}, {}
    wanted = [part for part in PARTS if part in (parts or PARTS)]
    for name, (gives, load) in loaders.items():
        if not set(gives) & set(wanted):
            continue
        try:
            found[gives[0]] = load()
        except ModelNotFound as error:
            if parts:
                raise
            missing[name] = str(error)
            wanted = [part for part in wanted if part not in gives]
    if "text" in wanted and network not in networks.reading():
        wanted.remove("text")
    return Tools(tuple(wanted), found.get("lpips"), found.get("image"), missing)


def measure(
    pairs: Sequence[Pair], size: int, tools: Tools, window: str, batch: int, chance: bool, tick: Tick
) -> tuple[list[Values], list[Values]]:
    """Numbers of each pair, and (with `chance`, from two pairs on) of its generated face with the next pair's real one.

    SSIM and LPIPS are taken at `size` x `size`; the feature network has its own resize.
    """
    own: list[Values] = [{} for _ in pairs]
    other: list[Values] = [{} for _ in pairs] if chance and len(pairs) > 1 else []
    on_pixels = {"lpips": tools.lpips, "ssim": lambda a, b: ssim(_bytes(a), _bytes(b), window)}
    functions = {part: function for part, function in on_pixels.items() if function and part in tools.parts}
    for start in range(0, len(pairs), batch) if functions else ():
        drawn = _pixels([pair.generated for pair in pairs[start : start + batch]], size)
        # one more than the batch: the last one's next
        real = _pixels([pairs[i % len(pairs)].real for i in range(start, start + len(drawn) + 1)], size)
        for part, function in functions.items():
            _put(own, part, function(drawn, real[:-1]), start)
            if other:
                _put(other, part, function(drawn, real[1:]), start)
        tick("comparing pixels", len(drawn))
    if tools.network and {"image", "text"} & set(tools.parts):
        _cosines(pairs, tools.network, tools.parts, own, other, batch, tick)
    for values in (*own, *other):
        if {"lpips", "ssim", "image"} <= set(values):
            values["composite"] = composite(values["lpips"], values["ssim"], values["image"])
    return own, other


def composite(lpips: float, ssim: float, image: float) -> float:
    """((1 - LPIPS) + SSIM + CLIP image cosine) / 3, as the field's scripts take it: three scales in one number."""
    return ((1 - lpips) + ssim + image) / 3


def _cosines(
    pairs: Sequence[Pair], network: Network, parts: Sequence[str], own: list[Values], other: list[Values], batch: int,
    tick: Tick,
) -> None:  # fmt: skip
    tell = partial(tick, "comparing features")
    drawn = _features(network, [pair.generated for pair in pairs], batch, tell)
    if "image" in parts:
        real = _features(network, [pair.real for pair in pairs], batch)
        _put(own, "image", (drawn * real).sum(1))
        if other:
            _put(other, "image", (drawn * real.roll(-1, 0)).sum(1))
    told = [i for i, pair in enumerate(pairs) if pair.text]
    if "text" in parts and told:
        starts = range(0, len(told), batch)
        texts = [network.text_features([pairs[i].text for i in told[s : s + batch]]).cpu() for s in starts]
        words = unit(torch.cat(texts))
        for values, turned in ((own, words), (other if len(told) > 1 else [], words.roll(-1, 0))):
            for i, value in zip(told, (drawn[told] * turned).sum(1).tolist(), strict=True) if values else ():
                values[i]["text"] = value


def _put(values: list[Values], part: str, numbers: Tensor, start: int = 0) -> None:
    for i, number in enumerate(numbers.tolist(), start):
        values[i][part] = number


def _bytes(pixels: Tensor) -> Tensor:
    """[-1, 1] -> 0 to 255, where SSIM is at home."""
    return (pixels.double() + 1) * 127.5


def _pixels(paths: Sequence[Path], size: int) -> Tensor:
    return to_pixels([open_image(path) for path in paths], size)


def _features(network: Network, paths: Sequence[Path], batch: int, tell: Callable[[int], None] | None = None) -> Tensor:
    """Unit vectors (N, D) of pictures, upright and on white."""
    parts = []
    for start in range(0, len(paths), batch):
        parts.append(network.features([open_image(path) for path in paths[start : start + batch]]))
        if tell:
            tell(len(parts[-1]))
    return unit(torch.cat(parts))
