"""Pairs end to end: shipped faces and worse copies, the shipped `eye`, LPIPS and CLIP with random weights."""

from __future__ import annotations

import csv
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.errors import ModelNotFound, UsageError
from likeness.evaluate.networks.lpips import TRUNKS
from likeness.evaluate.pairs import plots as pairs_plots
from likeness.evaluate.pairs import report as pairs_report
from likeness.evaluate.pairs.measures import composite
from likeness.evaluate.pairs.run import RULES, Settings, compare


@pytest.fixture(scope="module")
def weights(eye, tmp_path_factory):
    """Files as they are published, with random numbers inside: AlexNet for LPIPS, a tiny CLIP."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    state = TRUNKS["alex"][0]().state_dict()
    torch.save({f"features.{name}": value for name, value in state.items()}, folder / "alex.pth")
    eye.model.save_pretrained(folder / "clip")
    eye.tokenizer.save_pretrained(folder / "clip")
    return {"lpips-alex": folder / "alex.pth", "clip-b32": folder / "clip"}


@pytest.fixture
def real(some_faces) -> Path:
    """Six faces, called 0 to 5, of 64 px."""
    for i, path in enumerate(sorted((some_faces / "images").iterdir())[:6]):
        put(Path("real") / f"{i}.png", np.asarray(Image.open(path).convert("RGB").resize((64, 64))))
    return Path("real")


def put(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def noisy(real: Path, folder: str, amount: float) -> Path:
    """The faces with that much noise; face i has i % more, so that no two pairs are alike."""
    random = np.random.default_rng(0)
    for i, path in enumerate(sorted(real.iterdir())):
        pixels = np.asarray(Image.open(path)).astype(float)
        put(Path(folder) / path.name, pixels + amount * (1 + i / 100) * random.normal(size=pixels.shape))
    return Path(folder)


def mean(found, column: str, epoch: int | None = None) -> float:
    (one,) = (s for s in found.summaries if (s.column, s.epoch) == (column, epoch))
    return one.mean


def test_identical_folders(real, weights):
    """Every part is at its best, and so is the composite; another's picture is worse at each."""
    found = compare(real, real, Settings(weights=weights))
    assert found.columns == ("lpips", "ssim", "clip_image", "clip_text", "composite") and not found.missing
    best = {"lpips": 0.0, "ssim": 1.0, "clip_image": 1.0, "composite": 1.0}
    for row in found.rows:
        assert row.values == pytest.approx(best, abs=1e-5)
    for one in found.summaries:
        assert one.by_chance > one.mean + 1e-4 if one.column == "lpips" else one.by_chance < one.mean - 1e-4
        assert one.passes and one.rule == RULES[one.column]


def test_noise_makes_every_number_worse_from_epoch_to_epoch(real, weights):
    for epoch, amount in ((1, 80), (2, 30), (10, 8)):
        noisy(real, f"drawn/epoch_{epoch}", amount)
    found = compare("drawn", real, Settings(weights=weights, network="eye"))
    assert found.epochs == [1, 2, 10] and len(found.rows) == 18
    for column, falls in (("lpips", True), ("ssim", False), ("eye_image", False), ("composite_eye", False)):
        means = [mean(found, column, epoch) for epoch in found.epochs]
        assert means == sorted(means, reverse=falls) and len(set(means)) == 3
    for row in found.rows:
        parts = (row.values[name] for name in ("lpips", "ssim", "eye_image"))
        assert row.values["composite_eye"] == composite(*parts)
    # the stand-in is never CLIP: other names, no rule of thumb, and the protocol says so
    assert {s.rule for s in found.summaries if "eye" in s.column} == {None}
    assert "OFFLINE stand-in" in found.scores()[0].protocol and "GIVEN weights" in found.scores()[0].protocol
    assert {score.metric for score in found.scores()} >= {"pairs/ssim/epoch 1", "pairs/ssim/epoch 10"}


def test_without_weights_the_numbers_stay_empty_and_it_says_what_to_fetch(real, monkeypatch):
    monkeypatch.setenv("LIKENESS_WEIGHTS", "nowhere")
    found = compare(noisy(real, "drawn", 20), real)
    assert found.measured == ["ssim"] and all(set(row.values) == {"ssim"} for row in found.rows)
    for network, words in {
        "lpips-alex": ("alexnet-owt-7be5be79.pth", "https://download.pytorch.org/models/", "SHA-256 7be5be79"),
        "clip-b32": ("openai/clip-vit-base-patch32", "https://huggingface.co/", "SHA-256 a6308213"),
    }.items():
        assert all(word in found.missing[network] for word in words)
        assert found.missing[network] in pairs_report.table(found)
    # nothing takes the place of what is asked for by name
    for part in ("lpips", "image", "text"):
        with pytest.raises(ModelNotFound, match="--weights"):
            compare("drawn", real, Settings(parts=(part,)))
    assert compare("drawn", real, Settings(parts=("ssim",))).missing == {}


