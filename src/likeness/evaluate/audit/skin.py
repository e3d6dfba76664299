"""Skin tone as the individual typology angle of the cheeks, measured in the picture.

ITA = atan((L* - 50) / b*) in degrees: Chardon, Cretois & Hourseau 1991; its six classes: Del Bino & Bernerd 2013. It
was made for a colorimeter on skin. In a picture it holds light, white balance, exposure and make-up too: it compares
sets of pictures, and says nothing of one person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...data.detect import Detector, Point
from ...errors import UsageError
from ..networks.features import Progress

Array = np.ndarray[Any, Any]
# class -> the angles above which it begins, the lightest first
CLASSES: dict[str, float] = {
    "very light": 55.0, "light": 41.0, "intermediate": 28.0, "tan": 10.0, "brown": -30.0, "dark": -90.0,
}  # fmt: skip
TOLD = (
    "skin tone: individual typology angle atan((L* - 50) / b*) of the median colour of both cheeks (Chardon 1991; "
    "classes: Del Bino & Bernerd 2013), landmarks by MTCNN; of the pictures as they are, light and make-up included"
)
HALF = 0.11  # half a side of a cheek's square, by eye distance
SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, 2 degrees


def to_lab(rgb: Array) -> Array:
    """sRGB (..., 3) in [0, 1] -> CIE L*a*b* (..., 3) under D65: IEC 61966-2-1, CIE 15."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t = linear @ SRGB_TO_XYZ.T / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def angle(lightness: float, yellow: float) -> float:
    """ITA in degrees, -90 to 90. A grey or bluish skin (b* of 0 or less) has 90 or -90 by its lightness."""
    if yellow <= 0:
        return math.copysign(90.0, lightness - 50)
    return math.degrees(math.atan((lightness - 50) / yellow))


def class_of(ita: float) -> int:
    """The place of an angle in `CLASSES`."""
    return next(i for i, least in enumerate(CLASSES.values()) if ita > least or least == -90)


def cheeks(landmarks: Sequence[Point]) -> list[tuple[int, int, int, int]]:
    """The two squares to measure (left, top, right, bottom): below each eye, a little above halfway to the mouth."""
    left, right, _, left_mouth, right_mouth = landmarks
    half = max(1.0, HALF * math.dist(left, right))
    boxes = []
    for eye, mouth in ((left, left_mouth), (right, right_mouth)):
        x, y = (0.55 * e + 0.45 * m for e, m in zip(eye, mouth, strict=True))
        boxes.append((round(x - half), round(y - half), round(x + half) + 1, round(y + half) + 1))
    return boxes


def ita(image: Any, landmarks: Sequence[Point]) -> float | None:
    """The angle of a PIL picture's cheeks, by the median L* and b* of their pixels; None where none lies inside."""
    pixels = np.asarray(image.convert("RGB"), np.float64) / 255
    height, width = pixels.shape[:2]
    parts = []
    for x0, y0, x1, y1 in cheeks(landmarks):
        part = pixels[max(0, y0) : max(0, min(height, y1)), max(0, x0) : max(0, min(width, x1))]
        parts.append(part.reshape(-1, 3))
    found = np.concatenate(parts)
    if not len(found):
        return None
    lightness, _, yellow = np.median(to_lab(found), axis=0)
    return angle(float(lightness), float(yellow))


def measure(pictures: Sequence[Path], detector: Detector, progress: Progress | None = None) -> list[float | None]:
    """The angle of the largest face of each picture; None where no face with landmarks is found."""
    from PIL import Image

    angles: list[float | None] = []
    for path in pictures:
        try:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
        except OSError:
            raise UsageError(f"{path} is not a picture that can be read: draw or fetch it again") from None
        faces = [face for face in detector.detect(image) if face.landmarks]
        largest = max(faces, key=lambda face: face.area, default=None)
        angles.append(ita(image, largest.landmarks) if largest and largest.landmarks else None)
        if progress:
            progress(1)
    return angles
