"""Films: frames whose ends are the faces themselves, and files that other programs read."""

import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.errors import MissingExtra, UsageError
from likeness.generate import blends, film
from likeness.generate.film import Face, Film
from likeness.provenance import read
from likeness.records import ImageRequest

MAN, WOMAN = (("a young man", 1.0),), (("an old woman", 1.0),)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tests share the cores with others: threads that wait for each other are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def studio(tiny):
    asked = ImageRequest("", steps=2, model=str(tiny("sd15")), scheduler="ddim")
    return blends.open_model(asked, ["a young man", "an old woman"], "cpu", batch=2)


def made(studio, **changes):
    stops = film.faces([MAN, WOMAN], [7, 8])
    settings = {"shots": film.scenes(stops, 4), "request": studio.request, "fingerprint": studio.fingerprint}
    return Film(**(settings | changes))


def artist(studio):
    return lambda request, scenes, progress: studio.draw(request, scenes, "blend", progress)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_one_of_a_kind_goes_with_all_of_the_other():
    assert film.faces([MAN], [1, 2]) == [Face(MAN, 1), Face(MAN, 2)]
    assert film.faces([MAN, WOMAN], [1]) == [Face(MAN, 1), Face(WOMAN, 1)]
    for parts, seeds, told in (([MAN, WOMAN], [1, 2, 3], "one --seed for each"), ([MAN], [1], "two faces"),
                               ([MAN, MAN], [1], "two faces"), ([MAN, WOMAN], [-1], "seeds must be")):  # fmt: skip
        with pytest.raises(UsageError, match=told):
            film.faces(parts, seeds)


def test_scenes_lead_from_face_to_face():
    shots = film.scenes([Face(MAN, 7), Face(WOMAN, 8)], 4)
    assert len(shots) == 5
    assert (shots[0].parts, shots[0].seed, shots[0].towards) == (MAN, 7, None)
    assert (shots[-1].parts, shots[-1].seed, shots[-1].towards) == (WOMAN, 8, None)
    assert shots[1].parts == (("a young man", 0.75), ("an old woman", 0.25)) and shots[1].towards == (8, 0.25)
    loop = film.scenes([Face(MAN, 7), Face(WOMAN, 7)], 2, loop=True)
    assert [shot.parts[0][0] for shot in loop] == ["a young man", "a young man", "an old woman", "an old woman"]
    assert not any(shot.towards for shot in loop)  # one seed: the noise stays
    with pytest.raises(UsageError, match="frames must be"):
        film.scenes([Face(MAN, 7), Face(WOMAN, 8)], 0)


def test_a_film_goes_on_where_it_stopped_and_its_ends_are_the_faces(studio, tmp_path):
    one = made(studio)
    drawn = film.draw(tmp_path, one, artist(studio))
    assert [path.name for path in drawn.frames] == [f"0000{i}.png" for i in range(1, 6)] and drawn.kept == 0
    for path, prompt, seed in ((drawn.frames[0], MAN[0][0], 7), (drawn.frames[-1], WOMAN[0][0], 8)):
        face = studio.generator.generate(ImageRequest(prompt, steps=2, seed=seed, scheduler="ddim",
                                                      model=studio.request.model))[0]  # fmt: skip
        assert np.abs(pixels(path) - np.asarray(face.image).astype(int)).max() <= 2
    before = pixels(drawn.frames[2])
    drawn.frames[2].unlink()
    again = film.draw(tmp_path, one, artist(studio))
    assert again.kept == 4 and again.frames == drawn.frames and np.abs(pixels(drawn.frames[2]) - before).max() <= 2
    mixed = read(drawn.frames[2])["mixture"]
    assert mixed["towards"] == {"seed": 8, "part": 0.5}
    assert mixed["parts"] == [["a young man", 0.5], ["an old woman", 0.5]]
    with pytest.raises(UsageError, match="another film"):
        film.draw(tmp_path, made(studio, method="compose"), artist(studio))


def test_the_gif_plays_there_and_back_and_is_marked(studio, tmp_path):
    frames = [tmp_path / f"{i}.png" for i in range(5)]
    for i, path in enumerate(frames):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    gif, strip = film.save(tmp_path / "there", made(studio, fps=10), frames)
    with Image.open(gif) as opened:
        assert (opened.n_frames, opened.info["loop"], opened.info["duration"]) == (8, 0, 100)
        assert b"likeness" in opened.info["comment"]
        opened.seek(7)  # the block with the mark lies behind it, and does not stop a reader
        assert np.abs(np.asarray(opened.convert("RGB")).astype(int) - pixels(frames[1])).mean() < 60
    packet = gif.read_bytes()
    assert b"XMP DataXMP<?xpacket" in packet and b"trainedAlgorithmicMedia" in packet and packet.endswith(b"\x00;")
    shown = read(strip)
    assert shown["marked"] and len(shown["mixture"]["frames"]) == 5
    looped = film.save(tmp_path / "loop", made(studio, loop=True), frames)[0]
    with Image.open(looped) as opened:
        assert opened.n_frames == 5


def test_mp4_is_written_where_it_can_be(studio, tmp_path):
    frames = [tmp_path / f"{i}.png" for i in range(2)]
    for path, colour in zip(frames, ("red", "blue"), strict=True):
        Image.new("RGB", (32, 32), colour).save(path)
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        with pytest.raises(MissingExtra, match="pip install"):
            film.save(tmp_path, made(studio), frames, mp4=True)
        return
    *_, written = film.save(tmp_path, made(studio), frames, mp4=True)
    assert written.read_bytes()[4:8] == b"ftyp"


def test_a_rate_that_no_player_has_is_told(studio):
    with pytest.raises(UsageError, match="fps"):
        made(studio, fps=0)
