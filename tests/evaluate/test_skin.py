"""The typology angle: colours as skimage has them, classes as published, cheeks where they are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from likeness.data.detect import make_detector
from likeness.errors import UsageError
from likeness.evaluate.audit import skin

PLACES = ((40.0, 40.0), (88.0, 40.0), (64.0, 66.0), (44.0, 88.0), (84.0, 88.0))


def test_lab_is_skimages():
    rgb = np.random.default_rng(0).random((500, 3))
    rgb[:4] = [[0, 0, 0], [1, 1, 1], [0.02, 0.02, 0.02], [1, 0, 0]]
    assert np.abs(skin.to_lab(rgb) - rgb2lab(rgb)).max() < 0.02  # its white point has five digits, its matrix six


def test_angles_and_classes_are_the_published_ones():
    assert skin.angle(70, 20) == pytest.approx(45.0)
    assert skin.angle(50, 15) == 0.0 and skin.angle(30, 20) == pytest.approx(-45.0)
    assert skin.angle(70, 0) == 90.0 and skin.angle(30, -1) == -90.0
    names = list(skin.CLASSES)
    edges = {60: "very light", 55: "light", 41: "intermediate", 28: "tan", 10: "brown", -30: "dark", -90: "dark"}
    assert {edge: names[skin.class_of(edge)] for edge in edges} == edges


def test_the_cheeks_lie_between_eyes_and_mouth_and_are_all_that_is_measured():
    pixels = np.zeros((128, 128, 3), np.uint8)
    boxes = skin.cheeks(PLACES)
    for x0, y0, x1, y1 in boxes:
        assert 48 < y0 and y1 < 75 and 10 <= x1 - x0 <= 12 and 10 <= y1 - y0 <= 12
        pixels[y0:y1, x0:x1] = (224, 172, 140)
    assert boxes[0][2] < 60 and boxes[1][0] > 68  # beside the nose
    lightness, _, yellow = skin.to_lab(np.array([224, 172, 140]) / 255)
    assert skin.ita(Image.fromarray(pixels), PLACES) == pytest.approx(skin.angle(lightness, yellow))


def test_a_few_odd_pixels_change_nothing_and_no_pixel_is_no_angle():
    pixels = np.full((128, 128, 3), (224, 172, 140), np.uint8)
    plain = skin.ita(Image.fromarray(pixels), PLACES)
    for x0, y0, _, _ in skin.cheeks(PLACES):
        pixels[y0 : y0 + 3, x0 : x0 + 9] = 0  # the rim of a pair of glasses
    assert skin.ita(Image.fromarray(pixels), PLACES) == plain
    away = tuple((x + 500, y) for x, y in PLACES)
    assert skin.ita(Image.fromarray(pixels), away) is None


def test_the_same_skin_in_less_light_has_a_smaller_angle():
    """That light goes into the angle is its stated limit."""
    image = Image.new("RGB", (128, 128), (224, 172, 140))
    assert skin.ita(Image.eval(image, lambda v: v // 2), PLACES) < skin.ita(image, PLACES) - 30


def test_the_angle_separates_what_faces_are_labelled(faces):
    """White against Black faces of the test set: the means are far apart."""
    rows = [json.loads(line) for line in (faces / "labels.jsonl").read_text().splitlines()]
    means = []
    for ethnicity in ("White", "Black"):
        files = [faces / r["file_name"] for r in rows if r["ethnicity"] == ethnicity][:5]
        found = [a for a in skin.measure(files, make_detector("mtcnn")) if a is not None]
        assert len(found) >= 4
        means.append(sum(found) / len(found))
    assert means[0] > means[1] + 20


def test_a_picture_without_a_face_has_no_angle_and_a_broken_one_is_named(tmp_path):
    Image.new("RGB", (64, 64), "green").save(tmp_path / "none.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    told = []
    assert skin.measure([tmp_path / "none.png"], make_detector("mtcnn"), told.append) == [None] and told == [1]
    with pytest.raises(UsageError, match="broken.png is not a picture"):
        skin.measure([tmp_path / "broken.png"], make_detector("mtcnn"))
