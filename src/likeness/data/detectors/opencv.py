"""OpenCV, or a clear word that it is missing."""

from __future__ import annotations

from typing import Any

from ...errors import MissingExtra


def load_cv2() -> Any:
    """The module `cv2`. Raises `MissingExtra` when OpenCV is not installed."""
    try:
        import cv2
    except ImportError:
        raise MissingExtra("finding and cropping faces needs OpenCV: pip install 'likeness[data]'") from None
    return cv2
