"""Files hold every pixel, whichever filter predicts them, and are no larger than Pillow's own."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.data.encode import encode
from likeness.data.recipe import PrepareConfig

PORTRAIT = Path(__file__).parent / "fixtures" / "portraits" / "synthetic_female_34.jpg"


@pytest.fixture(scope="module")
def face() -> Image.Image:
    return Image.open(PORTRAIT).convert("RGB").resize((160, 144))


def decoded(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("level", [0, 1, 3, 9])
def test_a_png_keeps_every_pixel_and_costs_no_more_bytes(level, face):
    pytest.importorskip("cv2", "4.12")
    own = io.BytesIO()
    face.save(own, "PNG", compress_level=level)
    data = encode(face, PrepareConfig(level=level).writing())
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and np.array_equal(decoded(data), np.asarray(face))
    assert len(data) < 1.02 * len(own.getvalue())


def test_without_opencv_pillow_writes_the_same_pixels(monkeypatch, face):
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert np.array_equal(decoded(encode(face, PrepareConfig().writing())), np.asarray(face))


@pytest.mark.parametrize(("name", "kind"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_other_formats_are_pillows(name, kind, face):
    data = encode(face, PrepareConfig(format=name, quality=90).writing())
    assert Image.open(io.BytesIO(data)).format == kind
    assert np.abs(decoded(data).astype(int) - np.asarray(face)).mean() < 8
