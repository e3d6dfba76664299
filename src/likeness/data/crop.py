"""A found face -> a square picture of it: eyes level, the same framing everywhere, resized once with antialiasing.

Coordinates are pixel centres, (0, 0) the top left one. The turn is drawn by OpenCV (cubic, at the picture's own
resolution), and the one resize is Pillow's Lanczos; a crop that is not turned is cut and resized in one step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from .decode import SPARE, Picture
from .detect import Face, Point
from .detectors.opencv import load_cv2

if TYPE_CHECKING:
    from PIL import Image

Array = np.ndarray[Any, Any]
# Framing with margin 0. By the eyes: FFHQ's (Karras, Laine & Aila 2019, `recreate_aligned_images`), four eye distances
# or 3.6 times the way from eyes to mouth, centred a tenth of that way below the eyes. By the box: about the same.
BY_EYES, BY_MOUTH, BELOW, BY_BOX = 4.0, 3.6, 0.1, 1.4
MOUTH = 1.1  # eyes to mouth by eye distance where the mouth is not known
FEWEST = 8  # a crop of fewer pixels is no picture


@dataclass(frozen=True)
class CropConfig:
    """size: side of the result in pixels; margin: what is added on each side, as a part of the face's framing;
    policy_none: a picture without a face is left out ("drop") or cut at its centre ("center");
    policy_many: of several faces the largest is taken, or all, or the picture is left out ("drop");
    upscale: draw a face that has fewer pixels than `size` at `size` all the same, else at its own resolution;
    align: level the eyes ("eyes"; by the box where they are not known), or cut upright by the box ("box");
    edges: what lies outside the picture is mirrored ("mirror"), or the crop shrinks and moves to fit ("fit": by up to
    30 %, then it is mirrored).
    """

    size: int = 768
    margin: float = 0.0
    policy_none: str = "drop"
    policy_many: str = "largest"
    upscale: bool = False
    align: str = "eyes"
    edges: str = "fit"

    def __post_init__(self) -> None:
        choices = {
            "policy_none": ("drop", "center"),
            "policy_many": ("largest", "drop", "all"),
            "align": ("eyes", "box"),
            "edges": ("fit", "mirror"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"crop {name} cannot be {getattr(self, name)!r}: choose from {', '.join(allowed)}")
        if not FEWEST <= self.size <= 16384:
            raise UsageError(f"crop size {self.size} is not within {FEWEST} to 16384 pixels")
        if not -0.4 <= self.margin <= 4:
            raise UsageError(f"crop margin {self.margin} is not within -0.4 to 4")


@dataclass(frozen=True)
class Square:
    """Where a crop lies in its picture: centre, side in pixels, angle of its upper edge (radians, clockwise)."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def scaled(self, factor: float) -> Square:
        """The same square in a copy of the picture that is `factor` times as large."""
        return Square((self.x + 0.5) * factor - 0.5, (self.y + 0.5) * factor - 0.5, self.side * factor, self.angle)

    def outside(self, width: int, height: int) -> float:
        """The part of the square that lies outside a picture of this size, 0 to 1; along its upright frame."""
        half = self.side * (abs(math.cos(self.angle)) + abs(math.sin(self.angle))) / 2
        inside_x = max(0.0, min(self.x + half, width - 0.5) - max(self.x - half, -0.5))
        inside_y = max(0.0, min(self.y + half, height - 0.5) - max(self.y - half, -0.5))
        return 1 - inside_x * inside_y / (2 * half) ** 2


def choose_faces(faces: Sequence[Face], config: CropConfig, least: float = 0.0) -> list[Face | None]:
    """What to cut from a picture by the policies: faces, the largest first, or [None] for its centre, or nothing.

    least: faces of less than this part of the largest one's area are people in the background, and do not count.
    """
    if not faces:
        return [None] if config.policy_none == "center" else []
    ordered = sorted(main_faces(faces, least), key=lambda face: (-face.area, -face.confidence))
    if len(ordered) > 1 and config.policy_many == "drop":
        return []
    return list(ordered if config.policy_many == "all" else ordered[:1])


