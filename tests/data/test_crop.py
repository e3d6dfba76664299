"""Crops are level, framed alike, sharp, and no larger than what they were cut from."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from likeness.data.crop import (
    CropConfig,
    Square,
    choose_faces,
    crop,
    cut,
    cut_from,
    fairface_align,
    frame,
    needed_scale,
)
from likeness.data.decode import inspect_bytes
from likeness.data.detect import Face, make_detector
from likeness.errors import UsageError

PORTRAITS = Path(__file__).parent / "fixtures" / "portraits"


def face(eyes, mouth=None, box=(0, 0, 10, 10), confidence=1.0) -> Face:
    marks = (*eyes, ((eyes[0][0] + eyes[1][0]) / 2,) * 2, *mouth) if mouth else None
    return Face(box, confidence, eyes, marks)


def dotted(size: tuple[int, int], points, radius: float = 3) -> Image.Image:
    """Black dots on white, with their centres at the pixel centres named."""
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill="black")
    return image


def dots(image: Image.Image) -> list[tuple[float, float]]:
    """Centres of gravity of two dots, left and right half."""
    dark = 255 - np.asarray(image.convert("L"), float)
    dark[dark < 40] = 0
    half = image.width // 2
    found = []
    for part, offset in ((dark[:, :half], 0), (dark[:, half:], half)):
        y, x = np.mgrid[: part.shape[0], : part.shape[1]]
        found.append(((part * x).sum() / part.sum() + offset, (part * y).sum() / part.sum()))
    return found


def decibels(one: Image.Image, two: Image.Image) -> float:
    return 10 * math.log10(255**2 / max(1e-9, (np.subtract(one, two, dtype=float) ** 2).mean()))


@pytest.mark.parametrize("angle", [-150, -40, -10, 0, 3, 25, 90])
@pytest.mark.parametrize("size", [64, 200, 333])
def test_eyes_come_to_lie_level_at_the_same_places(angle, size):
    """Four eye distances wide, centred 0.11 of one below the eyes: these at 3/8 and 5/8, a little above the middle."""
    turn = complex(math.cos(math.radians(angle)), math.sin(math.radians(angle)))
    middle, half = complex(300, 280), 40 * turn
    eyes = tuple((p.real, p.imag) for p in (middle - half, middle + half))
    config = CropConfig(size=size, upscale=True)
    drawn = crop(dotted((600, 560), eyes, 4), face(eyes), config)
    assert drawn.size == (size, size)
    expected_y = (0.5 - 0.11 / 4) * size - 0.5
    for (x, y), place in zip(dots(drawn), (3 / 8, 5 / 8), strict=True):
        assert abs(x - (place * size - 0.5)) < 0.004 * size and abs(y - expected_y) < 0.004 * size


def test_a_face_on_its_head_is_turned_round():
    eyes = ((180.0, 300.0), (260.0, 300.0))
    square = frame((500, 500), face(eyes, mouth=((200.0, 210.0), (240.0, 210.0))), CropConfig(edges="mirror"))
    assert abs(abs(square.angle) - math.pi) < 1e-9 and square.y < 300


def test_a_profile_is_framed_by_its_mouth_and_a_wrong_mouth_is_not_believed():
    eyes, config = ((200.0, 200.0), (230.0, 200.0)), CropConfig(edges="mirror")
    sides = [
        frame((999, 999), face(eyes, ((205.0, 200.0 + m), (225.0, 200.0 + m))), config).side for m in (30, 50, 700)
    ]
    assert sides == pytest.approx([4 * 30, 3.6 * 50, 8 * 30])


def test_margin_adds_to_each_side():
    eyes = ((180.0, 200.0), (260.0, 200.0))
    plain, wide = (frame((2000, 2000), face(eyes), CropConfig(edges="mirror", margin=m)) for m in (0, 0.25))
    assert wide.side == pytest.approx(1.5 * plain.side) and (wide.x, wide.y) == (plain.x, plain.y)


def test_no_upscaling_unless_asked():
    eyes = ((180.0, 200.0), (240.0, 200.0))  # the square is 240 px wide
    image = Image.new("RGB", (480, 480))
    assert crop(image, face(eyes), CropConfig(size=768)).size == (240, 240)
    assert crop(image, face(eyes), CropConfig(size=768, upscale=True)).size == (768, 768)
    assert crop(image, face(eyes), CropConfig(size=96)).size == (96, 96)


def test_an_upright_crop_is_pillows_own_lanczos():
    """What the usual script does: cut, then resize."""
    image = Image.open(PORTRAITS / "synthetic_female_40.jpg").convert("RGB")
    found = Face((100, 100, 299, 299))
    square = frame(image.size, found, CropConfig(align="box"))
    box = tuple(round(v) for v in (square.x - square.side / 2, square.y - square.side / 2))
    side = round(square.side)
    whole = Square(box[0] - 0.5 + side / 2, box[1] - 0.5 + side / 2, side)
    usual = image.crop((*box, box[0] + side, box[1] + side)).resize((128, 128), Image.Resampling.LANCZOS)
    assert decibels(cut(image, whole, CropConfig(size=128)), usual) > 50


def test_a_turned_crop_is_antialiased_too():
    """Fine stripes, ten times smaller: grey, not a pattern."""
    stripes = np.zeros((2000, 2000, 3), np.uint8)
    stripes[:, ::3] = 255
    square = Square(1000, 1000, 1280, math.radians(7))
    drawn = np.asarray(cut(Image.fromarray(stripes), square, CropConfig(size=96)), float)[4:-4, 4:-4]
    assert abs(drawn.mean() - 85) < 3 and drawn.std() < 10  # 120 in the stripes


def test_a_small_turn_changes_little():
    """The two ways of drawing, with and without a turn, agree in place and sharpness."""
    image = Image.open(PORTRAITS / "synthetic_female_34.jpg").convert("RGB")
    straight = cut(image, Square(240.2, 230.7, 300), CropConfig(size=200))
    assert decibels(cut(image, Square(240.2, 230.7, 300, 1e-5), CropConfig(size=200)), straight) > 38


def test_what_lies_outside_is_mirrored_or_avoided():
    image = Image.open(PORTRAITS / "london_smiling_front_042_08.jpg").convert("RGB").crop((150, 170, 330, 350))
    eyes = ((46.0, 52.0), (135.0, 64.0))
    mirrored = frame(image.size, face(eyes), CropConfig(edges="mirror"))
    fitted = frame(image.size, face(eyes), CropConfig(edges="fit"))
    assert mirrored.outside(*image.size) > fitted.outside(*image.size) > 0
    assert fitted.side >= 0.7 * mirrored.side - 1e-9
    drawn = np.asarray(crop(image, face(eyes), CropConfig(edges="mirror", size=128)))
    assert drawn.min(axis=(0, 1)).max() < 200 and not (drawn.sum(2) == 0).any()  # no black corners


def test_fitting_moves_and_shrinks_only_as_far_as_needed():
    size, config = (400, 400), CropConfig(edges="fit")
    inside = face(((180.0, 190.0), (220.0, 190.0)))
    assert frame(size, inside, config) == frame(size, inside, CropConfig(edges="mirror"))
    near = face(((70.0, 190.0), (110.0, 190.0)))  # 160 px around x = 90: all inside
    assert frame(size, near, config).outside(*size) < 1e-9
    beyond = face(((55.0, 190.0), (95.0, 190.0)))  # 5 px stick out: moved, not shrunk
    assert frame(size, beyond, config).side == pytest.approx(160)
    assert frame(size, beyond, config).outside(*size) < 1e-9
    far = frame(size, face(((30.0, 190.0), (70.0, 190.0))), config)
    assert 0.7 * 160 - 1e-9 <= far.side < 160


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (9, 400), (1, 1)])
def test_without_a_face_the_centre(size):
    square = frame(size, None, CropConfig())
    assert (square.x, square.y, square.side) == ((size[0] - 1) / 2, (size[1] - 1) / 2, min(size))
    assert square.outside(*size) == 0 and crop(Image.new("RGB", size), None).size == (max(8, min(size)),) * 2


def test_nonsense_from_a_detector_is_survived():
    for found in (
        face(((5.0, 5.0), (5.0, 5.0))),
        face(((math.nan, 5.0), (9.0, 5.0))),
        face(((-9000.0, -9000.0), (-8900.0, -9000.0))),
        Face((50, 50, 50, 50)),
        face(((0.0, 0.0), (1e6, 0.0))),
    ):
        assert max(crop(Image.new("RGB", (100, 80)), found, CropConfig(size=32)).size) <= 32


def test_policies():
    small, large, tiny = (Face((0, 0, s, s), c) for s, c in ((50, 0.99), (100, 0.9), (5, 0.8)))
    found = [small, large, tiny]
    assert choose_faces(found, CropConfig()) == [large]
    assert choose_faces(found, CropConfig(policy_many="all")) == [large, small, tiny]
    assert choose_faces(found, CropConfig(policy_many="all"), least=0.1) == [large, small]
    assert choose_faces(found, CropConfig(policy_many="drop")) == []
    assert choose_faces([large, tiny], CropConfig(policy_many="drop"), least=0.1) == [large]
    assert choose_faces([], CropConfig()) == [] and choose_faces([], CropConfig(policy_none="center")) == [None]
    for wrong in ({"policy_many": "first"}, {"size": 0}, {"margin": 9}, {"align": "nose"}, {"edges": "black"}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            CropConfig(**wrong)


def test_cutting_from_a_file_draws_no_more_than_it_takes_and_looks_the_same():
    whole = (
        Image.open(PORTRAITS / "synthetic_male_21.jpg").convert("RGB").resize((2400, 2400), Image.Resampling.LANCZOS)
    )
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=92)
    picture = inspect_bytes(buffer.getvalue())
    square, config = Square(1330, 1000, 1300, 0.17), CropConfig(size=200)
    assert 0.2 < needed_scale(square, config) < 0.25
    drawn = picture.draw(needed_scale(square, config))
    assert drawn.size == (600, 600)
    direct = cut(picture.draw(), square, config)
    for at_hand in (None, drawn, picture.draw(0.5), picture.draw(0.125)):
        result = cut_from(picture, square, config, at_hand)
        assert result.size == (200, 200) and decibels(result, direct) > 40
    tight = cut_from(picture, Square(1330, 1000, 150), config, drawn)  # fewer pixels than asked for: from the full size
    assert tight.size == (150, 150)


def test_the_shipped_faces_can_be_made_again(faces):
    """The given crop is a lossy WebP, worth 2.2 of 255 by itself: a shift by half a pixel would add 1.1."""
    rows = map(json.loads, (faces / "labels.jsonl").read_text(encoding="utf-8").splitlines())
    row = next(r for r in rows if r["source_file"] == "train/13900.jpg")
    raw = Image.open(PORTRAITS / "fairface_train_13900.jpg")
    made, given = fairface_align(raw, row["eyes"]), Image.open(faces / row["file_name"]).convert("RGB")
    assert made.size == given.size == (128, 128)
    assert np.abs(np.subtract(made, given, dtype=float)).mean() < 3
    moved = [(x + 0.5, y + 0.5) for x, y in row["eyes"]]
    off = np.abs(np.subtract(fairface_align(raw, moved), given, dtype=float)).mean()
    assert off > np.abs(np.subtract(made, given, dtype=float)).mean() + 0.3
    with pytest.raises(UsageError, match="not two places"):
        fairface_align(raw, [(5, 5), (5, 5)])


def test_fairface_eyes_lie_where_they_should():
    eyes = ((70.0, 80.0), (140.0, 95.0))
    for (x, y), place in zip(dots(fairface_align(dotted((224, 224), eyes, 5), eyes)), (0.315, 0.685), strict=True):
        assert abs(x - (place * 128 - 0.25)) < 0.5 and abs(y - (0.315 * 128 - 0.25)) < 0.5


def test_from_detection_to_crop_the_eyes_are_level():
    detector, config = make_detector("mtcnn"), CropConfig(size=256)
    for name in ("synthetic_female_40.jpg", "synthetic_male_21.jpg"):  # heads tilted by 17 and 10 degrees
        image = Image.open(PORTRAITS / name).convert("RGB")
        (found,) = choose_faces(detector.detect(image), config)
        again = detector.detect(crop(image, found, config))[0]
        (x0, y0), (x1, y1) = again.eyes
        assert abs(math.degrees(math.atan2(y1 - y0, x1 - x0))) < 2.5
