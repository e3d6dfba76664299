import pytest
from PIL import Image

from likeness.generate.grid import GAP, sheet


def test_pictures_stand_in_reading_order():
    colours = ["red", "lime", "blue"]
    page = sheet([Image.new("RGB", (32, 24), c) for c in colours], columns=2)
    assert page.size == (2 * (32 + GAP) + GAP, 2 * (24 + GAP) + GAP)
    assert [page.getpixel(at) for at in ((10, 10), (50, 10), (10, 40))] == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert page.getpixel((50, 40)) == (255, 255, 255)


def test_labels_take_room_only_when_given_and_never_cover_the_picture():
    pictures = [Image.new("RGB", (128, 128), "red")] * 4
    plain, labelled = (
        sheet(pictures),
        sheet(pictures, labels=["a", "b", "c", "a very long description of a person " * 9]),
    )
    assert labelled.height > plain.height and labelled.width == plain.width
    assert labelled.crop((GAP, GAP, GAP + 128, GAP + 128)).getcolors() == [(128 * 128, (255, 0, 0))]


def test_nothing_is_no_sheet():
    with pytest.raises(ValueError):
        sheet([])


def test_titles_stand_left_of_their_rows():
    pictures = [Image.new("RGB", (64, 64), "red")] * 4
    plain, titled = sheet(pictures, columns=2), sheet(pictures, columns=2, titles=["one", "East Asian + Indian"])
    assert titled.height == plain.height
    margin = titled.width - plain.width
    assert margin > 64 and titled.crop((margin, 0, titled.width, titled.height)).tobytes() == plain.tobytes()
    words = [titled.crop((0, top, margin, top + 68)).convert("L").getextrema()[0] for top in (0, 68)]
    assert max(words) < 128  # both have letters
