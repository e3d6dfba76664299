"""Pictures at hand: the same in memory and in a mapped file, whole or told."""

import time

import pytest
import torch
from PIL import Image

from likeness.data.decode import BadImage
from likeness.models.pixels import to_pixels
from likeness.train.augment import Pictures


def silent(stage, done, total):
    pass


@pytest.fixture
def files(faces):
    return sorted((faces / "images").iterdir())[:5]


def test_pixels_are_those_of_the_one_resize(files):
    torch.testing.assert_close(Pictures(files, 48, silent)[[3, 0]], to_pixels([files[3], files[0]], 48))


def test_a_mapped_file_holds_the_same_and_serves_the_next_run(files, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no")
    every, told = [*files, bad], []
    plain = Pictures(every, 32, silent, lenient=True)
    for _ in range(2):
        mapped = Pictures(every, 32, lambda *step: told.append(step), lenient=True, most=0)
        assert torch.equal(mapped[[0, 4]], plain[[0, 4]]) and mapped.seen == plain.seen
    assert told == [("reading", 6, 6)]  # the second found the first one's file
    (kept,) = (tmp_path / "cache" / "pictures").glob("*.u8")
    assert kept.stat().st_size == 6 * 3 * 32 * 32


def test_a_changed_picture_is_read_again(files, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "face.png"
    Image.new("RGB", (16, 16), "black").save(file)
    before = Pictures([file], 16, silent, most=0)[[0]]
    time.sleep(0.01)
    Image.new("RGB", (16, 16), "white").save(file)
    after = Pictures([file], 16, silent, most=0)[[0]]
    assert before.max() == -1 and after.min() == 1


def test_pictures_that_are_not_square_are_cropped_at_the_centre(tmp_path):
    wide = Image.new("RGB", (40, 20), "red")
    wide.paste(Image.new("RGB", (20, 20), "blue"), (10, 0))
    wide.save(tmp_path / "wide.png")
    found = Pictures([tmp_path / "wide.png"], 20, silent)[[0]][0]  # (3, 20, 20)
    assert torch.equal(found, torch.tensor([-1.0, -1, 1])[:, None, None].expand(3, 20, 20))


def test_a_broken_file_is_named_unless_it_may_be_left_out(files, tmp_path):
    broken = tmp_path / "torn.webp"
    broken.write_bytes(files[0].read_bytes()[:500])
    with pytest.raises(BadImage, match="torn.webp"):
        Pictures([files[0], broken], 16, silent)
    lenient = Pictures([files[0], broken, tmp_path / "gone.png", files[1]], 16, silent, lenient=True)
    assert set(lenient.seen.broken) == {1, 2} and lenient.seen.broken[2] == "missing"
    lenient.only([0, 3])
    assert len(lenient) == 2 and torch.equal(lenient[[1]], Pictures([files[1]], 16, silent)[[0]])
