"""All marks that a picture gets, in the order in which they hold: pixels, texts, signature."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import atomic_path
from ..records import ImageRequest
from .a1111 import parameters
from .recipe import recipe_of
from .texts import KEY, png, xmp

# of a recipe: what makes the picture this one
IDENTITY = ("request", "fingerprint", "start_sha256", "mask_sha256", "mixture")
PAYLOAD = 5  # bytes, as many as a watermark holds


@dataclass(frozen=True)
class Marks:
    """Which marks. certificate, key: PEM files to sign with; without them a pair is made once in the state folder."""

    watermark: bool = True
    xmp: bool = True
    c2pa: bool = False
    recipe: bool = True
    prompt: bool = False  # the words in the manifest too; the recipe has them anyway
    certificate: str | None = None
    key: str | None = None
    state: Path | None = None


UNTOUCHED = Marks(watermark=False)  # the pixels as they were drawn: a recipe draws them again bit for bit


def mark_png(
    image: Any,
    request: ImageRequest,
    seed: int,
    fingerprint: str,
    extra: dict[str, Any] | None = None,
    marks: Marks | None = None,
) -> bytes:
    """A PIL image as a whole PNG file with its marks, signed last. `extra` goes into the recipe.

    Without C2PA the same arguments give the same bytes; a signature is different each time, so keep the bytes. A
    picture that is too small for a watermark gets the other marks; its recipe then names no `watermark`.
    Raises `UsageError` for a certificate that cannot sign, `MissingExtra` when what signs is not installed.
    """
    marks = marks or Marks()
    recipe = recipe_of(request, seed, fingerprint, extra)
    payload = b""
    if marks.watermark:
        from .watermark import SMALLEST, embed

        if min(image.size) >= SMALLEST:
            payload = payload_of(recipe)
            image = embed(image, payload)
            recipe["watermark"] = payload.hex()
    texts = {}
    if marks.recipe:
        hashes = {name: row["hash"] for name, row in ((extra or {}).get("drawn") or {}).get("loras", {}).items()}
        texts = {
            "parameters": parameters(request, seed, fingerprint, hashes),
            KEY: json.dumps(recipe, ensure_ascii=False),
        }
    data = png(image, texts, xmp(request.prompt if marks.recipe else "") if marks.xmp else None)
    if not marks.c2pa:
        return data
    from .c2pa import sign
    from .certificates import credentials

    model = {"model": Path(request.model).name, "fingerprint": fingerprint}
    signer = credentials(marks.certificate, marks.key, marks.state)
    told = model | ({"watermark": payload.hex()} if payload else {})
    return sign(data, signer, told, request.prompt if marks.prompt else None)


def save_png(
    path: str | Path,
    image: Any,
    request: ImageRequest,
    seed: int,
    fingerprint: str,
    extra: dict[str, Any] | None = None,
    marks: Marks = UNTOUCHED,
) -> Path:
    """Write a PIL image with its marks, whole or not at all. `extra` goes into the JSON block.

    Raises `UsageError` when the place cannot be written, and what `mark_png` raises.
    """
    data = mark_png(image, request, seed, fingerprint, extra, marks)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def payload_of(recipe: Mapping[str, Any]) -> bytes:
    """What the watermark says: the first bytes of the SHA-256 of what makes the picture this one.

    Among a million pictures two share theirs with probability 0.4: it finds a picture in a store, and proves nothing.
    """
    identity = {name: recipe[name] for name in IDENTITY if name in recipe}
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).digest()[:PAYLOAD]
