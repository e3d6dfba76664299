"""Which part of a face is drawn anew: a mask, white there and black elsewhere, from an oval or from brush strokes."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter

SHADE = (46, 108, 196)  # what lies under the mask in the preview is tinted with it
FEATHER = 48  # the mask's edge is softened over 1/48 of the picture's width


@dataclass(frozen=True)
class Oval:
    """Centre and half axes, as shares of the picture's width and height."""

    x: float
    y: float
    across: float
    down: float


# where things are in a cropped, upright face
PLACES = {
    "Eyes": Oval(0.50, 0.42, 0.32, 0.10),
    "Nose": Oval(0.50, 0.56, 0.14, 0.14),
    "Mouth": Oval(0.50, 0.74, 0.22, 0.10),
    "Chin and beard": Oval(0.50, 0.82, 0.34, 0.20),
    "Hair": Oval(0.50, 0.10, 0.48, 0.22),
    "Whole face": Oval(0.50, 0.56, 0.36, 0.42),
}


def from_oval(oval: Oval, size: tuple[int, int]) -> Image.Image:
    """`L` mask of `size` (width, height)."""
    width, height = size
    mask = Image.new("L", size, 0)
    left, right = (oval.x - oval.across) * width, (oval.x + oval.across) * width
    top, bottom = (oval.y - oval.down) * height, (oval.y + oval.down) * height
    ImageDraw.Draw(mask).ellipse((left, top, right, bottom), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(max(1.0, width / FEATHER)))


def from_strokes(canvas: bytes, size: tuple[int, int]) -> Image.Image | None:
    """`L` mask from the PNG of a transparent canvas: painted is white. `None` if nothing is painted."""
    with Image.open(io.BytesIO(canvas)) as drawn:
        alpha = drawn.convert("RGBA").getchannel("A")
    mask = alpha.point(lambda value: 255 if value else 0).resize(size, Image.Resampling.BILINEAR)
    return mask if mask.getbbox() else None


def shown(picture: bytes, mask: Image.Image) -> Image.Image:
    """The picture with the mask tinted on it."""
    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("RGB")
    tint = Image.blend(image, Image.new("RGB", image.size, SHADE), 0.55)
    return Image.composite(tint, image, mask.resize(image.size))


def united(masks: list[Image.Image]) -> Image.Image:
    """White where any of the masks is."""
    whole = masks[0]
    for mask in masks[1:]:
        whole = ImageChops.lighter(whole, mask)
    return whole


def png(mask: Image.Image) -> bytes:
    found = io.BytesIO()
    mask.save(found, format="PNG")
    return found.getvalue()
