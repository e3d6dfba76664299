"""The command in this process, on the embedded model, in two steps and small."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.cli.main import main
from likeness.provenance import read

QUICK = ["--steps", "2", "--size", "64", "--device", "cpu"]


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

    def load(self, path, runtime, place=True):
        if (path, runtime) not in kept:
            kept[path, runtime] = plain(self, path, runtime, place)
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
    told = [line for line in err.splitlines() if not line.startswith("drawing")]  # the bar of a slow machine
    assert out == "face-7.png\n" and told == ["mini does not know: blue eyes"]
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
    assert files() == ["sheet.png"] and pixels("sheet.png").shape[1] > 128
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


def test_a_file_of_prompts_goes_on_where_it_was_stopped(capsys):
    Path("p.csv").write_text("caption,seed,file_name\na man,7,first.jpg\na woman,,\nan old man,,\n")
    command = ["generate", "--csv", "p.csv", "--output-dir", "out", *QUICK]
    assert main([*command, "--num-images", "2"]) == 0  # without a seed: the folder remembers the one that was drawn
    first = capsys.readouterr().out.split()
    assert first[0] == "out/first.png" and len(first) == 2
    Path(first[1]).unlink()
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert out.split()[0] == first[1] and len(out.split()) == 2 and "1 of 3 pictures are in out already" in err
    rows = [json.loads(line) for line in Path("out/metadata.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == ["a man", "a woman", "an old man"] and rows[2]["seed"] == rows[1][
        "seed"
    ] + 1
    assert main(command) == 0
    assert capsys.readouterr().out == "" and len(files("out")) == 4
    assert main([*command, "--num-images", "4", "--json"]) == 0  # round again: the first row under its next seed
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == ["out/first-round2.png"] and told["images"][0]["seed"] == 8


@pytest.fixture(scope="module")
def own_lora(tmp_path_factory):
    from likeness.models.registry import ASSETS
    from tiny import lora

    return lora(ASSETS / "mini", tmp_path_factory.mktemp("lora") / "face")


def test_with_a_lora_beside_the_base_and_again(own_lora, capsys):
    command = ["generate", "a man", "--seed", "7", "--lora", f"{own_lora}:0.5", *QUICK]
    assert main([*command, "-o", "a.png"]) == 0
    assert read("a.png")["request"]["loras"] == [[str(own_lora), 0.5]]
    assert main(["generate", "--like", "a.png", "-o", "b.png"]) == 0
    assert np.array_equal(pixels("a.png"), pixels("b.png"))
    assert main([*command, "--count", "2", "--compare", "base", "-o", "c.png"]) == 0
    assert main([*command[:4], *QUICK, "-o", "base.png"]) == 0
    sheet = pixels("c.png")
    left, right = sheet[4:68, 4:68], sheet[4:68, 72:136]
    # the sheet draws two at once, so within the drift of batches
    assert np.abs(left - pixels("base.png")).max() <= 2 and np.abs(right - pixels("a.png")).max() <= 2
    assert np.abs(left - right).max() > 10
    assert read("c.png")["compare"]["columns"] == ["mini", "mini + pytorch_lora_weights.safetensors:0.5"]


def test_translating_needs_a_language_model(monkeypatch, capsys):
    monkeypatch.delenv("LIKENESS_ENDPOINT", raising=False)
    assert main(["generate", "ein alter Mann", "--translate"]) == 2
    assert "LIKENESS_ENDPOINT" in capsys.readouterr().err and not files()


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
        (["a man", "--num-images", "3"], "--csv"),
        (["--csv", "p.csv", "--num-images", "1000000000"], "1 to 100,000"),
        (["--csv", "p.csv"], "p.csv, row 2: seed must be 0 to"),
        (["a man", "--lora", "a:99"], "-10 to 10"),
        (["a man", "--lora", "nothing/here/at:0.8"], "no LoRA file or folder"),
        (["a man", "--memory", "slicin"], "did you mean 'slicing'"),
        (["a man", "--memory", "offload"], "needs a CUDA device"),
        (["a man", "--compare", "base"], "there are none"),
        (["a man", "--compare", "mini"], "against itself"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(argv, says, capsys):
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Path("p.csv").write_text("prompt,seed\na man,1\na man,-1\n")
    assert main(["generate", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and says in err
    assert files() == ["broken.png", "p.csv"]


@pytest.mark.skipif(os.name == "nt" or not Path("/proc").is_dir(), reason="needs a place that nobody can write to")
def test_the_output_is_tried_before_the_model_is_loaded(monkeypatch, capsys):
    monkeypatch.setattr("likeness.generate.generator.FaceGenerator.__init__", lambda *a, **k: pytest.fail("loaded"))
    assert main(["generate", "a man", "--output", "/proc/out"]) == 2
    assert "cannot write" in capsys.readouterr().err


MANY = ["generate", "--csv", "p.csv", "--seed", "1", "--batch-size", "1", *QUICK]


def check_going_on(fewest):
    """What the dead run left behind is kept; the second run draws the rest, and the pictures are those of one run."""
    drawn = {p.name: p.stat().st_mtime_ns for p in Path("out").glob("0*.png")}
    listed = Path("out/metadata.jsonl").read_text().count("\n")
    assert fewest <= len(drawn) < 6 and len(drawn) - 1 <= listed <= len(drawn)
    assert main([*MANY, "--output-dir", "out"]) == 0
    assert main([*MANY, "--output-dir", "whole"]) == 0
    assert files("out") == files("whole") and len(files("out")) == 7
    kept = [n for n, at in drawn.items() if Path("out", n).stat().st_mtime_ns == at]
    assert len(kept) >= listed  # what was finished and listed was not drawn again
    for name in drawn:
        assert np.array_equal(pixels(f"out/{name}"), pixels(f"whole/{name}"))
    rows = [json.loads(line) for line in Path("out/metadata.jsonl").read_text().splitlines()]
    assert sorted(row["seed"] for row in rows) == [1, 2, 3, 4, 5, 6]


def test_a_run_that_died_over_a_line_goes_on(monkeypatch):
    """The quick twin of the kill below: it ends when a picture is there and half of its line."""

    lines = []

    def append(path, row):
        lines.append(json.dumps(row) + "\n")
        with open(path, "a") as file:
            file.write(lines[-1] if len(lines) < 3 else lines[-1][:20])
        if len(lines) == 3:
            raise RuntimeError("dead")

    Path("p.csv").write_text("text\n" + "a man\n" * 6)
    with monkeypatch.context() as patch:
        patch.setattr("likeness.generate.folder._append", append)
        assert main([*MANY, "--output-dir", "out"]) != 0
    check_going_on(3)


@pytest.mark.slow  # a process of its own
def test_a_killed_run_goes_on():
    """kill -9 in the middle of a folder."""
    Path("p.csv").write_text("text\n" + "a man\n" * 6)
    run = [sys.executable, "-m", "likeness.cli.main", *MANY, "--output-dir", "out"]
    child = subprocess.Popen(
        run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.nice(5),  # who looks on is not to be late
    )  # fmt: skip
    while child.poll() is None and len(list(Path("out").glob("0*.png"))) < 2:
        time.sleep(0.002)
    child.kill()
    child.wait()
    check_going_on(2)


def test_pictures_are_marked_and_signed_when_asked(capsys, monkeypatch):
    pytest.importorskip("c2pa")
    from likeness.provenance.verify import verify

    monkeypatch.setenv("LIKENESS_HOME", "state")
    ask = ["generate", "A smiling woman", "--seed", "7", *QUICK, "--size", "128"]
    assert main([*ask, "--watermark", "--sign", "-o", "marked.png"]) == 0
    found = verify("marked.png")
    assert found.watermark and found.manifest and found.belongs and found.recipe
    assert main([*ask, "-o", "plain.png"]) == 0
    plain = verify("plain.png")
    assert plain.recipe and plain.xmp and not plain.watermark and not plain.manifest
