"""Bytes of unknown origin -> an upright 8-bit RGB picture, or `BadImage` with a reason from `REASONS`.

Nothing here trusts a file: only plain pixel formats are opened (none that runs programs or reads other files), and its
size, its pixels and what it would unpack to are looked at before anything is unpacked.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UNREADABLE
from ..errors import BadImage as BadImage

if TYPE_CHECKING:
    from PIL import Image

REASONS = UNREADABLE
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM")
ORIENTATION = 0x0112  # the EXIF tag
# How much larger than needed a JPEG is drawn: its own halving is a plain mean, and a Lanczos resize after it stays over
# 40 dB of one from the full size only while it has something left to do (36 to 46 dB at 1, 40 to 49 dB at 1.5).
SPARE = 1.5
MAX_SCANS = 200  # of a progressive JPEG; encoders write about ten
MAX_PROFILE = 8 << 20
EARLY = ("truncated", "unexpected end", "end of file", "eof", "not enough")  # how decoders say it


@dataclass(frozen=True)
class Limits:
    """The largest file and picture that are opened. Pillow refuses more than twice its own pixel limit in any case."""

    bytes: int = 256 << 20
    pixels: int = 89_478_485  # Pillow's: 0.25 GB as RGB


@dataclass(frozen=True)
class Picture:
    """A file's bytes, looked at but not drawn yet. size: width and height when drawn upright at full size."""

    data: bytes
    format: str
    size: tuple[int, int]
    path: str | Path | None = None

    def draw(self, scale: float = 1.0) -> Image.Image:
        """The picture, upright, RGB. JPEG is drawn at 1/2, 1/4 or 1/8 of its size where that is no less than `scale`.

        That saves most of the time of a large JPEG; no other format can do it, and they come at full size.
        Raises `BadImage`.
        """
        with _told(self.path), _opened(self.data) as image:
            if image.format in ("JPEG", "MPO") and scale < 1:
                image.draft(None, (ceil(image.width * scale), ceil(image.height * scale)))
            image.load()
            orientation = 1 if image.format == "TIFF" else _orientation(image, self.data)  # Pillow turns TIFF itself
            return _upright(_rgb(image), orientation)


def open_image(path: str | Path, target: int | None = None, limits: Limits | None = None) -> Image.Image:
    """The picture in a file as RGB: turned upright by its EXIF tag, alpha on white, the first frame of an animation.

    target: the shorter side will be resized to so many pixels, so a large JPEG need not be drawn at full size.
    Raises `BadImage`.
    """
    picture = read_picture(path, limits)
    return picture.draw(min(1.0, SPARE * target / min(picture.size)) if target else 1.0)


def read_picture(path: str | Path, limits: Limits | None = None) -> Picture:
    """The bytes of a file and its picture's size; nothing is drawn. Raises `BadImage`."""
    limits = limits or Limits()
    return inspect_bytes(read_bytes(path, limits), limits, path)


def read_bytes(path: str | Path, limits: Limits | None = None) -> bytes:
    """All bytes of a regular file within the limit. Raises `BadImage`."""
    limits = limits or Limits()
    try:
        # without O_NONBLOCK, opening a pipe that nobody writes to waits for ever
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a null character in the name
        raise BadImage("missing", getattr(error, "strerror", "") or str(error), path) from None
    except OSError as error:
        reason = "missing" if error.errno in (40, 62) else "no access"  # ELOOP: a link to itself
        raise BadImage(reason, error.strerror or "", path) from None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise BadImage("not a file", path=path)
        if about.st_size > limits.bytes:
            raise BadImage("too large", f"{about.st_size} bytes", path)
        with open(handle, "rb", closefd=False) as file:
            data = file.read(limits.bytes + 1)
    except OSError as error:
        raise BadImage("no access", error.strerror or "", path) from None
    finally:
        os.close(handle)
    if len(data) > limits.bytes:
        raise BadImage("too large", f"over {limits.bytes} bytes", path)
    return data


