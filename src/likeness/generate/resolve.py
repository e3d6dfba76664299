"""A request as asked -> one in which nothing is left open, or one line that says what is wrong. Loads no torch."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..models.family import FAMILIES, Family
from ..models.registry import ModelSpec, drawing
from ..records import ImageRequest
from . import loras, prompts, safety, schedulers, seeds, weighting
from .guidance import check_interval

MOST_STEPS = 1000
MOST_IMAGES = 10_000
MOST_GUIDANCE = 100
LARGEST_ORIGINAL = 16_384
# families that another option or command draws with
_ELSEWHERE = {
    "lora": "{name} is a LoRA: give it as --lora {name}, with --model {base}",
    "ddpm": "{name} is a model of groups and takes no prompt: draw with `likeness mix groups {name}`",
    "dino": "{name} draws from a photo: `likeness generate --from-face photo.jpg --model {name}`",
}


def family_of(spec: ModelSpec) -> Family:
    """Raises `UsageError` for a model that does not draw (a captioner, a LoRA)."""
    if spec.family in _ELSEWHERE:
        raise UsageError(_ELSEWHERE[spec.family].format(name=spec.name, base=spec.base))
    try:
        return FAMILIES[spec.family]
    except KeyError:
        raise UsageError(
            f"{spec.name} ({spec.title}) does not draw faces: choose from {', '.join(drawing())}"
        ) from None


def resolve(request: ImageRequest, spec: ModelSpec) -> ImageRequest:
    """Fill in the family's defaults and a seed, and check every value. Raises `UsageError` or `PromptRefused`."""
    family = family_of(spec)
    prompts.check(request.prompt)
    unwanted = prompts.check(request.negative_prompt, "negative prompt", may_be_empty=True)
    safety.check(readings(request.prompt), spec, unwanted, _names(request))
    resolved = dataclasses.replace(
        request,
        prompt=request.prompt.strip(),
        width=request.width if request.width is not None else spec.size,
        height=request.height if request.height is not None else spec.size,
        steps=request.steps if request.steps is not None else family.steps,
        guidance=float(request.guidance if request.guidance is not None else family.guidance),
        seed=seeds.fresh() if request.seed is None else request.seed,
        model=spec.name,
        loras=loras.check(request.loras),
        scheduler=schedulers.canonical(request.scheduler or family.scheduler),
    )
    _check_numbers(resolved, family, spec)
    if resolved.image is not None:
        _check_start(resolved)
    elif resolved.mask is not None:
        raise UsageError("a mask says which part of a start picture is drawn anew: give --image with --mask")
    return resolved


def shape(request: ImageRequest) -> tuple[Any, ...]:
    """What the pictures of one batch agree on, besides the length of their prompts."""
    start = (request.strength, request.mask is not None) if request.image else None
    size = (request.width, request.height, request.original_size)
    wants_less = bool(request.negative_prompt)
    led = (request.guidance, request.guidance_interval)
    return (*size, request.steps, *led, request.scheduler, wants_less, start, request.loras)


def resolve_all(request: ImageRequest, spec: ModelSpec, texts: Iterable[str]) -> list[ImageRequest]:
    """One request for each prompt of a mixture. What none of them says may be said by all together: that is refused."""
    found = [resolve(dataclasses.replace(request, prompt=text), spec) for text in texts]
    whole = {reading for one in found for reading in readings(one.prompt)}
    safety.check(whole, spec, found[0].negative_prompt, _names(request))
    return found


def readings(prompt: str) -> set[str]:
    """A prompt as it stands, without its weights, and without any sign: marks of emphasis must hide nothing."""
    said = weighting.plain(prompt)
    return {prompt, said, re.sub(r"[()\[\]\\+]", "", said)}


def _names(request: ImageRequest) -> list[str]:
    """Of the model and its LoRAs, with the folder that each lies in."""
    return [" ".join(re.split(r"[/\\]", name)[-2:]) for name in (request.model, *(n for n, _ in request.loras))]


def start_image(path: str, width: int, height: int) -> Any:
    """The start image in RGB, upright, cut to the wanted shape around its middle. Raises `UsageError`."""
    from PIL import Image

    return _cut(_open(path, "start image", "--image", "white"), width, height, Image.Resampling.LANCZOS)


