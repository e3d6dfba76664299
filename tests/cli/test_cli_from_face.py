"""`likeness generate --from-face` as it is typed: the gate, the pictures, what is refused."""

import json
from pathlib import Path

import pytest
from PIL import Image

from likeness.cli.main import main
from likeness.provenance import read
from likenesses import saved

PHOTO, OTHER = (
    str(Path(__file__).parent.parent / "data" / "fixtures" / "portraits" / name)
    for name in ("synthetic_female_34.jpg", "synthetic_male_21.jpg")
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(saved(tmp_path_factory.mktemp("dino") / "model"))


def test_without_consent_nothing_is_drawn(model, capsys):
    assert main(["generate", "--from-face", PHOTO, "--model", model]) != 0
    said = capsys.readouterr().err
    assert "--consent" in said and "right to use the photo" in said and said.count("\n") == 1
    assert not list(Path().iterdir())


def test_variations_are_written_and_marked(model, capsys):
    command = ["generate", "--from-face", PHOTO, "--consent", "--model", model, "--steps", "2", "--device", "cpu"]
    assert main([*command, "--count", "2", "--seed", "4", "--grid", "--output", "out"]) == 0
    printed = capsys.readouterr().out.split()
    assert printed == ["out/00001-4.png", "out/00002-5.png", "out/grid.png"]
    assert all(read(path)["marked"] for path in printed)
    assert Image.open(printed[0]).size == (32, 32)
    assert main([*command, "--seed", "5", "--output", "again.png"]) == 0
    pair = [read(path) for path in ("out/00002-5.png", "again.png")]
    assert pair[0]["request"] == pair[1]["request"]


def test_two_photos_are_interpolated(model, capsys):
    assert (
        main(["generate", "--from-face", PHOTO, "--from-face", OTHER, "--mix", "interpolate", "--consent", "--model",
              model, "--steps", "1", "--count", "3", "--seed", "1", "--output", "way", "--json"]) == 0
    )  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert [image["shares"] for image in told["images"]] == [[1, 0], [0.5, 0.5], [0, 1]]
    assert len(told["files"]) == 3 and told["steps"] == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["a smiling woman"], "leave the prompt out"),
        (["--negative", "hat", "--size", "64"], "leave --negative, --size out"),
        (["--image", PHOTO], "leave --image out"),
        (["--like", "face.png"], "leave --like out"),
        (["--mix", "blend"], "unknown --mix 'blend'"),
        (["--mix", "interpolate"], "--from-face twice"),
    ],
)
def test_what_does_not_go_with_a_photo_is_named(model, capsys, more, said):
    assert main(["generate", *more, "--from-face", PHOTO, "--consent", "--model", model]) != 0
    assert said in capsys.readouterr().err


def test_the_model_must_be_one_for_photos(capsys):
    assert main(["generate", "--from-face", PHOTO, "--consent"]) != 0
    assert "needs --model with a folder of `likeness train dino`" in capsys.readouterr().err
    assert main(["generate", "--from-face", PHOTO, "--consent", "--model", "mini"]) != 0
    assert "takes no photo" in capsys.readouterr().err


def test_consent_without_a_photo_is_a_mistake(capsys):
    assert main(["generate", "a woman", "--consent"]) != 0
    assert "go with --from-face PHOTO" in capsys.readouterr().err


def test_a_prompt_for_such_a_model_is_told_the_way(model, capsys):
    assert main(["generate", "a woman", "--model", model]) != 0
    assert "--from-face photo.jpg" in capsys.readouterr().err
