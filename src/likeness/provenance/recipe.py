"""The recipe of a picture: a JSON block that draws it again, and where a picture without one tells as much."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..config import build
from ..errors import UsageError
from ..records import ImageRequest
from .a1111 import parse_parameters
from .software import version
from .texts import KEY, says_generated, texts_in

VERSION = 1
# field of a request -> where a recipe keeps its picture's hash, and what it is called
_INPUTS = {"image": ("start_sha256", "start image"), "mask": ("mask_sha256", "mask")}


def recipe_of(
    request: ImageRequest, seed: int, fingerprint: str, extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The JSON block: everything that draws this one picture again, under its own seed."""
    alone = dataclasses.replace(request, seed=seed, count=1)
    plain = {k: v for k, v in dataclasses.asdict(alone).items() if v not in (None, ())}
    if request.image is None:
        plain.pop("strength", None)
    return {
        "version": VERSION,
        "software": f"likeness {version()}",
        "request": plain,
        "fingerprint": fingerprint,
        **(extra or {}),
    }


def read(path: str | Path) -> dict[str, Any]:
    """The recipe of a picture: our JSON block if it has one, else what an A1111 text says.

    Keys: `request` (fields of `ImageRequest`), `fingerprint`, `software`, `parameters` (the text), `marked` (whether
    XMP says that it is generated). Raises `UsageError` for a file that is missing, broken, no picture, or without a
    recipe.
    """
    return from_texts(_texts(path), path)


def from_texts(texts: Mapping[str, Any], path: str | Path = "the picture") -> dict[str, Any]:
    """As `read`, from what a picture carries beside its pixels; `path` is its name in messages."""
    text, block = texts.get("parameters"), texts.get(KEY)
    common = {"parameters": text, "marked": says_generated(texts)}
    if block is not None:
        try:
            recipe = json.loads(block)
            request_of(recipe)
        except (ValueError, TypeError, KeyError, AttributeError, UsageError):
            raise UsageError(f"the recipe in {path} is damaged: take the file as it was first saved") from None
        return recipe | common
    if text and (request := parse_parameters(text)):
        software = request.pop("software", "A1111 or alike")
        return {"software": software, "fingerprint": request.pop("fingerprint", ""), "request": request} | common
    said = "it is marked as generated, but " if common["marked"] else ""
    raise UsageError(f"{path} has no recipe: {said}the text that likeness and A1111 write into PNG files is not there")


def request_of(recipe: dict[str, Any]) -> ImageRequest:
    """The request that a recipe holds. Raises `UsageError` when it names no prompt or holds a wrong value."""
    known = {f.name for f in dataclasses.fields(ImageRequest)}  # a newer version may have written more
    request = build(
        ImageRequest, {"prompt": ""} | {k: v for k, v in recipe["request"].items() if k in known} | {"loras": ()}
    )
    if not request.prompt:
        raise UsageError("the recipe holds no prompt: write one")
    loras = tuple((str(name), float(weight)) for name, weight in recipe["request"].get("loras", ()))
    return dataclasses.replace(request, loras=loras)


def inputs_of(request: ImageRequest) -> dict[str, str]:
    """The SHA-256 of the pictures that a request starts from, as a recipe keeps them."""
    return {key: digest(path) for field, (key, _) in _INPUTS.items() if (path := getattr(request, field))}


def verify_inputs(recipe: dict[str, Any], given: Collection[str] = ()) -> None:
    """Raise `UsageError` when the start image or the mask of a recipe is gone or is another picture by now.

    `given`: those that the caller names anew.
    """
    for field, (key, called) in _INPUTS.items():
        name, wanted = recipe["request"].get(field), recipe.get(key)
        if not name or field in given:
            continue
        if not Path(name).is_file():
            raise UsageError(f"the {called} {name} is not here: put it back, or give another with --{field}")
        if wanted and digest(name) != wanted:
            raise UsageError(f"the {called} {name} has changed since: put the old one back, or name it with --{field}")


def digest(path: str | Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _texts(path: str | Path) -> dict[str, Any]:
    """Text chunks and XMP of a whole picture."""
    from PIL import Image

    if not Path(path).is_file():
        raise UsageError(f"no file {path}")
    try:
        with Image.open(path) as picture:
            return texts_in(picture)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise UsageError(f"{path} is broken or no picture") from None
