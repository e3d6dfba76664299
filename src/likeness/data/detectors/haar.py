"""Haar cascades (Viola & Jones 2001) from OpenCV's own files: upright frontal faces, and eyes within them."""

from __future__ import annotations

import math
import threading
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UsageError
from ..detect import Face, Point, bounded
from .opencv import load_cv2

if TYPE_CHECKING:
    from PIL import Image

Array = np.ndarray[Any, Any]


class Haar:
    """Boxes, and eyes where the eye cascade is sure of two; no landmarks.

    longest, smallest: as for MTCNN; neighbours: how many overlapping hits make a face.
    """

    name = "haar"

    def __init__(self, longest: int = 512, smallest: float = 0.1, neighbours: int = 5) -> None:
        self.longest, self.smallest, self.neighbours = longest, smallest, neighbours
        self._cv2 = load_cv2()
        self._face = self._cascade("haarcascade_frontalface_default.xml")
        self._eye = self._cascade("haarcascade_eye.xml")
        self._lock = threading.Lock()  # a cascade holds the state of its search

    def _cascade(self, name: str) -> Any:
        folder = getattr(getattr(self._cv2, "data", None), "haarcascades", None)
        if folder is None or not hasattr(self._cv2, "CascadeClassifier"):
            raise UsageError("this OpenCV ships no Haar cascades: pip install 'opencv-python-headless<5', or use mtcnn")
        cascade = self._cv2.CascadeClassifier(str(Path(folder) / name))
        if cascade.empty():
            raise UsageError(f"{name} is missing in {folder}: reinstall opencv-python-headless, or use mtcnn")
        return cascade

    def detect(self, image: Image.Image) -> list[Face]:
        """Faces in a picture, the most confident first."""
        small, x, y = bounded(image, self.longest)
        gray = self._cv2.equalizeHist(np.asarray(small.convert("L")))
        least = max(24, round(self.smallest * max(gray.shape)))
        with self._lock:
            boxes, _, weights = self._face.detectMultiScale3(
                gray, 1.1, self.neighbours, minSize=(least, least), outputRejectLevels=True
            )
            faces = []
            for (left, top, width, height), weight in zip(
                np.reshape(boxes, (-1, 4)).tolist(), np.ravel(weights).tolist(), strict=True
            ):
                box = (left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5)
                sure = 1 / (1 + math.exp(-weight / 2))  # the last stage's margin, squeezed into 0 to 1
                faces.append(Face(box, sure, self._eyes(gray, left, top, width, height)).scaled(x, y))
        return sorted(faces, key=lambda face: -face.confidence)

    def _eyes(self, gray: Array, left: int, top: int, width: int, height: int) -> tuple[Point, Point] | None:
        """The likeliest pair in the upper part of a face: level, and about as far apart as eyes are."""
        upper = gray[top : top + int(height * 0.6), left : left + width]
        found = self._eye.detectMultiScale(upper, 1.05, 3, minSize=(max(8, width // 8),) * 2, maxSize=(width // 2,) * 2)
        centres = [
            (float(ex + ew / 2 - 0.5), float(ey + eh / 2 - 0.5)) for ex, ey, ew, eh in np.reshape(found, (-1, 4))
        ]
        best: tuple[float, Point, Point] | None = None
        for one, two in combinations(sorted(centres), 2):
            apart, tilt = (two[0] - one[0]) / width, abs(two[1] - one[1]) / width
            middle = (one[0] + two[0]) / 2 / width
            # on an upright face the cascade's box is 2.4 eye distances wide, and centred on them
            wrong = abs(apart - 0.42) + abs(middle - 0.5) + tilt
            if 0.25 < apart < 0.6 and tilt < 0.5 * apart and (best is None or wrong < best[0]):
                best = wrong, one, two
        if best is None:
            return None
        return (best[1][0] + left, best[1][1] + top), (best[2][0] + left, best[2][1] + top)