def main_faces(faces: Sequence[Face], least: float) -> list[Face]:
    """The faces whose area is at least this part of the largest one's."""
    most = max((face.area for face in faces), default=0.0)
    return [face for face in faces if face.area >= least * most]


def frame(size: tuple[int, int], face: Face | None, config: CropConfig) -> Square:
    """The square to cut from a picture of `size` (width, height): around a face, or without one the largest central."""
    width, height = size
    if face is None:
        return Square((width - 1) / 2, (height - 1) / 2, min(width, height))
    if face.eyes and config.align == "eyes":
        square = _by_eyes(face.eyes, face.landmarks, config.margin)
    else:
        side = max(face.width, face.height) * BY_BOX * (1 + 2 * config.margin)
        square = Square((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2 - 0.03 * side, side)
    if not all(map(math.isfinite, (square.x, square.y, square.side, square.angle))) or square.side < 1:
        return Square((width - 1) / 2, (height - 1) / 2, min(width, height))
    return _fitted(square, width, height) if config.edges == "fit" else square


def _by_eyes(eyes: tuple[Point, Point], landmarks: tuple[Point, ...] | None, margin: float) -> Square:
    (x0, y0), (x1, y1) = eyes
    apart, angle = math.hypot(x1 - x0, y1 - y0), math.atan2(y1 - y0, x1 - x0)
    middle = complex(x0 + x1, y0 + y1) / 2
    down = complex(-math.sin(angle), math.cos(angle))  # across the line of the eyes, towards the mouth
    mouth = apart * MOUTH
    if landmarks is not None and len(landmarks) == 5:
        corners = complex(*landmarks[3]) + complex(*landmarks[4])
        way = ((corners / 2 - middle) * down.conjugate()).real
        if way < 0:  # the face stands on its head: turn it round
            angle, down, way = angle + math.pi, -down, -way
        mouth = way
    # a face in half profile has its eyes close together, and a wrong mouth must not blow up the picture
    side = max(BY_EYES * apart, min(BY_MOUTH * mouth, 2 * BY_EYES * apart))
    centre = middle + down * BELOW * mouth
    return Square(centre.real, centre.imag, side * (1 + 2 * margin), angle)


def _fitted(square: Square, width: int, height: int) -> Square:
    """The square moved and shrunk, to no less than 70 %, so that less of it lies outside the picture."""
    spread = abs(math.cos(square.angle)) + abs(math.sin(square.angle))  # of the upright frame around it, by its side
    # moving by up to 5 % of the side is not seen; beyond that the face would leave its place, so the square shrinks
    side = square.side
    slack = 0.05 * side
    room = min(
        square.x + 0.5 + slack, width - 0.5 - square.x + slack, square.y + 0.5 + slack, height - 0.5 - square.y + slack
    )
    fitting = min(2 * room, width, height) / spread
    side = min(side, max(fitting, 0.7 * side))
    half = min(side * spread, width, height) / 2

    def moved(centre: float, length: int) -> float:
        wanted = min(max(centre, half - 0.5), length - 0.5 - half)
        return min(max(wanted, centre - slack), centre + slack)

    return Square(moved(square.x, width), moved(square.y, height), side, square.angle)


def needed_scale(square: Square, config: CropConfig) -> float:
    """The smallest scale of a picture, up to 1, from which the crop still comes out as from the whole."""
    return min(1.0, SPARE * config.size / square.side)


def cut_from(picture: Picture, square: Square, config: CropConfig, drawn: Image.Image | None = None) -> Image.Image:
    """A square of a picture that is not drawn yet, or only small (`drawn`), with no more drawing than it takes.

    `square` in the pixels of the picture at full size. Raises `BadImage`.
    """
    scale = needed_scale(square, config)
    if drawn is None or min(drawn.width / picture.size[0], drawn.height / picture.size[1]) < scale:
        drawn = picture.draw(scale)
    if drawn.size == picture.size:
        return cut(drawn, square, config)
    size = config.size if config.upscale else max(FEWEST, min(config.size, round(square.side)))
    return cut(drawn, square.scaled(drawn.width / picture.size[0]), replace(config, size=size, upscale=True))


def crop(image: Image.Image, face: Face | None, config: CropConfig | None = None) -> Image.Image:
    """The face as a square of `config.size`, or of its own resolution where that is less and `upscale` is off.

    `face` in the pixels of `image`; None cuts the centre. Raises `MissingExtra` when OpenCV is not installed.
    """
    config = config or CropConfig()
    return cut(image, frame(image.size, face, config), config)


def cut(image: Image.Image, square: Square, config: CropConfig) -> Image.Image:
    """A square of a picture, drawn as `crop` does."""
    from PIL import Image

    image = image if image.mode == "RGB" else image.convert("RGB")
    size = config.size if config.upscale else max(FEWEST, min(config.size, round(square.side)))
    half = square.side / 2
    if square.angle == 0 and square.outside(*image.size) < 1e-3:
        box = (
            max(0.0, square.x + 0.5 - half),
            max(0.0, square.y + 0.5 - half),
            min(float(image.width), square.x + 0.5 + half),
            min(float(image.height), square.y + 0.5 + half),
        )
        return image.resize((size, size), Image.Resampling.LANCZOS, box=box, reducing_gap=4.0)
    # turned at the picture's own resolution; of squares far larger than the result, four times the result is enough
    drawn = min(max(size, math.ceil(square.side)), 4 * size)
    turned = _turned(image, square, drawn)
    return turned if drawn == size else turned.resize((size, size), Image.Resampling.LANCZOS)


def _turned(image: Image.Image, square: Square, size: int) -> Image.Image:
    """The square drawn upright at `size` px, cubic, mirrored at the edges of the picture."""
    from PIL import Image

    cv2 = load_cv2()
    half = square.side * (abs(math.cos(square.angle)) + abs(math.sin(square.angle))) / 2 + 4
    left, top = max(0, int(square.x - half)), max(0, int(square.y - half))
    right, bottom = max(left + 1, int(square.x + half) + 2), max(top + 1, int(square.y + half) + 2)
    part = np.asarray(image.crop((left, top, min(right, image.width), min(bottom, image.height))))
    step = square.side / size  # picture pixels by result pixel
    if step > 1.5:  # four times the result is still far smaller than the picture: average first
        shrunk = max(1, round(part.shape[1] / step)), max(1, round(part.shape[0] / step))
        factors = shrunk[0] / part.shape[1], shrunk[1] / part.shape[0]
        part = cv2.resize(part, shrunk, interpolation=cv2.INTER_AREA)
    else:
        factors = 1.0, 1.0
    cosine, sine = math.cos(square.angle) * step, math.sin(square.angle) * step
    middle = (size - 1) / 2
    # from result to picture: rotate about the centre of both, then into the part's own pixels
    matrix = np.array(
        [
            [cosine, -sine, square.x - cosine * middle + sine * middle - left],
            [sine, cosine, square.y - sine * middle - cosine * middle - top],
        ]
    )
    scale = np.array(factors)
    matrix = matrix * scale[:, None]
    matrix[:, 2] += 0.5 * scale - 0.5
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return Image.fromarray(cv2.warpAffine(part, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101))


def fairface_align(image: Image.Image, eyes: Sequence[Sequence[float]], size: int = 128) -> Image.Image:
    """The alignment of the shipped faces: eyes level at x 0.315 and 0.685, y 0.315 of the crop.

    A similarity transform, cubic, drawn at twice the size with mirrored edges and halved by area.
    `eyes`: two centres (x, y) in pixels of `image`, the left one in the picture first.
    """
    from PIL import Image

    (x0, y0), (x1, y1) = eyes
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or math.hypot(x1 - x0, y1 - y0) < 1:
        raise UsageError(f"eyes {[list(map(float, e)) for e in eyes]} are not two places in a picture")
    cv2 = load_cv2()
    double = 2 * size
    turn = complex((0.685 - 0.315) * double, 0) / complex(x1 - x0, y1 - y0)
    move = complex(0.315 * double, 0.315 * double) - turn * complex(x0, y0)
    matrix = np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])
    pixels = np.asarray(image.convert("RGB"))
    drawn = cv2.warpAffine(pixels, matrix, (double, double), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return Image.fromarray(cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA))
