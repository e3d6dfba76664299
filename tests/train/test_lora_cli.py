"""`likeness train lora`: the field's flags, the published recipes, the plan, and errors of one line."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from likeness import config
from likeness.cli.main import main
from likeness.cli.train_lora import LISTS, SETTINGS, overrides, prepared, resolve
from likeness.launch.local import accelerate
from likeness.models.lora import LoraShape
from likeness.train.recipes.lora_config import LoraConfig

PRESETS = [p for p in config.presets() if p.startswith("lora/")]
FIVE = (
    "A young Latina woman,",
    "The person is a 44",
    "A Latino Hispanic male",
    "A white male, 28",
    "A young, black, fem",
)


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path_factory.getbasetemp() / "lora-cache"))


def said(capsys, *args):
    code = main(["train", "lora", *map(str, args)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_published_recipes_have_their_numbers():
    assert {"lora/diffyface", "lora/text2face", "lora/realvisxl-320", "lora/sd15-320", "lora/mini"} <= set(PRESETS)
    found = {p.removeprefix("lora/"): resolve(p, {"data": "x"}, []) for p in PRESETS}
    face = found["diffyface"]
    assert dataclasses.replace(found["text2face"], output=face.output) == face  # two names of one recipe
    assert (face.model, face.resolution, face.crop) == ("rigvedrs/Diffy-2-1", 768, "center")
    assert face.adapter == LoraShape(rank=8, text_rank=8, text_encoder=True) and face.gradient_checkpointing
    loop = face.loop
    assert (loop.batch, loop.accumulation, loop.epochs, loop.steps) == (4, 1, 20, None)
    assert (loop.learning_rate, face.text_learning_rate, loop.schedule, loop.warmup) == (1e-5, 1e-5, "constant", 0)
    assert (loop.clip, loop.checkpoint_every, loop.resume) == (1, 5000, "latest")
    assert all(p.startswith(start) for p, start in zip(face.validation_prompts, FIVE, strict=True))
    assert face.validation_images == 1  # five in all
    xl = found["realvisxl-320"]
    assert (xl.resolution, xl.adapter.rank, xl.loop.seed) == (320, 4, 42)
    assert (xl.loop.batch, xl.loop.accumulation, xl.loop.steps, xl.loop.warmup) == (4, 2, 2715, 100)
    assert (xl.loop.learning_rate, xl.loop.schedule) == (1e-4, "linear")
    assert (xl.loop.validate_every, xl.loop.checkpoint_every, xl.loop.keep) == (225, 450, 10)
    both, unet = found["sd15-320"], found["sd15-320-unet-only"]
    assert (both.resolution, both.adapter.rank, both.loop.batch, both.loop.steps) == (320, 4, 16, 5000)
    assert (both.loop.learning_rate, both.loop.schedule, both.loop.checkpoint_every, both.loop.seed) == (
        5e-5, "constant", 500, 42,
    )  # fmt: skip
    assert both.adapter.text_encoder and not unet.adapter.text_encoder and unet.loop == both.loop
    one = found["sd15-instance"]
    assert (one.resolution, one.instance_prompt, one.loop.batch, one.loop.accumulation) == (
        512, "a photo of a person", 1, 4,
    )  # fmt: skip
    assert (one.loop.learning_rate, one.loop.steps) == (5e-4, 2000)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_count_in_steps_and_the_loop_in_images(preset):
    made = resolve(preset, {"data": "x"}, [])
    settled, step = made.loop.settled(100), made.loop.batch * made.loop.accumulation
    assert made.loop.unit == "steps" and settled.unit == "images"
    assert settled.checkpoint_every == made.loop.checkpoint_every * step
    assert settled.images == (made.loop.steps * step if made.loop.steps else 100 * made.loop.epochs)


def test_flags_become_settings_and_win_over_the_preset():
    known = {f.name for f in dataclasses.fields(LoraConfig)}
    assert {s.partition(".")[0] for s in SETTINGS.values()} <= known
    flags = {
        "rank": 32,
        "steps": 7,
        "random_flip": True,
        "center_crop": False,
        "adam_beta2": 0.99,
        "use_8bit_adam": True,
    }
    flags |= {"target_modules": "to_q,to_k", "validation_steps": 3, "validation_prompt": ["a", "b"]}
    made = resolve("lora/diffyface", overrides(flags) | {"data": "x"}, ["loop.seed=5"])
    assert (made.adapter.rank, made.adapter.text_rank, made.adapter.targets) == (32, 8, ("to_q", "to_k"))
    assert (made.loop.steps, made.loop.epochs, made.loop.optimizer, made.loop.seed) == (7, None, "adamw8bit", 5)
    assert (made.flip, made.crop, made.loop.betas) == (0.5, "random", (0.9, 0.99))
    assert (made.loop.validate_every, made.loop.preview_every, made.validation_prompts) == (3, 3, ("a", "b"))


@pytest.mark.parametrize("flag", [*SETTINGS, *LISTS])
def test_no_flag_is_lost_on_the_way(flag):
    setting = SETTINGS.get(flag) or LISTS[flag]
    assert overrides({flag: ["said"], "use_8bit_adam": False})[setting] == ["said"]


def test_a_preset_in_images_refuses_flags_in_steps(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("loop: {images: 100}\n")
    code, _, err = said(capsys, "--preset", tmp_path / "mine.yaml", "--data", "x", "--checkpointing-steps", 5)
    assert code == 2 and "unit: steps" in err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "no data: give --data FOLDER"),
        (["--data", "nowhere"], "no folder nowhere"),
        (["--data", "x", "--report-to", "wandb"], "only tensorboard"),
        (["--data", "x", "--preset", "lora/mni"], "did you mean 'lora/mini'"),
        (["--data", "x", "--set", "adapter.rnk=3"], "did you mean 'rank'"),
        (["--prepare-data", "ffhq"], "write source=path"),
        (["--data", "x", "--lr-scheduler", "cosin", "--dry-run"], "no folder x"),
    ],
)
def test_errors_are_one_line_with_the_remedy(args, told, capsys):
    code, out, err = said(capsys, *args)
    assert code == 2 and told in err and err.count("\n") == 1 and not out


def test_the_plan_says_what_it_will_take(tiny, painted, tmp_path, capsys):
    painted(tmp_path / "faces")
    args = [
        "--model",
        tiny("sdxl"),
        "--data",
        tmp_path / "faces",
        "--resolution",
        64,
        "--max_train_steps",
        9,
        "--dry-run",
    ]
    sizes = {}
    for name, more in {"plain": [], "light": ["--gradient-checkpointing", "--train_text_encoder"]}.items():
        code, out, _ = said(capsys, *args, *more)
        assert code == 0
        sizes[name] = json.loads(out)["plan"]
    plain = sizes["plain"]
    assert (plain["faces"], plain["held_out"], plain["steps"], plain["images"]) == (11, 1, 9, 36)
    assert plain["parameters"]["trainable"] < sizes["light"]["parameters"]["trainable"]
    assert sizes["light"]["memory_gib"]["activations"] < plain["memory_gib"]["activations"]
    assert plain["seconds_per_step"] > 0 and not (tmp_path / "runs").exists()


@pytest.mark.slow  # make smoke runs it too
def test_the_smoke_preset_runs_and_leaves_a_lora(few_faces, tmp_path, capsys):
    code, out, err = said(capsys, "--preset", "smoke/lora", "--data", few_faces, "--output", tmp_path / "run")
    assert code == 0, err
    assert out.strip() == str(tmp_path / "run" / "pytorch_lora_weights.safetensors")
    assert (tmp_path / "run" / "checkpoint-00000016" / "pytorch_lora_weights.safetensors").is_file()
    assert list((tmp_path / "run" / "samples").glob("validation-*.png"))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [r["images"] for r in rows if "held_out" in r] == [0, 8, 16]
    assert all(torch.isfinite(t).all() for t in load_file(out.strip()).values())


@pytest.mark.slow
def test_preparation_and_training_in_one_command(assets, tmp_path, capsys):
    (tmp_path / "one").mkdir()
    for picture in sorted((assets / "faces" / "images").iterdir())[:4]:
        (tmp_path / "one" / picture.name).write_bytes(picture.read_bytes())
    run = tmp_path / "run"
    args = ["--prepare-data", f"folder={tmp_path / 'one'}", "--merge-datasets", "--preset", "smoke/lora"]
    args += ["--output", run, "--instance-prompt", "a face", "--max-train-steps", 1]
    code, out, err = said(capsys, *args, "--set", "validation_prompts=[]")
    assert code == 0, err
    assert (run / "data" / "merged" / "metadata.jsonl").is_file() and out.strip().startswith(str(run))
    assert prepared([("a", "x"), ("b", "y")], "r", False) == ["r/data/a", "r/data/b"]


@pytest.mark.slow
def test_killed_and_resumed_it_has_the_same_weights(few_faces, tmp_path):
    command = [sys.executable, "-m", "likeness", "train", "lora", "--data", str(few_faces), "--preset", "smoke/lora"]
    command += ["--mixed-precision", "no", "--max-train-steps", "40", "--set", "validation_prompts=[]", "--output"]

    def start(output):
        return subprocess.Popen([*command, str(output)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    victim = start(tmp_path / "killed")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("checkpoint-*/state.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    weights = []
    for output in ("killed", "whole"):
        done = start(tmp_path / output)
        assert done.communicate()[1] is not None and done.returncode == 0
        weights.append(load_file(tmp_path / output / "pytorch_lora_weights.safetensors"))
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[1])


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(few_faces, tmp_path):
    """As `accelerate launch` starts them (gloo): batches of 2 and 2 against one of 4, the same losses and weights."""
    command = [sys.executable, "-m", "likeness", "train", "lora", "--data", str(few_faces), "--preset", "smoke/lora"]
    command += ["--mixed-precision", "no", "--set", "validation_prompts=[]", "--device", "cpu", "--output"]
    subprocess.run([*command, str(tmp_path / "one")], check=True, capture_output=True)
    launch = accelerate([*command[3:], str(tmp_path / "two"), "--train-batch-size", "2"], 2, threads=1)
    subprocess.run(launch, check=True, capture_output=True)
    curves = [[json.loads(line) for line in (tmp_path / d / "metrics.jsonl").open()] for d in ("one", "two")]
    losses = [[row["loss"] for row in curve if "loss" in row] for curve in curves]
    assert len(losses[0]) == 4 and losses[1] == pytest.approx(losses[0], rel=1e-4)
