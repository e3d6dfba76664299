"""`likeness train dino`: a small network on a few faces, killed, resumed, gone on from, in every setting."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from likeness import config as configuration
from likeness.cli.train import resolve
from likeness.errors import ConfigError
from likeness.models import dino, encoders
from likeness.models.pixels import to_pixels
from likeness.runs import RunFolder
from likeness.runtime import Runtime
from likeness.train.recipes import dino as recipe

CPU = Runtime(torch.device("cpu"))
SIZES = {"dino": 10.6, "dino/mini": 28.1, "dino/dinov2": 110.4, "dino/pixels": 46.9}  # million parameters
PRESETS = [p for p in configuration.presets() if p == "dino" or p.startswith("dino/")]


def settings(faces, output, **changes):
    """Those of the smoke preset without previews, and changes."""
    made = resolve("dino", "smoke/dino", {"data": str(faces), "output": str(output)}, {}, [])
    return configuration.build(
        recipe.DinoConfig, configuration.overlay(dataclasses.asdict(made), {"loop.preview_every": 0} | changes)
    )


@pytest.fixture(scope="module")
def trained(few_faces, tmp_path_factory):
    output = tmp_path_factory.mktemp("dino")
    assert recipe.run(settings(few_faces, output, **{"loop.preview_every": 64}), CPU) == output / "final_model"
    return output


@pytest.fixture
def output(trained, tmp_path):
    """A run folder with the caches of the first run, which are the same for all."""
    place = tmp_path / "run"
    place.mkdir()
    for cache in trained.glob("*-32"):
        (place / cache.name).symlink_to(cache)
    return place


def tensors(run, images=64):
    return load_file(run / f"checkpoint-{images:08d}" / "state.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_the_run_folder_has_what_the_docs_say(trained):
    rows = RunFolder(trained).metrics()
    assert [r["images"] for r in rows if "loss" in r] == [16, 32, 48, 64]
    assert [r["epoch"] for r in rows if "epoch" in r] == [1]  # 40 faces, 64 images
    assert (trained / "loss.csv").is_file() and (trained / "training_loss.png").is_file()
    shown = Image.open(trained / "samples" / "variations-0000064.png")
    assert shown.size == (32 * (1 + recipe.VARIATIONS), 32 * recipe.SHOWN)
    assert {p.name for p in (trained / "final_model").iterdir()} == {"unet", "scheduler", "vae", "dino.json"}


def test_the_average_is_what_is_kept(trained):
    """final_model holds the averaged weights, as half, and so does the last checkpoint."""
    state = tensors(trained)
    final, checkpoint = (dino.load(trained / part) for part in ("final_model", "checkpoint-00000064"))
    for name, weight in final.unet.state_dict().items():
        assert torch.equal(weight, state[f"ema/unet.{name}"].half().float())
        assert torch.equal(weight, checkpoint.unet.state_dict()[name])


def test_embeddings_are_standardised_over_the_training_faces(trained, few_faces):
    about = dino.load(trained).about
    assert about.encoder == "eye" and about.framing == "tight" and about.size == 32
    encoder = encoders.load("eye", CPU)
    pixels = to_pixels(sorted((few_faces / "images").iterdir()), 32)
    both = torch.cat([encoder.embed(pixels), encoder.embed(pixels.flip(-1))])
    found = dino.load(trained).standardised(both)
    assert found.mean(0).abs().max() < 0.02 and (found.std(0) - 1).abs().max() < 0.03  # kept as fp16 in between


def part_of(config):
    """The recipe without its training: faces of a folder, embedded."""
    kept = {}

    class Kept(recipe.DinoRecipe):
        def __init__(self, *parts):
            super().__init__(*parts)
            kept["recipe"] = self

    plain, recipe.DinoRecipe = recipe.DinoRecipe, Kept
    try:
        recipe.run(config, CPU)
    finally:
        recipe.DinoRecipe = plain
    return kept["recipe"]


def test_a_mirrored_face_goes_with_its_own_embedding(few_faces, trained, output):
    """On pixels, where it can be seen: what a sample draws, embedded again, is the embedding beside it."""
    changes = {"autoencoder": None, "embedding_noise": 0.0, "embedding_dropout": 0.0, "loop.images": 8}
    made = part_of(settings(few_faces, output, **changes))
    encoder = encoders.load("eye", CPU)
    mirrored = 0
    for step in range(3):
        pixels, embeddings = made.batch(step)
        again = made.model.standardised(encoder.embed(pixels))
        turned = made.model.standardised(encoder.embed(pixels.flip(-1)))
        torch.testing.assert_close(again, embeddings, atol=0.1, rtol=0.02)
        assert ((again - embeddings).norm(dim=1) < (turned - embeddings).norm(dim=1)).all()
        originals = made.faces.drawn(made.sampler.indices(step), [0] * 8)
        mirrored += sum(not torch.equal(a, b) for a, b in zip(pixels, originals, strict=True))
    assert 4 <= mirrored <= 20  # of 24, half on the average


def test_embeddings_are_dropped_and_blurred_as_often_as_said(few_faces, output):
    changes = {"embedding_dropout": 0.5, "embedding_noise": 0.2, "loop.images": 8}
    made = part_of(settings(few_faces, output, **changes))
    drawn = torch.cat([made.batch(step)[1] for step in range(20)])
    silent = (drawn == 0).all(1)
    assert 50 <= int(silent.sum()) <= 110  # of 160
    faces = made.faces.embeddings.flatten(0, 1)
    apart = torch.cdist(drawn[~silent], faces).min(1).values / faces.shape[1] ** 0.5
    assert apart.mean() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(made.batch(3)[1], made.batch(3)[1])  # a function of the step alone


def test_broken_off_and_resumed_it_has_the_same_weights(few_faces, trained, output):
    """The quick twin of the kill below: it dies between checkpoints, without a word."""

    class Dead(Exception):
        pass

    def die(stage, done, total):
        if stage == "denoiser" and done == 48:
            raise Dead

    config = settings(few_faces, output)
    with pytest.raises(Dead):
        recipe.run(config, CPU, die)
    assert [p.name for p in RunFolder(output).checkpoints()] == ["checkpoint-00000032"]
    recipe.run(config, CPU)
    assert same(tensors(output), tensors(trained))
    assert [r["images"] for r in RunFolder(output).metrics() if "loss" in r] == [16, 32, 48, 64]


@pytest.mark.slow  # test_broken_off_and_resumed_it_has_the_same_weights stops it within one process
def test_killed_and_resumed_it_has_the_same_weights(few_faces, tmp_path):
    command = [sys.executable, "-m", "likeness", "train", "dino", "--data", str(few_faces), "--preset", "smoke/dino"]
    command += ["--precision", "fp32", "--images", "240", "--set", "loop.checkpoint_every=16"]

    def train(output):
        return subprocess.Popen([*command, "--output", str(output)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    victim = train(tmp_path / "killed")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("checkpoint-*/state.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL and not (tmp_path / "killed" / "final_model").exists()
    for output in ("killed", "whole"):
        done = train(tmp_path / output)
        said = done.communicate()[1]
        assert done.returncode == 0, said
    assert same(tensors(tmp_path / "killed", 240), tensors(tmp_path / "whole", 240))
    finals = [
        load_file(tmp_path / o / "final_model/unet/diffusion_pytorch_model.safetensors") for o in ("killed", "whole")
    ]
    assert same(*finals)


def test_what_is_cached_is_not_made_again(few_faces, trained, monkeypatch):
    shards = {p: p.stat().st_mtime_ns for p in trained.rglob("*-32/*.safetensors")}
    told = []
    recipe.run(settings(few_faces, trained), CPU, lambda stage, done, total: told.append(stage))
    assert {"embeddings", "latents"}.isdisjoint(told)
    assert len(shards) == 2 and shards == {p: p.stat().st_mtime_ns for p in trained.rglob("*-32/*.safetensors")}


def test_going_on_from_a_model_keeps_its_statistics(trained, few_faces, output):
    target = recipe.run(settings(few_faces, output, start=str(trained), **{"loop.images": 8}), CPU)
    begun, after = dino.load(trained), dino.load(target)
    assert after.about == begun.about
    moved = [float((after.unet.state_dict()[k] - w).abs().max()) for k, w in begun.unet.state_dict().items()]
    assert 0 < max(moved) < 0.01  # one step of a small rate from where it was
    with pytest.raises(ConfigError, match="shape.size=32"):
        recipe.run(settings(few_faces, output / "other", start=str(trained), **{"shape.size": 64}), CPU)


@pytest.mark.parametrize(
    "changes",
    [
        {"beta_schedule": "sigmoid", "prediction": "epsilon", "zero_terminal_snr": False, "min_snr": 5.0},
        {"beta_schedule": "squaredcos_cap_v2", "autoencoder": None, "zero_terminal_snr": False},
    ],
)
def test_schedules_and_targets_train_and_draw(few_faces, output, changes, monkeypatch):
    monkeypatch.setattr(recipe, "SHOWN", 2)
    target = recipe.run(settings(few_faces, output, **changes, **{"loop.images": 32, "loop.preview_every": 32}), CPU)
    rows = [r["loss"] for r in RunFolder(output).metrics() if "loss" in r]
    assert len(rows) == 2 and all(0 < loss < 10 for loss in rows)
    model = dino.load(target)
    assert model.scheduler.config.prediction_type == changes.get("prediction", "v_prediction")
    wanted = dino.noise_schedule(changes["beta_schedule"], "epsilon", False).alphas_cumprod
    torch.testing.assert_close(model.scheduler.alphas_cumprod, wanted, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_it_learns_which_face_is_which(few_faces, output):
    """With its own embedding a picture is denoised better than with another's: the condition is used."""
    changes = {"loop.images": 800, "loop.batch": 16, "loop.learning_rate": 3e-3, "loop.ema": None, "loop.warmup": 160,
               "embedding_noise": 0.0, "loop.checkpoint_every": 3200}  # fmt: skip
    made = part_of(settings(few_faces, output, **changes))
    made.model.unet.eval()
    x, own = made.faces.drawn(list(range(40)), [0] * 40), made.faces.embeddings[:40, 0]
    with torch.no_grad():
        losses = [
            torch.stack([made.loss((x, e), torch.Generator().manual_seed(s)).mean() for s in range(4)]).mean()
            for e in (own, own.roll(1, 0))
        ]
    assert losses[0] < 0.97 * losses[1], losses


