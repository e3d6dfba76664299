from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.cli.main import main


@pytest.fixture(autouse=True)
def _folders(monkeypatch):
    """Three pictures drawn and real, and no weights anywhere."""
    monkeypatch.setenv("LIKENESS_WEIGHTS", "nowhere")
    random = np.random.default_rng(0)
    for folder in ("drawn", "real"):
        Path(folder).mkdir()
        for name in "abc":
            Image.fromarray(random.integers(0, 255, (40, 40, 3), np.uint8)).save(f"{folder}/{name}.png")


def test_it_measures_what_it_can_and_says_what_it_cannot(capsys):
    assert main(["evaluate", "pairs", "drawn", "real", "--output", "out"]) == 0
    said = capsys.readouterr()
    assert "SSIM" in said.out and "> 0.8: no" in said.out and "3 pairs" in said.out
    assert "alexnet-owt-7be5be79.pth" in said.out and "--weights clip-b32=PATH" in said.out
    assert {p.name for p in Path("out").iterdir()} == {
        "metrics.csv", "summary.csv", "scores.json", "mean_metrics.png", "distributions.png", "pairs.png",
    }  # fmt: skip


def test_json_is_what_is_written(capsys):
    assert main(["evaluate", "pairs", "drawn", "real", "--only", "ssim", "--json", "--output", "out"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(Path("out/scores.json").read_text())
    (score,) = told["scores"]
    assert score["metric"] == "pairs/ssim" and score["count"] == 3 and score["low"] < score["value"] < score["high"]
    assert score["by_chance"] is not None and score["rule_of_thumb"] == 0.8 and score["passes"] is False


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--only", "lpips"], "alexnet-owt-7be5be79.pth"),
        (["--network", "clip-b33"], "clip-b32"),
        (["--weights", "lpips-alex"], "NAME=PATH"),
        (["--only", "text", "--network", "eye"], "--prompts"),
        (["--strict"], "without a real one: lost"),
        (["--prompts", "none.csv"], "none.csv"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(capsys, words, error):
    Image.new("RGB", (40, 40)).save("drawn/lost.png")
    assert main(["evaluate", "pairs", "drawn", "real", "--output", "out", *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error:") and error in said and not Path("out").exists()
