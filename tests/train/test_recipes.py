"""Every recipe, a few steps on real faces, and what it leaves is loaded by libraries that we did not write."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from likeness import config
from likeness.cli.train import RECIPES, resolve
from likeness.errors import ConfigError, Unfinished
from likeness.runtime import Runtime

CPU = Runtime(torch.device("cpu"))


def run(recipe, faces, output, **changes):
    settings = resolve(recipe, f"smoke/{recipe}", {"data": str(faces), "output": str(output)}, {}, [])
    settings = config.build(type(settings), config.overlay(_plain(settings), changes))
    return importlib.import_module(f"likeness.train.recipes.{recipe}").run(settings, CPU)


def _plain(settings):
    import dataclasses

    return dataclasses.asdict(settings)


@pytest.fixture(scope="session")
def smoke_mini(few_faces, tmp_path_factory):
    return run("mini", few_faces, tmp_path_factory.mktemp("mini"))


def test_mini_is_a_pipeline_that_stock_diffusers_loads_without_arguments(smoke_mini):
    from diffusers import StableDiffusionPipeline

    loaded = StableDiffusionPipeline.from_pretrained(smoke_mini)
    parts = (loaded.unet, loaded.text_encoder, loaded.vae)
    assert {p.dtype for p in parts} == {torch.float32}
    stored = [load_file(f) for f in smoke_mini.rglob("*.safetensors")]
    assert {t.dtype for tensors in stored for t in tensors.values()} == {torch.float16}
    loaded.set_progress_bar_config(disable=True)
    picture = loaded("a woman", num_inference_steps=2, output_type="np").images
    assert picture.shape == (1, 64, 64, 3) and np.isfinite(picture).all()


def test_the_run_folder_tells_what_was_done(smoke_mini):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = smoke_mini.parent
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(folder))
    events.Reload()
    assert [e.step for e in events.Scalars("loss")] == [r["images"] for r in rows] == [16, 32, 48, 64]
    assert events.Tags()["images"] == ["prompts"] and list((folder / "samples").glob("*.png"))
    assert "seed: 0" in (folder / "config.yaml").read_text()


@pytest.mark.slow
def test_going_on_from_a_pipeline_keeps_its_words(smoke_mini, few_faces, tmp_path):
    target = run("mini", few_faces, tmp_path, start=str(smoke_mini), **{"loop.images": 8})
    assert (target / "tokenizer" / "vocab.json").read_text() == (smoke_mini / "tokenizer" / "vocab.json").read_text()


def test_eye_is_a_clip_and_leaves_a_floor(smoke_mini, few_faces, tmp_path):
    from transformers import CLIPModel

    from likeness.models.eye import Eye

    target = run("eye", few_faces, tmp_path, tokenizer=str(smoke_mini), held_out=8)
    assert CLIPModel.from_pretrained(target).dtype == torch.float32
    eye = Eye.load(target, CPU)
    features = eye.image_features(torch.zeros(2, 3, 128, 128))
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(2))
    probabilities = eye.scores(torch.zeros(2, 3, 128, 128), {"a": ["a man"], "b": ["a woman", "a lady"]})
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2))
    assert load_file(target / "floor.safetensors")["features"].shape == (8, features.shape[-1])


def test_judge_gives_probabilities_for_every_head(few_faces, tmp_path):
    from likeness.models.judge import HEADS, Judge

    found = Judge.load(run("judge", few_faces, tmp_path)).predict(torch.zeros(3, 3, 128, 128))
    assert {k: v.shape[1] for k, v in found.items()} == {k: len(v) for k, v in HEADS.items()}
    assert all(torch.allclose(v.sum(-1), torch.ones(3)) for v in found.values())


@pytest.mark.slow  # the smoke preset of mini trains one in the tests below
def test_autoencoder_learns_and_its_discriminator_joins_at_the_end(few_faces, tmp_path):
    folder, state = run("autoencoder", few_faces, tmp_path, **{"loop.images": 64, "adversarial": 0.5})
    rows = [json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert state.images == 64 and (folder / "config.json").exists()
    assert rows[2] < rows[0] and rows[4] > rows[3] + 1  # the hinge loss of an untrained critic is about 2


@pytest.mark.slow
def test_an_autoencoder_cut_short_says_to_run_again(few_faces, tmp_path):
    with pytest.raises(Unfinished, match="run the same command again"):
        run("mini", few_faces, tmp_path, **{"loop.minutes": 0.0001, "autoencoder_images": 64})


def test_min_snr_with_zero_terminal_snr_is_refused_before_anything_is_written(few_faces, tmp_path):
    with pytest.raises(ConfigError, match="min_snr"):
        run("mini", few_faces, tmp_path / "never", min_snr=5.0)
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_its_presets(recipe):
    assert {recipe, f"smoke/{recipe}"} <= set(config.presets())
    assert resolve(recipe, None, {"data": "x"}, {"images": 7}, ["loop.batch=3"]).loop.batch == 3


@pytest.mark.slow  # test_loop_troubles.py kills a small recipe on the same loop
def test_killed_and_resumed_mini_has_the_same_weights(few_faces, tmp_path, smoke_mini):
    command = [sys.executable, "-m", "likeness", "train", "mini", "--data", str(few_faces), "--preset", "smoke/mini"]
    command += ["--start", str(smoke_mini), "--precision", "fp32"]
    changes = ["--images", "96", "--set", "loop.checkpoint_every=16", "--set", "preview_every=1000"]

    def train(output):
        return subprocess.Popen(
            [*command, *changes, "--output", str(output)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    victim = train(tmp_path / "killed")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("checkpoint-*/state.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    for output in ("killed", "whole"):
        done = train(tmp_path / output)
        assert done.communicate()[1] is not None and done.returncode == 0
    states = [load_file(tmp_path / d / "checkpoint-00000096" / "state.safetensors") for d in ("killed", "whole")]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[1])
