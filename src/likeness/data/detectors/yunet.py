"""YuNet (Wu, Peng & Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector") through OpenCV, from an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UsageError
from ..detect import Face, bounded
from .opencv import load_cv2

if TYPE_CHECKING:
    from PIL import Image

WHERE = "https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet"


class YuNet:
    """Faces with five landmarks. `path`: face_detection_yunet_2023mar.onnx, which is not shipped (see `WHERE`).

    Raises `UsageError` when there is no such file or OpenCV cannot read it.
    """

    name = "yunet"

    def __init__(
        self, path: str | Path | None = None, longest: int = 640, threshold: float = 0.7, overlap: float = 0.3
    ) -> None:
        if path is None:
            raise UsageError(f"yunet needs its network as an ONNX file: download it from {WHERE} and give its path")
        if not Path(path).is_file():
            raise UsageError(f"no file {path}: download face_detection_yunet_2023mar.onnx from {WHERE}")
        self.longest = longest
        self._cv2 = load_cv2()
        try:
            self._net = self._cv2.FaceDetectorYN.create(str(path), "", (320, 320), threshold, overlap, 5000)
        except self._cv2.error as error:
            reason = " ".join(str(error).split())[:120]
            raise UsageError(f"{path} is not a network that OpenCV can read ({reason}). Download it anew.") from None

    def detect(self, image: Image.Image) -> list[Face]:
        """Faces in a picture, the most confident first."""
        small, x, y = bounded(image, self.longest)
        self._net.setInputSize(small.size)
        _, rows = self._net.detect(np.ascontiguousarray(np.asarray(small)[:, :, ::-1]))  # it wants blue first
        faces = []
        for row in np.zeros((0, 15)) if rows is None else np.asarray(rows, float):
            left, top, width, height = row[:4].tolist()
            # the person's right eye comes first, which is the left one in the picture; so for the mouth
            marks = tuple((px, py) for px, py in row[4:14].reshape(5, 2).tolist())
            box = (left, top, left + width, top + height)
            faces.append(Face(box, float(row[14]), (min(marks[:2]), max(marks[:2])), marks).scaled(x, y))
        return sorted(faces, key=lambda face: -face.confidence)
