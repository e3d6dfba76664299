"""What marks a picture carries, whether they hold, and what may be concluded from them."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadImage, MissingExtra, UsageError
from .c2pa import SIGNATURES, Manifest, has_manifest, read_manifest
from .marks import payload_of
from .recipe import from_texts
from .texts import KEY, says_generated, texts_in

if TYPE_CHECKING:
    from .watermark import Found

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP")
BYTES = 64 << 20
PIXELS = 50_000_000
NOTHING = "no mark found. This proves nothing: marks are lost easily, and most generators set none"


@dataclass(frozen=True)
class Verdict:
    """What a picture says of itself.

    of_likeness: whether a mark of ours is there. recipe: how it was drawn, if it tells. xmp: whether it says that it is
    generated. manifest: the signed statement. watermark: what its pixels say. belongs: whether the recipe is this
    picture's by the watermark; None when one of the two is missing. notes: what could not be looked at, and why.
    """

    conclusion: str
    of_likeness: bool
    recipe: dict[str, Any] | None
    xmp: bool
    manifest: Manifest | None
    watermark: Found | None
    belongs: bool | None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; the payload in hexadecimal."""
        mark = self.watermark and asdict(self.watermark) | {"payload": self.watermark.payload.hex()}
        return asdict(self) | {"watermark": mark, "notes": list(self.notes)}


def verify(picture: str | Path | bytes, anchors: Iterable[str] = (), search: bool = True) -> Verdict:
    """Look for every mark in a picture file.

    anchors: PEM texts of the authorities that are trusted to say who signs. search: look for the watermark in resized
    and mirrored pictures too (a second for a large one).
    Raises `BadImage` for what is no picture or larger than `BYTES` or `PIXELS`, `UsageError` for a bad anchor.
    """
    from .watermark import detect

    data, name = (picture, "the picture") if isinstance(picture, bytes) else (_bytes(picture), str(picture))
    image, texts = _opened(data, None if isinstance(picture, bytes) else picture)
    recipe, manifest, notes = None, None, []
    try:
        recipe = from_texts(texts, name)
    except UsageError as error:
        if KEY in texts:
            notes.append(str(error))
    if data.startswith(tuple(SIGNATURES)):
        try:
            manifest = read_manifest(data, anchors)
        except MissingExtra:
            if has_manifest(data):
                notes.append("there is a C2PA manifest; reading it needs pip install 'likeness[service]'")
    found = detect(image, search)
    ours = recipe is not None and "version" in recipe
    belongs = payload_of(recipe) == found.payload if recipe and ours and found else None
    known = bool(found or ours or (manifest and manifest.valid and manifest.generator.startswith("likeness")))
    marked = says_generated(texts)
    return Verdict(
        _conclusion(recipe, marked, manifest, found, belongs), known, recipe, marked, manifest, found, belongs,
        tuple(notes),
    )  # fmt: skip


def _conclusion(
    recipe: dict[str, Any] | None, marked: bool, manifest: Manifest | None, found: Found | None, belongs: bool | None
) -> str:
    """One sentence, the strongest mark first."""
    texts = ["the recipe"] * (recipe is not None) + ["the XMP mark"] * marked
    left = texts + ["the watermark"] * bool(found)
    rest = f"; {_listed(left)} {'is' if len(left) == 1 else 'are'} there too" if left else ""
    if belongs is False:
        return "made by likeness, but its recipe is of another picture: the watermark says so"
    if manifest and not manifest.valid:
        return f"signed, but changed since, or damaged: the signature does not fit the picture{rest}"
    if manifest:
        made = f"made by {manifest.generator or 'a program'}" if manifest.generated else "not said to be generated"
        if manifest.trusted:
            return f"{made}: signed by {manifest.signer}, for whom a trust anchor vouches{rest}"
        return f"says of itself: {made}; signed by {manifest.signer}, for whom no trust anchor vouches{rest}"
    if found and texts:
        return f"made by likeness: {_listed(left)} say so, but there is no signature"
    if found:
        return "made by likeness: the watermark remains, the marks in the file were dropped"
    if recipe is not None:
        return f"says of itself: made by {recipe.get('software')}; there is neither a signature nor a watermark"
    if marked:
        return "says of itself: made by a trained model (XMP); there is neither a signature nor a watermark"
    return NOTHING


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _bytes(path: str | Path) -> bytes:
    """All bytes of a regular file of at most `BYTES`."""
    try:
        # without O_NONBLOCK, opening a pipe that nobody writes to waits for ever
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise BadImage("missing", path=path) from None
    except OSError as error:
        raise BadImage("no access", error.strerror or "", path) from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise BadImage("not a file", path=path)
        with open(handle, "rb", closefd=False) as file:
            data = file.read(BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > BYTES:
        raise BadImage("too large", f"over {BYTES >> 20} MiB", path)
    return data


def _opened(data: bytes, path: str | Path | None) -> tuple[Any, dict[str, Any]]:
    """The drawn picture and its texts."""
    from PIL import Image

    if not data:
        raise BadImage("empty", path=path)
    if len(data) > BYTES:
        raise BadImage("too large", f"over {BYTES >> 20} MiB", path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked here
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > PIXELS:
                    raise BadImage("too many pixels", f"{image.width}x{image.height}", path)
                texts = texts_in(image)
                return image.convert("RGB"), texts
    except Image.UnidentifiedImageError:
        raise BadImage("not an image", path=path) from None
    except Image.DecompressionBombError as error:
        raise BadImage("bomb", str(error), path) from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, OverflowError) as error:
        raise BadImage("damaged", " ".join(str(error).split())[:100], path) from None