def mask_image(path: str, image: str, width: int, height: int) -> Any:
    """The mask in black and white, cut as the start image `image` is. Raises `UsageError`."""
    from PIL import Image

    drawn = _open(path, "mask", "--mask", "black").convert("L").point(lambda value: 255 if value >= 128 else 0)
    picture = _open(image, "start image", "--image", "white")
    if drawn.size not in (picture.size, (width, height)):
        sizes = [f"{w}x{h}" for w, h in (drawn.size, picture.size)]
        raise UsageError(f"the mask is {sizes[0]}, the start image {sizes[1]}: paint the mask on the start image")
    mask = _cut(drawn, width, height, Image.Resampling.NEAREST)
    if not mask.getbbox():
        raise UsageError("the mask is black all over: paint white what is to be drawn anew")
    return mask


def _open(path: str, what: str, option: str, behind: str) -> Any:
    """A picture in RGB, upright; what shines through has the colour `behind`."""
    from PIL import Image, ImageOps

    if not Path(path).is_file():
        raise UsageError(f"no {what} {path}: give {option} the path of a picture")
    try:
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            if "A" in upright.getbands():
                upright = Image.alpha_composite(Image.new("RGBA", upright.size, behind), upright.convert("RGBA"))
            return upright.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UsageError(f"{path} is not a picture that can be read: give a whole PNG, JPEG or WebP") from None


def _cut(picture: Any, width: int, height: int, filter: Any) -> Any:
    from PIL import ImageOps

    return picture if picture.size == (width, height) else ImageOps.fit(picture, (width, height), filter)


def _check_numbers(request: ImageRequest, family: Family, spec: ModelSpec) -> None:
    assert request.width is not None and request.height is not None
    unit = family.multiple_of
    for what, size in (("width", request.width), ("height", request.height)):
        if size <= 0 or size % unit:
            near = max(unit, round(size / unit) * unit)
            raise UsageError(f"{what} {size} is not a multiple of {unit}: the nearest is {near}")
        if size > family.largest:
            raise UsageError(
                f"{what} {size} is too large for {spec.name}: {family.largest} at most, {spec.size} is best"
            )
    if request.original_size is not None and not family.sized:
        raise UsageError(f"{spec.name} cannot be told an original size, SDXL models can: leave it out")
    if not all(0 < side <= LARGEST_ORIGINAL for side in request.original_size or ()):
        raise UsageError(f"the sides of the original size must be 1 to {LARGEST_ORIGINAL}, not {request.original_size}")
    check_drawing(request)


def check_drawing(request: ImageRequest) -> None:
    """Steps, guidance, count and seed of a request for any kind of model. Raises `UsageError`."""
    steps, guidance, seed = request.steps or 0, request.guidance or 0.0, request.seed or 0
    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"steps must be 1 to {MOST_STEPS}, not {steps}")
    if not (math.isfinite(guidance) and 0 <= guidance <= MOST_GUIDANCE):
        raise UsageError(f"guidance must be 0 to {MOST_GUIDANCE}, not {guidance:g}")
    if request.guidance_interval is not None:
        check_interval(request.guidance_interval)
    if not 1 <= request.count <= MOST_IMAGES:
        raise UsageError(f"count must be 1 to {MOST_IMAGES}, not {request.count}")
    if not 0 <= seed <= seeds.LARGEST - request.count:
        raise UsageError(f"seed must be 0 to {seeds.LARGEST - request.count}, not {seed}")


def _check_start(request: ImageRequest) -> None:
    assert request.image and request.width and request.height and request.steps
    if not 0 < request.strength <= 1:
        raise UsageError(f"strength must be above 0 and at most 1, not {request.strength:g}")
    if int(request.steps * request.strength) < 1:
        raise UsageError(
            f"strength {request.strength:g} of {request.steps} steps leaves no step to draw: raise one of the two"
        )
    start_image(request.image, request.width, request.height)
    if request.mask is not None:
        mask_image(request.mask, request.image, request.width, request.height)