def test_previews_show_faces_that_were_not_trained_on(faces, few_faces, tmp_path):
    config = settings(faces, tmp_path)  # the shipped folder is all of the test split
    others = recipe.held_out(dataclasses.replace(config, split="train"))
    assert len(others) == len(set(others)) == recipe.SHOWN and all(path.is_file() for path in others)
    alone = recipe.held_out(settings(few_faces, tmp_path))  # there is no other split: some of all
    assert len(alone) == recipe.SHOWN


def test_zero_terminal_snr_with_epsilon_is_refused_before_anything_is_written(few_faces, tmp_path):
    with pytest.raises(ConfigError, match="v_prediction"):
        recipe.run(settings(few_faces, tmp_path / "never", prediction="epsilon"), CPU)
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_build(preset):
    """Every preset's settings go together, and its network has the size that the page tells."""
    config = resolve("dino", preset, {"data": "x"}, {}, [])
    recipe.objective.check(config.prediction, config.zero_terminal_snr, config.min_snr)
    width = {"eye": 384, "dinov2-small": 768, "dinov2-base": 1536}[config.encoder]
    with torch.device("meta"):
        unet = dino.build(config.shape, width, dino.load_vae(config.autoencoder) if config.autoencoder else None)
    millions = sum(p.numel() for p in unet.parameters()) / 1e6
    assert millions == pytest.approx(SIZES[preset], abs=0.1)


def test_the_configuration_is_written_with_the_encoder(trained):
    text = (trained / "config.yaml").read_text()
    assert "encoder: eye" in text and encoders.load("eye", CPU).revision in text
    assert json.loads((trained / "final_model" / "dino.json").read_text())["note"]
