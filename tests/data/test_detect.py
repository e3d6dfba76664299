"""Faces are found where they are, by every detector, and MTCNN is the one that its authors made."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.data.decode import inspect_bytes
from likeness.data.detect import DETECTORS, Face, bounded, find_faces, make_detector
from likeness.data.detectors.mtcnn import MtcnnConfig, _best
from likeness.data.detectors.nets import load_nets
from likeness.errors import MissingExtra, UsageError

PORTRAITS = Path(__file__).parent / "fixtures" / "portraits"
LABELS = list(csv.DictReader((PORTRAITS / "labels.csv").open(encoding="utf-8")))
REFERENCE = json.loads((PORTRAITS / "mtcnn_reference.json").read_text(encoding="utf-8"))["faces"]


@pytest.fixture(scope="module")
def mtcnn():
    return make_detector("mtcnn")


@pytest.fixture(scope="module")
def haar():
    return make_detector("haar")


def picture(name: str) -> Image.Image:
    return Image.open(PORTRAITS / name).convert("RGB")


def overlap(one, two) -> float:
    sides = np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2])
    shared = np.clip(sides, 0, None).prod()
    return shared / (np.subtract(one[2:], one[:2]).prod() + np.subtract(two[2:], two[:2]).prod() - shared)


def truth(row) -> tuple[tuple[float, ...], np.ndarray]:
    x, y, w, h, *eyes = (float(row[k]) for k in row if k.startswith(("box_", "eye")))
    return (x, y, x + w, y + h), np.array(eyes).reshape(2, 2)


def test_there_is_something_to_find():
    assert len(LABELS) == len(REFERENCE) == 6


def test_mtcnn_finds_what_the_original_finds():
    """`mtcnn_reference.json` was made with mtcnn 1.0.0 on TensorFlow 2.21. Its boxes count pixels from 1."""
    detector = make_detector("mtcnn", longest=480, smallest=20 / 480, settle=0)
    for name, expected in REFERENCE.items():
        found = detector.detect(picture(name))
        assert len(found) == len(expected), name
        for face, reference in zip(found, expected, strict=True):
            assert np.abs(np.array(face.box) + 1 - reference["box"]).max() < 0.05, name
            assert np.abs(np.array(face.landmarks) - reference["points"]).max() < 0.05, name
            assert abs(face.confidence - reference["confidence"]) < 1e-3


@pytest.mark.parametrize("name", list(REFERENCE)[:3])
def test_mtcnn_puts_the_eyes_where_they_are_however_small_the_copy(name):
    """A crop of 768 px shifted by a thousandth is one pixel off: more than that, and it is another picture."""
    buffer, image = io.BytesIO(), picture(name)
    image.resize((3 * image.width, 3 * image.height)).save(buffer, "JPEG", quality=92)
    large = inspect_bytes(buffer.getvalue())
    apart = {}
    for settle in (0, MtcnnConfig.settle):
        (small,), drawn = find_faces(large, make_detector("mtcnn", settle=settle))
        (whole,) = make_detector("mtcnn", longest=3072, settle=settle).detect(large.draw())
        assert drawn.width <= large.size[0] / 2
        apart[settle] = np.abs(np.subtract(small.eyes, whole.eyes)).max() / (whole.eyes[1][0] - whole.eyes[0][0])
    assert apart[MtcnnConfig.settle] < min(0.001, apart[0])


@pytest.mark.parametrize("row", LABELS, ids=lambda row: row["file_name"])
def test_mtcnn_and_haar_find_the_face(row, mtcnn, haar):
    box, eyes = truth(row)
    image = picture(row["file_name"])
    for detector, least, most in ((mtcnn, 0.7, 0.12), (haar, 0.4, 0.25)):
        face = max(detector.detect(image), key=lambda f: f.area)
        assert json.loads(json.dumps(face.box)) == list(face.box)  # plain numbers
        assert overlap(face.box, box) > least and 0.5 < face.confidence <= 1
        if detector is mtcnn or face.eyes:
            wrong = np.hypot(*(np.array(face.eyes) - eyes).T).mean() / math.dist(*eyes)
            assert wrong < most  # the labels themselves are about 0.06 off
            assert face.eyes[0][0] < face.eyes[1][0]
        if face.landmarks:
            assert len(face.landmarks) == 5 and face.landmarks[2][1] > eyes[:, 1].mean()  # the nose is below the eyes


def test_haar_finds_most_eyes(haar):
    assert sum(haar.detect(picture(row["file_name"]))[0].eyes is not None for row in LABELS) >= 4


def test_coordinates_are_those_of_the_picture_however_large_it_is(mtcnn):
    """The same face four times as large, and off the centre of a wide picture."""
    small = picture("synthetic_male_21.jpg")
    large = Image.new("RGB", (4000, 2400), "gray")
    large.paste(small.resize((1920, 1920), Image.Resampling.LANCZOS), (1700, 300))
    one, two = mtcnn.detect(small)[0], mtcnn.detect(large)[0]
    expected = (np.array(one.landmarks) + 0.5) * 4 - 0.5 + (1700, 300)
    apart = math.dist(*one.eyes) * 4
    assert np.hypot(*(np.array(two.landmarks) - expected).T).max() < 0.1 * apart


def test_small_faces_of_a_crowd(mtcnn):
    crowd = Image.new("RGB", (1024, 1024), "gray")
    for i, row in enumerate(LABELS * 2):
        crowd.paste(picture(row["file_name"]).resize((256, 256)), (i % 4 * 256, i // 4 * 256))
    found = make_detector("mtcnn", longest=1024, smallest=0.04).detect(crowd)
    assert len([f for f in found if f.width > 40]) == 12
    assert [f.confidence for f in found] == sorted((f.confidence for f in found), reverse=True)


def test_nothing_to_find(mtcnn, haar):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    for image in (
        Image.new("RGB", (640, 480), "white"),
        Image.fromarray(noise),
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (3000, 5)),
    ):
        for detector in (mtcnn, haar, make_detector("none")):
            assert detector.detect(image) == []


def test_grey_pictures_are_searched_too(mtcnn, haar):
    grey = picture("london_smiling_front_042_08.jpg").convert("L")
    assert len(mtcnn.detect(grey)) == len(haar.detect(grey)) == 1


def test_a_scaled_face_keeps_the_edges_of_the_picture():
    face = Face((-0.5, -0.5, 9.5, 19.5), 0.5, ((0, 0), (1, 1)), ((0, 0),) * 5)
    half = face.scaled(0.5)
    assert half.box == (-0.5, -0.5, 4.5, 9.5) and half.confidence == 0.5
    assert half.scaled(2).eyes == face.eyes and face.scaled(1, 3).height == 60
    assert (face.width, face.height, face.area) == (10, 20, 200)


def test_a_bounded_copy_says_how_to_get_back():
    image = Image.new("L", (1001, 500))
    small, x, y = bounded(image, 100)
    assert small.size == (100, 50) and small.mode == "RGB" and (x, y) == (10.01, 10)
    assert bounded(small, 100) == (small, 1, 1)


def test_finding_faces_in_a_large_jpeg_draws_it_small(mtcnn, tmp_path):
    large = picture("synthetic_male_21.jpg").resize((1920, 1920), Image.Resampling.LANCZOS)
    large.save(tmp_path / "large.jpg", quality=90)
    stored = inspect_bytes((tmp_path / "large.jpg").read_bytes())
    faces, drawn = find_faces(stored, mtcnn)
    assert drawn is not None and drawn.size == (960, 960) and len(faces) == 1
    direct = mtcnn.detect(large)[0]
    assert np.hypot(*np.subtract(faces[0].eyes, direct.eyes).T).max() < 0.03 * math.dist(*direct.eyes)
    assert find_faces(stored, make_detector("none")) == ([], None)


def test_the_weaker_of_overlapping_boxes_goes():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 0, 30, 10], [2, 2, 6, 6], [0, 0, 10, 10]], float)
    scores = np.array([0.8, 0.9, 0.7, 0.95, 0.1])
    assert _best(boxes, scores, 0.5, 0.5).tolist() == [3, 1, 2]
    assert _best(boxes, scores, 0.5, 0.5, nested=True).tolist() == [3, 2]  # what holds the small box goes with it
    assert _best(boxes[:0], scores[:0], 0.5, 0.5).tolist() == []


def test_the_networks_do_not_depend_on_batch_mates():
    _, refine, output = load_nets()
    patches = torch.randn(5, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(refine(patches)[1][2:3], refine(patches[2:3])[1], atol=1e-6)
    assert [tuple(t.shape) for t in output(torch.zeros(2, 3, 48, 48))] == [(2, 4), (2, 10), (2,)]


def test_names_options_and_files_that_are_wrong(tmp_path):
    assert list(DETECTORS) == ["mtcnn", "yunet", "haar", "none"]
    with pytest.raises(UsageError, match="did you mean 'mtcnn'"):
        make_detector("mtcn")
    with pytest.raises(UsageError, match="largest"):
        make_detector("haar", largest=3)
    with pytest.raises(UsageError, match="smallest within"):
        MtcnnConfig(smallest=0)
    (tmp_path / "nets.safetensors").write_bytes(b"junk" * 9)
    with pytest.raises(UsageError, match="does not hold the weights"):
        make_detector("mtcnn", weights=tmp_path / "nets.safetensors")


def test_a_missing_opencv_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    for name in ("mtcnn", "haar"):
        with pytest.raises(MissingExtra, match=r"likeness\[data\]"):
            make_detector(name)


def test_an_opencv_without_cascades_says_so(monkeypatch):
    import cv2

    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(UsageError, match="opencv-python-headless<5"):
        make_detector("haar")


def test_yunet_wants_a_network_that_is_there_and_whole(tmp_path):
    with pytest.raises(UsageError, match="opencv_zoo"):
        make_detector("yunet")
    with pytest.raises(UsageError, match="no file"):
        make_detector("yunet", path=tmp_path / "yunet.onnx")
    (tmp_path / "yunet.onnx").write_bytes(b"not a network")
    with pytest.raises(UsageError, match="OpenCV can read"):
        make_detector("yunet", path=tmp_path / "yunet.onnx")


def test_yunet_reads_what_opencv_answers(tmp_path, monkeypatch):
    """Rows as documented for cv2.FaceDetectorYN: x, y, w, h, five points from the person's right eye on, score."""
    import cv2

    seen = {}

    class Net:
        def setInputSize(self, size):
            seen["size"] = size

        def detect(self, pixels):
            seen["pixel"] = pixels[0, 0].tolist()
            weak = [300, 100, 50, 60, 310, 120, 330, 120, 320, 130, 312, 140, 328, 140, 0.71]
            strong = [10, 20, 100, 120, 40, 60, 80, 62, 60, 80, 45, 100, 75, 101, 0.93]
            return 1, np.array([weak, strong], np.float32)

    class Factory:
        @staticmethod
        def create(path, config, size, threshold, overlap, most):
            seen["path"] = path
            return Net()

    monkeypatch.setattr(cv2, "FaceDetectorYN", Factory)
    (tmp_path / "yunet.onnx").write_bytes(b"")
    detector = make_detector("yunet", path=tmp_path / "yunet.onnx", longest=320)
    first, second = detector.detect(Image.new("RGB", (640, 480), (200, 100, 0)))
    assert seen == {"path": str(tmp_path / "yunet.onnx"), "size": (320, 240), "pixel": [0, 100, 200]}  # blue first
    assert first.box == (20.5, 40.5, 220.5, 280.5) and first.confidence == pytest.approx(0.93)
    assert first.eyes == ((80.5, 120.5), (160.5, 124.5)) and first.landmarks is not None and len(first.landmarks) == 5
    assert second.confidence < first.confidence
    monkeypatch.setattr(Net, "detect", lambda self, pixels: (1, None))
    assert detector.detect(Image.new("RGB", (64, 48))) == []