def test_tables_hold_the_numbers(real, weights):
    drawn = noisy(real, "drawn", 20)
    Path("prompts.csv").write_text("file_name,prompt\n" + "".join(f"{i}.png,a face called {i}\n" for i in range(6)))
    found = compare(drawn, real, Settings(weights=weights, prompts=Path("prompts.csv")))
    pairs_report.write(found, "out")
    rows = list(csv.DictReader(Path("out/metrics.csv").open()))
    summary = {row["metric"]: row for row in csv.DictReader(Path("out/summary.csv").open())}
    assert [row["name"] for row in rows] == [str(i) for i in range(6)] and rows[3]["text"] == "a face called 3"
    for column in found.columns:
        values = [float(row[column]) for row in rows]
        assert float(summary[column]["mean"]) == pytest.approx(statistics.fmean(values))
        assert float(summary[column]["deviation"]) == pytest.approx(statistics.stdev(values))
        assert float(summary[column]["low"]) < statistics.fmean(values) < float(summary[column]["high"])
    scores = json.loads(Path("out/scores.json").read_text())["scores"]
    assert {s["metric"]: s["value"] for s in scores} == {f"pairs/{c}": mean(found, c) for c in found.columns}
    assert summary["lpips"]["rule_of_thumb"] == "< 0.2" and summary["ssim"]["rule_of_thumb"] == "> 0.8"
    assert "rules of thumb" in pairs_report.table(found).lower()


def test_one_pair_has_no_interval_and_no_chance(real):
    put(Path("drawn") / "0.png", np.asarray(Image.open(real / "1.png")))
    found = compare("drawn", real, Settings(network="eye", parts=("ssim", "image")))
    assert all(s.count == 1 and s.by_chance is None and s.deviation is None for s in found.summaries)
    assert all(math.isnan(score.low) and math.isnan(score.high) for score in found.scores())
    pairs_report.write(found, "out")
    assert json.loads(Path("out/scores.json").read_text())["scores"][0]["low"] is None
    assert len(pairs_plots.write(found, "out")) == 3


def test_what_cannot_be_read_is_left_out_and_said(real):
    drawn = noisy(real, "drawn", 20)
    whole = compare(drawn, real, Settings(parts=("ssim",)))
    (drawn / "2.png").write_bytes((drawn / "2.png").read_bytes()[:900])
    (real / "4.png").write_bytes(b"")
    put(drawn / "odd.png", np.zeros((64, 64, 3)))
    found = compare(drawn, real, Settings(parts=("ssim",)))
    assert [bool(row.problem) for row in found.rows] == [False, False, True, False, True, False]
    assert {s.count for s in found.summaries} == {4}
    kept = [row.values for row in whole.rows if row.pair.name in "0135"]
    assert [row.values for row in found.rows if not row.problem] == kept  # the others are measured as before
    (bad,) = [note for note in found.notes if "cannot be read" in note]
    assert "truncated" in bad and "empty" in bad and any("without a real one: odd" in note for note in found.notes)
    with pytest.raises(UsageError, match="left out: .*without --strict"):
        compare(drawn, real, Settings(parts=("ssim",), strict=True))
    for path in drawn.iterdir():
        path.write_bytes(b"GIF89a")
    with pytest.raises(UsageError, match="no pair can be read"):
        compare(drawn, real, Settings(parts=("ssim",)))


def test_unlike_pictures_are_measured_and_said(real):
    """Sizes differ, one is wide, one grey, one of one colour."""
    drawn = noisy(real, "drawn", 1)
    Image.open(real / "0.png").resize((300, 300), Image.Resampling.BICUBIC).save(drawn / "0.png")
    Image.open(real / "1.png").resize((128, 64)).save(drawn / "1.png")
    Image.open(real / "2.png").convert("L").save(drawn / "2.png")
    Image.new("RGB", (64, 64), "black").save(drawn / "3.png")
    found = compare(drawn, real, Settings(parts=("ssim",)))
    said = "\n".join(found.notes)
    assert "1 pairs of unlike proportions, both stretched to a square: 1" in said
    assert "1 pairs of a grey and a coloured picture" in said and "three equal channels: 2" in said
    assert "1 generated pictures of one colour: 3" in said
    values = [row.values["ssim"] for row in found.rows]
    assert values[0] > 0.9 and values[2] > 0.8 and values[3] < 0.2  # its other size costs a picture little


def test_the_size_is_the_drawn_pictures_own_and_256_at_most(real):
    def size(side: int, **settings) -> str:
        for i in range(2):
            put(Path("drawn") / f"{i}.png", np.random.default_rng(i).uniform(0, 255, (side, side, 3)))
        return compare("drawn", real, Settings(parts=("ssim",), **settings)).protocol[0]

    assert "at 64x64 px" in size(64) and "at 256x256 px" in size(400)
    assert "at 32x32 px" in size(20) and "at 48x48 px" in size(400, size=48)


def test_words_that_are_asked_for_must_be_known(real):
    with pytest.raises(UsageError, match="no words are known"):
        compare(real, real, Settings(parts=("text",), network="eye"))


@pytest.mark.parametrize(
    "wrong",
    [{"window": "round"}, {"trunk": "squeeze"}, {"network": "clip"}, {"parts": ("psnr",)}, {"size": 8}, {"limit": 0}],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(UsageError):
        Settings(**wrong)


def test_plots_show_every_measure_and_epoch(real):
    for epoch in range(1, 8):
        noisy(real, f"drawn/epoch_{epoch}", 80 / epoch)
    found = compare("drawn", real, Settings(parts=("ssim", "image"), network="eye", limit=3))
    files = pairs_plots.write(found, "out")
    assert [f.name for f in files] == ["mean_metrics.png", "distributions.png", "pairs.png", "curves_by_epoch.png"]
    pictures = {file.stem: Image.open(file) for file in files}
    one = pairs_plots.distributions(compare("drawn/epoch_1", real, Settings(parts=("ssim",))))
    # two measures beside each other, and six of the seven epochs below each other
    assert pictures["distributions"].width == 2 * one.width and pictures["distributions"].height > 5 * one.height
    for picture in pictures.values():
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10  # something is drawn
