"""The command in this process, on the embedded model, in two steps."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.cli.main import main
from likeness.provenance import read

QUICK = ["--steps", "2", "--device", "cpu"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tests share the cores with others: threads that wait for each other are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_model(monkeypatch):
    """Commands run in one process here, so let them share the loaded pipeline."""
    from likeness.models.stable_diffusion import StableDiffusion

    plain, kept = StableDiffusion.load, _KEPT

    def load(self, path, runtime):
        if (path, runtime) not in kept:
            kept[path, runtime] = plain(self, path, runtime)
        return kept[path, runtime]

    monkeypatch.setattr(StableDiffusion, "load", load)


_KEPT: dict = {}


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def files(folder="."):
    return sorted(p.name for p in Path(folder).rglob("*"))


def test_a_sentence_becomes_a_face_and_the_same_face_again(capsys):
    assert main(["generate", "A smiling woman with blue eyes", "--seed", "7", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert out == "face-7.png\n" and err == "mini does not know: blue eyes\n"
    assert main(["generate", "--like", "face-7.png", "--output", "again/b.png"]) == 0
    assert np.array_equal(pixels("face-7.png"), pixels("again/b.png"))
    assert read("again/b.png")["request"] == read("face-7.png")["request"]


def test_defaults_never_overwrite(capsys):
    for _ in range(2):
        assert main(["generate", "a man", "--seed", "7", *QUICK]) == 0
    assert capsys.readouterr().out == "face-7.png\nface-7-2.png\n"


def test_options_change_what_is_redrawn():
    assert main(["generate", "a man", "--seed", "7", "-o", "a.png", *QUICK]) == 0
    assert main(["generate", "an old man with a gray beard", "--like", "a.png", "--size", "64x96", "-o", "b.png"]) == 0
    request = read("b.png")["request"]
    assert (request["seed"], request["steps"], request["width"], request["height"]) == (7, 2, 64, 96)


def test_several_go_into_a_folder_and_each_is_redrawn_to_the_bit(capsys):
    assert main(["generate", "a man", "--seed", "3", "--count", "3", "--output", "out", *QUICK]) == 0
    assert capsys.readouterr().out.split() == [f"out/0000{i + 1}-{3 + i}.png" for i in range(3)]
    assert main(["generate", "--like", "out/00002-4.png", "-o", "b.png"]) == 0
    assert np.array_equal(pixels("out/00002-4.png"), pixels("b.png"))
    assert len(Path("out/metadata.jsonl").read_text().splitlines()) == 3


def test_a_sheet_and_the_same_sheet_again(capsys):
    assert main(["generate", "a man", "--seed", "3", "--count", "3", "--grid", "-o", "sheet.png", *QUICK]) == 0
    assert files() == ["sheet.png"] and pixels("sheet.png").shape[1] > 256
    assert main(["generate", "--like", "sheet.png", "-o", "b.png"]) == 0
    assert np.array_equal(pixels("sheet.png"), pixels("b.png"))
    assert main(["generate", "a man", "--count", "2", "--grid", "-o", "both", *QUICK]) == 0
    assert "grid.png" in files("both") and len(files("both")) == 4


def test_a_file_of_prompts(capsys):
    Path("p.csv").write_text("caption\na man\na woman\n")
    assert main(["generate", "--prompts", "p.csv", "--seed", "1", "--output", "out", "--json", *QUICK]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == ["out/00001-1.png", "out/00002-2.png"] and told["model"] == "mini"
    assert [(i["prompt"], i["seed"]) for i in told["images"]] == [("a man", 1), ("a woman", 2)]
    assert read("out/00002-2.png")["request"]["prompt"] == "a woman"


def test_from_a_picture_and_again_until_it_changes(capsys):
    Image.new("RGB", (200, 150), "tan").save("start.png")
    assert main(["generate", "a man", "--image", "start.png", "--strength", "0.9", "-o", "a.png", *QUICK]) == 0
    assert main(["generate", "--like", "a.png", "-o", "b.png"]) == 0
    assert np.array_equal(pixels("a.png"), pixels("b.png"))
    Image.new("RGB", (200, 150), "blue").save("start.png")
    assert main(["generate", "--like", "a.png", "-o", "c.png"]) == 2
    assert "has changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "nothing to draw"),
        ([""], "empty"),
        (["x" * 10_000], "10,000 characters"),
        (["a man", "--model", "minni"], "did you mean 'mini'"),
        (["a man", "--size", "100"], "multiple of 8"),
        (["a man", "--size", "big"], "128x160"),
        (["a man", "--prompts", "p.txt"], "not both"),
        (["--prompts", "missing.txt"], "no prompts file"),
        (["a man", "--image", "missing.png"], "no start image"),
        (["a man", "--like", "missing.png"], "no file"),
        (["a man", "--like", "broken.png"], "broken or no picture"),
        (["a man", "--output", "broken.png/x.png"], "cannot write"),
        (["a man", "--output", "/proc/x.png"], "cannot write"),
        (["a man", "--output", "x.jpg"], ".png"),
        (["a man", "--count", "2", "--output", "x.png"], "--grid"),
        (["a man", "--scheduler", "fast"], "unknown scheduler"),
        (["a 16 year old boy"], "mini draws adults only"),
        (["a man", "--device", "quantum"], "unknown device"),
        (["a man", "--batch-size", "0"], "batch size"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(argv, says, capsys):
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["generate", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and says in err
    assert files() == ["broken.png"]


@pytest.mark.skipif(os.name == "nt" or not Path("/proc").is_dir(), reason="needs a place that nobody can write to")
def test_the_output_is_tried_before_the_model_is_loaded(monkeypatch, capsys):
    monkeypatch.setattr("likeness.generate.generator.FaceGenerator.__init__", lambda *a, **k: pytest.fail("loaded"))
    assert main(["generate", "a man", "--output", "/proc/out"]) == 2
    assert "cannot write" in capsys.readouterr().err
