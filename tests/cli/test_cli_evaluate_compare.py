from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.cli.main import main


@pytest.fixture(autouse=True)
def _folders(monkeypatch):
    """Two folders with the same three names, a table of prompts, and no weights but the shipped ones."""
    monkeypatch.setenv("LIKENESS_WEIGHTS", "nowhere")
    random = np.random.default_rng(0)
    for folder in ("base", "tuned"):
        Path(folder).mkdir()
        for name in "abc":
            Image.fromarray(random.integers(0, 255, (40, 40, 3), np.uint8)).save(f"{folder}/{name}.png")
    Path("p.csv").write_text("file_name,prompt\na,a man with glasses\nb,a woman without glasses\nc,a man\n")


FOLDERS = ["--base-dir", "base", "--finetuned-dir", "tuned", "--real", "base"]
MODELS = ["--base", "mini", "--finetuned", "mini+base", "--prompts", "p.csv"]


def test_folders_from_the_command_to_the_files(capsys):
    assert main(["evaluate", "compare", *FOLDERS, "--prompts", "p.csv", "--output", "out", "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told == json.loads(Path("out/comparison.json").read_text())
    assert told["base_model"]["name"] == "base" and told["improvements"]["words/glasses/judge"]["title"]
    assert "3 pictures are too few" in told["not_measured"]["set distances in eye"]
    assert {p.name for p in Path("out").iterdir()} == {"comparison.json", "report.html"}
    assert "out" in said.err.strip().splitlines()[-1]


def _broken():
    Path("tuned/b.png").write_bytes(Path("tuned/b.png").read_bytes()[:200])


def _one():
    for name in "bc":
        Path(f"tuned/{name}.png").unlink()


def _strangers():
    for name in "abc":
        Path(f"tuned/{name}.png").rename(f"tuned/{name}x.png")


def _column():
    Path("p.csv").write_text("prompt,referense\na man,x.png\n")


def _no_reference():
    Path("p.csv").write_text("prompt,reference\na man,x.png\na woman,\n")


def _no_words():
    Path("p.csv").write_text("name,age\na,3\n")


def _empty():
    Path("p.csv").write_text("prompt\n\n")


@pytest.mark.parametrize(
    ("words", "spoil", "error"),
    [
        ([], None, "--base MODEL"),
        (["--base", "mini"], None, "--finetuned MODEL"),
        ([*FOLDERS, "--base", "mini"], None, "--base-dir FOLDER"),
        (["--base", "mini", "--finetuned", "sd15"], None, "--prompts"),
        (["--base-dir", "nobody", "--finetuned-dir", "tuned"], None, "no folder nobody"),
        (["--base-dir", "base", "--finetuned-dir", "base"], None, "named twice"),
        (FOLDERS, _strangers, "pairs are found by name"),
        (FOLDERS, _one, "a comparison needs two"),
        (FOLDERS, _broken, "b.png"),
        ([*FOLDERS, "--judge", "jugde"], None, "judge"),
        ([*FOLDERS, "--network", "clip-b32"], None, "--weights clip-b32=PATH"),
        ([*FOLDERS, "--prompts", "p.csv"], _column, "did you mean 'reference'"),
        (MODELS, _column, "did you mean 'reference'"),
        (MODELS, _no_reference, "no reference picture x.png"),
        (MODELS, _no_words, "no column prompt"),
        (MODELS, _empty, "no prompts"),
        (MODELS, None, "base holds no LoRA"),
        ([*MODELS[:3], "mini+no/where/lora", *MODELS[4:]], None, "no LoRA file or folder no/where/lora"),
        ([*MODELS[:3], "minni", *MODELS[4:]], None, "mini"),
        ([*MODELS[:3], "mini+", *MODELS[4:]], None, "names no model"),
        ([*MODELS[:3], "mini", *MODELS[4:]], None, "named twice"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do_and_nothing_is_written(capsys, words, spoil, error):
    if spoil:
        spoil()
    assert main(["evaluate", "compare", *words, "--output", "out"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("error:") and error in said[-1] and not Path("out").exists()
