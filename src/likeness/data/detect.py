"""Finding faces: one record for what was found, one Protocol for who finds it, one table of detectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..config import suggest
from ..errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

    from .decode import Picture

Point = tuple[float, float]
# The order of `Face.landmarks`; left and right as they lie in the picture, not on the person.
LANDMARKS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")


@dataclass(frozen=True)
class Face:
    """One face in a picture. Coordinates are pixels, (0, 0) is the centre of the top left pixel; they may lie outside.

    box: x0, y0, x1, y1; confidence: 0 to 1, comparable only within one detector; eyes: the two centres, the one that is
    further left in the picture first; landmarks: five points in the order of `LANDMARKS`, or None.
    """

    box: tuple[float, float, float, float]
    confidence: float = 1.0
    eyes: tuple[Point, Point] | None = None
    landmarks: tuple[Point, ...] | None = None

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    def scaled(self, x: float, y: float | None = None) -> Face:
        """The same face in a copy of the picture that is `x` times as wide and `y` (default: `x`) times as high."""
        y = x if y is None else y

        def move(point: Point) -> Point:
            # pixel centres: the outer edge of the picture, at -0.5, stays where it is
            return (point[0] + 0.5) * x - 0.5, (point[1] + 0.5) * y - 0.5

        return replace(
            self,
            box=(*move(self.box[:2]), *move(self.box[2:])),
            eyes=(move(self.eyes[0]), move(self.eyes[1])) if self.eyes else None,
            landmarks=tuple(move(p) for p in self.landmarks) if self.landmarks else None,
        )


class Detector(Protocol):
    """Finds faces in an RGB picture: the most confident first. Not for use by several threads at once.

    longest: it looks at a copy whose longer side has at most so many pixels; 0: it does not look at all.
    """

    name: str
    longest: int

    def detect(self, image: Image.Image) -> list[Face]: ...


class NoDetector:
    """Looks for nothing: every picture is cropped at its centre."""

    name = "none"
    longest = 0

    def detect(self, image: Image.Image) -> list[Face]:
        return []


def _mtcnn(**options: Any) -> Detector:
    from .detectors.mtcnn import Mtcnn

    return Mtcnn(**options)


def _yunet(**options: Any) -> Detector:
    from .detectors.yunet import YuNet

    return YuNet(**options)


def _haar(**options: Any) -> Detector:
    from .detectors.haar import Haar

    return Haar(**options)


DETECTORS: dict[str, Callable[..., Detector]] = {
    "mtcnn": _mtcnn,
    "yunet": _yunet,
    "haar": _haar,
    "none": NoDetector,
}


def make_detector(name: str = "mtcnn", **options: Any) -> Detector:
    """A detector by name. `options` are its own: `longest=` for all that look, `path=` (an ONNX file) for yunet.

    Raises `UsageError` for an unknown name or option, `MissingExtra` when OpenCV is not installed.
    """
    if name not in DETECTORS:
        raise UsageError(f"unknown face detector {name!r}{suggest(name, list(DETECTORS))}")
    try:
        return DETECTORS[name](**options)
    except TypeError as error:
        raise UsageError(f"face detector {name}: {error}") from None


def find_faces(picture: Picture, detector: Detector) -> tuple[list[Face], Image.Image | None]:
    """Faces in the pixels of the picture at full size, and what was drawn to find them (a large JPEG: small).

    Raises `BadImage`.
    """
    if not detector.longest:
        return [], None
    drawn = picture.draw(min(1.0, detector.longest / max(picture.size)))
    x, y = picture.size[0] / drawn.width, picture.size[1] / drawn.height
    return [face.scaled(x, y) for face in detector.detect(drawn)], drawn


def bounded(image: Image.Image, longest: int) -> tuple[Image.Image, float, float]:
    """An RGB copy whose longer side is at most `longest`, and the factors (x, y) that lead back to the picture."""
    from PIL import Image

    image = image if image.mode == "RGB" else image.convert("RGB")
    width, height = image.size
    ratio = longest / max(width, height)
    if ratio >= 1:
        return image, 1.0, 1.0
    small = image.resize(
        (max(1, round(width * ratio)), max(1, round(height * ratio))), Image.Resampling.BILINEAR, reducing_gap=2.0
    )
    return small, width / small.width, height / small.height