def inspect_bytes(data: bytes, limits: Limits | None = None, path: str | Path | None = None) -> Picture:
    """What the bytes of a picture file say about it. Raises `BadImage`."""
    limits = limits or Limits()
    if len(data) > limits.bytes:
        raise BadImage("too large", f"{len(data)} bytes", path)
    if not data.strip(b"\0"):
        raise BadImage("empty", f"{len(data)} zero bytes" if data else "", path)
    with _told(path), _opened(data) as image:
        width, height = image.size
        if width * height > limits.pixels:
            raise BadImage("too many pixels", f"{width}x{height}", path)
        if width < 1 or height < 1:
            raise BadImage("damaged", f"{width}x{height}", path)
        if image.format in ("JPEG", "MPO") and data.count(b"\xff\xda") > MAX_SCANS:
            raise BadImage("bomb", f"a JPEG of {data.count(bytes([0xFF, 0xDA]))} scans", path)
        turned = image.format != "TIFF" and _orientation(image, data) in (5, 6, 7, 8)
        return Picture(data, str(image.format), (height, width) if turned else (width, height), path)


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # half-broken EXIF and the like: what matters raises, sizes are checked here
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            yield image


@contextmanager
def _told(path: str | Path | None) -> Iterator[None]:
    """Whatever a decoder raises on broken input, as `BadImage`."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except BadImage:
        raise
    except Image.DecompressionBombError as error:
        raise BadImage("too many pixels", _short(error), path) from None
    except UnidentifiedImageError:
        raise BadImage("not an image", path=path) from None
    except MemoryError:
        raise BadImage("bomb", "out of memory", path) from None
    except Exception as error:  # decoders raise anything: OSError, SyntaxError, struct.error, KeyError
        text = _short(error)
        if any(word in text.lower() for word in ("decompressed data too large", "too much memory", "max_text")):
            raise BadImage("bomb", text, path) from None
        early = any(word in text.lower() for word in EARLY)
        raise BadImage("truncated" if early else "damaged", text, path) from None


def _short(error: BaseException) -> str:
    return " ".join(f"{error}".split())[:120] or type(error).__name__


def _orientation(image: Image.Image, data: bytes) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or its block is broken."""
    try:
        exif = _png_exif(data) if image.format == "PNG" else image.getexif()
        value = int(exif.get(ORIENTATION, 1))
    except Exception:
        return 1  # a broken note on a good picture
    return value if 1 <= value <= 8 else 1


def _png_exif(data: bytes) -> Image.Exif:
    """The EXIF of a PNG without drawing it: its chunk may lie behind the pixels, where Pillow looks only then."""
    from PIL import Image

    exif, at = Image.Exif(), 8
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"eXIf":
            exif.load(b"Exif\0\0" + data[at + 8 : at + 8 + length])
            break
        at += 12 + length
    return exif


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    """Any mode of Pillow's as 8-bit sRGB without its metadata."""
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bits(image).convert("RGB")
    profile = image.info.get("icc_profile")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
    elif image.mode in ("P", "1", "YCbCr", "HSV"):
        image = image.convert("RGB")
    if image.mode in ("RGB", "CMYK", "LAB") and (profile or image.mode == "LAB"):
        image = _srgb(image, profile)
    plain = image if image.mode == "RGB" else image.convert("RGB")
    plain.info.clear()
    return plain


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or floats: the full range of its type becomes 0 to 255."""
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0, neginf=0)
    top = float(values.max(initial=0.0))
    if image.mode == "F":  # floats have no range of their own: 0 to 1, 0 to 255 and 0 to 65535 are all written
        full = next((limit for limit in (1.0, 255.0, 65535.0) if top <= limit), top)
    else:
        full = 65535.0 if top <= 65535 else 2.0**32 - 1 if top >= 2**31 else 2.0**31 - 1
    return Image.fromarray((values * (255 / full)).clip(0, 255).round().astype(np.uint8))


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours of a profile (a camera's, a printer's) as sRGB; as they are when the profile is unusable."""
    from PIL import ImageCms

    if profile is not None and len(profile) > MAX_PROFILE:
        return image
    try:
        transform = _transform(profile, image.mode)
        return image if transform is None else ImageCms.applyTransform(image, transform) or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


@lru_cache(maxsize=16)
def _transform(profile: bytes | None, mode: str) -> Any:
    """The way from a profile to sRGB, None where it is sRGB already. Raises `PyCMSError` for a broken profile."""
    from PIL import ImageCms

    source: Any = ImageCms.createProfile("LAB") if profile is None else ImageCms.ImageCmsProfile(BytesIO(profile))
    if mode == "RGB" and "srgb" in ImageCms.getProfileDescription(source).lower():
        return None
    target = ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(source, target, mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
