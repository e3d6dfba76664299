"""`likeness train ddpm`: a small network on painted groups, through the command line and its run folder."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from likeness import config as configuration
from likeness.cli.main import main
from likeness.cli.train_ddpm import resolve
from likeness.errors import ConfigError, UsageError
from likeness.models import ddpm
from likeness.runs import RunFolder
from likeness.runtime import Runtime
from likeness.train.augment import Pictures
from likeness.train.recipes import ddpm as recipe
from likeness.train.recipes.ddpm_plan import plan

CPU = Runtime(torch.device("cpu"))
COLOURS = {"indian": "red", "asian": "lime", "white": "blue"}
PRESETS = [p for p in configuration.presets() if p == "ddpm" or p.startswith("ddpm/")]


@pytest.fixture(scope="module")
def mugshots(tmp_path_factory):
    """Three groups by prefix, 8, 5 and 3 pictures, each of its own colour; one stranger and one torn file."""
    folder = tmp_path_factory.mktemp("mugshots")
    for (prefix, colour), count in zip(COLOURS.items(), (8, 5, 3), strict=True):
        for i in range(count):
            Image.new("RGB", (20, 20), colour).save(folder / f"{prefix}_{i:03}.png")
    Image.new("RGB", (20, 20), "white").save(folder / "stranger_1.png")
    (folder / "white_999.png").write_bytes(b"torn")
    return folder


def settings(data, output, **changes):
    values = configuration.read_preset("smoke/ddpm")
    groups = configuration.read_preset("ddpm/mugshots")["groups"]
    given = {"data": str(data), "output": str(output), "groups": groups, "sample_epochs": 0} | changes
    return configuration.build(recipe.DdpmConfig, configuration.overlay(values, given))


@pytest.fixture(scope="module")
def trained(mugshots, tmp_path_factory):
    """The command, as a user types it: 4 epochs of 16 pictures."""
    output = tmp_path_factory.mktemp("runs") / "mugshots"
    told: list[str] = []
    code = main(
        ["train", "ddpm", "--data", str(mugshots), "--output", str(output), "--preset", "smoke/ddpm", "--epochs", "4",
         *(f"--prefix={p}={n}" for p, n in (("indian", "Indians"), ("asian", "Orientals"), ("white", "Europeans"))),
         "--prefix=black=Africans", "--save-images-epochs", "4", "--save-model-epochs", "2", "--precision", "no"]
    )  # fmt: skip
    assert code == 0, told
    return output


def test_the_run_folder_has_what_the_docs_say(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows = RunFolder(trained).metrics()
    assert [r["images"] for r in rows if "loss" in r] == [8, 16, 24, 32, 40, 48, 56, 64]
    assert [(r["images"], r["epoch"]) for r in rows if "epoch" in r] == [(16, 1), (32, 2), (48, 3), (64, 4)]
    assert (trained / "loss.csv").read_text().count("\n") == 9 and (trained / "training_loss.png").is_file()
    assert [p.name for p in (trained / "samples").iterdir()] == ["groups-0000064.png"]
    events = EventAccumulator(str(trained))
    events.Reload()
    assert {"loss", "epoch_loss"} <= set(events.Tags()["scalars"]) and events.Tags()["images"] == ["groups"]
    told = json.loads((trained / "data.json").read_text())
    assert told["groups"] == {"Europeans": 3, "Indians": 8, "Orientals": 5} and told["empty"] == ["Africans"]
    assert told["unknown"] == {"stranger": 1} and [n.rsplit("/", 1)[-1] for n in told["broken"]] == ["white_999.png"]


def test_every_checkpoint_is_a_model(trained):
    for name in ("checkpoint-00000032", "checkpoint-00000064", "pipeline"):
        model = ddpm.load(trained / name)
        assert model.groups == ("Europeans", "Indians", "Orientals")
    last, kept = (load_file(next((trained / n / "unet").glob("*.safetensors"))) for n in (name, "checkpoint-00000064"))
    assert all(torch.equal(last[k], kept[k]) for k in last)  # averaged weights, both of them
    state = load_file(trained / "checkpoint-00000064" / "state.safetensors")
    assert torch.equal(state["ema/unet.conv_in.weight"], kept["conv_in.weight"])


def test_the_documented_loops_draw(root, trained, mugshots, tmp_path):
    stock, loop = re.findall(r"```python\n(.*?)```", (root / "docs" / "from_scratch.md").read_text(), re.S)[:2]
    anyone = recipe.run(settings(mugshots, tmp_path / "any", groups={"attribute": None}, **{"loop.images": 8}), CPU)
    for program, folder, changes in (
        (stock, anyone, {"runs/ddpm-unconditional/pipeline": str(anyone), "=50": "=2"}),
        (loop, trained, {"runs/ddpm/pipeline": str(trained / "pipeline"), "Indian": "Indians", "(50)": "(2)"}),
    ):
        for old, new in changes.items():
            assert old in program
            program = program.replace(old, new)
        exec(program, {})
        with Image.open("face.png") as picture:
            assert picture.size == (16, 16), folder
        os.remove("face.png")


def test_a_batch_is_a_function_of_its_step_and_groups_come_equally_often(mugshots, tmp_path):
    config = settings(mugshots, tmp_path, class_dropout=0.25)
    faces, pictures = recipe.gather(config, lambda *_: None)
    made = recipe.DdpmRecipe(config, faces, pictures, recipe.begin(config, faces.names))
    batches = [made.batch(step) for step in range(200)]
    again = made.batch(17)
    assert torch.equal(again[0], batches[17][0]) and torch.equal(again[1], batches[17][1])
    shown = torch.cat([pixels for pixels, _ in batches]).mean((2, 3)).argmax(1)  # red 0, green 1, blue 2
    labels = torch.cat([labels for _, labels in batches])
    told = labels < 3
    of_colour = torch.tensor([faces.names.index(n) for n in ("Indians", "Orientals", "Europeans")])
    assert torch.equal(of_colour[shown[told]], labels[told])
    assert (~told).float().mean().item() == pytest.approx(0.25, abs=0.05)  # 1,600 draws: deviation 0.011
    assert all(n == pytest.approx(1 / 3, abs=0.06) for n in (labels[told].bincount() / told.sum()).tolist())


@pytest.mark.slow
@torch.no_grad()
def test_the_loss_falls_and_the_right_group_helps(mugshots, tmp_path):
    """What the network is told of a picture matters: noise is found better under its own group than under another."""
    from likeness.train import objective

    long = {"loop.images": 960, "loop.checkpoint_every": 960, "loop.learning_rate": 5e-3, "loop.ema": 0.95}
    config = settings(mugshots, tmp_path, **long)
    with torch.enable_grad():
        model = ddpm.load(recipe.run(config, CPU))
    rows = [r["epoch_loss"] for r in RunFolder(tmp_path).metrics() if "epoch" in r]
    assert len(rows) == 60 and rows[-1] < 0.1 * rows[0]
    faces, pictures = recipe.gather(config, lambda *_: None)
    x, labels, t = pictures[list(range(16))], torch.from_numpy(faces.labels), torch.full((16,), 300)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    noisy = objective.noised(x, noise, model.scheduler.alphas_cumprod[t])
    own, *others = (
        (model.unet(noisy, t, class_labels=(labels + k) % 3).sample - noise).square().mean((1, 2, 3)) for k in range(3)
    )
    assert all((own < other).sum() >= 13 for other in others)  # of 16; by chance 13 or more come once in 90


def stopped(config, images):
    """The run, ended between two checkpoints by what no handler can see to."""

    def progress(stage, done, total):
        if stage == "denoiser" and done == images:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe.run(config, CPU, progress)


def test_stopped_and_resumed_is_the_same_to_the_bit(mugshots, tmp_path):
    whole, parts = (settings(mugshots, tmp_path / n, **{"loop.checkpoint_every": 32}) for n in ("whole", "parts"))
    recipe.run(whole, CPU)
    stopped(parts, 48)
    recipe.run(parts, CPU)
    states = [load_file(tmp_path / n / "checkpoint-00000064" / "state.safetensors") for n in ("whole", "parts")]
    assert states[0].keys() == states[1].keys() and all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    losses = [[r for r in RunFolder(tmp_path / n).metrics() if "epoch" in r] for n in ("whole", "parts")]
    assert losses[0] == losses[1]


@pytest.mark.slow  # the test above stops the same run in this process
def test_killed_and_resumed_is_the_same_to_the_bit(mugshots, tmp_path):
    command = [sys.executable, "-m", "likeness", "train", "ddpm", "--data", str(mugshots), "--preset", "smoke/ddpm",
               "--prefix=indian=I", "--prefix=asian=O", "--prefix=white=E", "--images", "480", "--precision", "bf16",
               "--set", "loop.checkpoint_every=16", "--save-images-epochs", "0"]  # fmt: skip

    def train(output):
        return subprocess.Popen([*command, "--output", str(output)], stdout=subprocess.DEVNULL)

    victim = train(tmp_path / "killed")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("checkpoint-*/state.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL  # it had not ended by itself
    for output in ("killed", "whole"):
        assert train(tmp_path / output).wait() == 0
    states = [load_file(tmp_path / d / "checkpoint-00000480" / "state.safetensors") for d in ("killed", "whole")]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[1])


def test_starting_from_a_model_keeps_the_groups_that_it_knows(trained, mugshots, tmp_path):
    start = ddpm.load(trained / "pipeline")
    table = start.unet.class_embedding.weight  # Europeans, Indians, Orientals, any face
    config = settings(mugshots, tmp_path, start=str(trained / "pipeline"))
    begun = recipe.begin(config, ("Elves", "Indians"))
    assert torch.equal(begun.unet.class_embedding.weight, table[[3, 1, 3]])
    assert torch.equal(begun.unet.conv_in.weight, start.unet.conv_in.weight)
    assert begun.unet.config.norm_num_groups == start.unet.config.norm_num_groups
    other = dataclasses.replace(config, shape=dataclasses.replace(config.shape, norm_groups=1))
    assert recipe.begin(other, ("Elves",)).unet.config.norm_num_groups == 1
    assert not hasattr(recipe.begin(config, ()).unet.class_embedding, "weight")
    with pytest.raises(ConfigError, match=r"another shape: size 16, channels \[16, 32\], 1 layers"):
        wider = dataclasses.replace(config, shape=dataclasses.replace(config.shape, channels=(16, 48)))
        recipe.begin(wider, ("Elves",))
    with pytest.raises(ConfigError, match="--set prediction=epsilon"):
        recipe.begin(dataclasses.replace(config, prediction="v_prediction"), ("Elves",))


def test_a_run_does_not_go_on_with_other_groups(trained, mugshots):
    config = settings(mugshots, trained, groups={"prefixes": {"indian": "Elves", "asian": "Orcs", "white": "Trolls"}})
    with pytest.raises(UsageError, match="has the groups Europeans, Indians, Orientals.*--output"):
        recipe.run(config, CPU)


def test_a_dry_run_tells_what_it_takes_and_writes_nothing(mugshots, tmp_path):
    found = plan(settings(mugshots, tmp_path / "never", **{"loop.epochs": 10, "loop.accumulation": 2}), CPU)["plan"]
    assert (found["faces"], found["images"], found["steps"]) == (17, 170, 11)  # the torn file is not opened
    assert found["left_out"] == {"unknown": {"stranger": 1}} and found["groups"]["Indians"] == 8
    unet = ddpm.build(settings(mugshots, tmp_path).shape, ("a", "b", "c"))
    assert found["parameters"] == sum(p.numel() for p in unet.parameters())
    assert found["memory_gib"]["activations"] > 0 and found["seconds_per_step"] > 0
    assert not (tmp_path / "never").exists()


def test_flags_become_settings():
    from likeness.cli.train_ddpm import overrides

    made = resolve("ddpm", overrides({"data": "x", "epochs": 3.0, "size": 32, "group": ["Indian=I", "White"]}), [])
    assert (made.loop.epochs, made.shape.size) == (3.0, 32) and made.groups.names == {"Indian": "I", "White": "White"}
    made = resolve("ddpm", overrides({"data": "x", "images": 100}), ["loop.batch=4"])
    assert (made.loop.epochs, made.loop.images, made.loop.batch) == (None, 100, 4)
    made = resolve("ddpm/mugshots", overrides({"data": "x", "unconditional": True}), [])
    assert not made.groups.named
    with pytest.raises(ConfigError, match="--prefix and --unconditional"):
        overrides({"data": "x", "unconditional": True, "prefix": ["a"]})


def test_presets_are_the_fields_recipe():
    assert {"ddpm", "ddpm/128", "ddpm/256", "ddpm/mugshots", "ddpm/unconditional"} == set(PRESETS)
    made = {p: resolve(p, {"data": "x"}, []) for p in PRESETS}
    assert {c.shape.layers_per_block for c in made.values()} == {2}
    assert {c.loop.epochs for c in made.values()} == {1000} and {c.loop.optimizer for c in made.values()} == {"adamw"}
    assert {c.loop.batch * c.loop.accumulation for c in made.values()} == {8}
    assert (made["ddpm"].shape.size, made["ddpm"].loop.learning_rate) == (64, 5e-4)
    assert made["ddpm/mugshots"].groups.prefixes == {"indian": "Indians", "asian": "Orientals", "white": "Europeans"}
    scheduler = ddpm.noise_schedule()
    assert scheduler.config.num_train_timesteps == 1000


def test_settings_in_rounds_become_images(mugshots, tmp_path):
    changes = {"loop.epochs": 2.5, "sample_epochs": 1.5, "checkpoint_epochs": 0.5, "loop.log_every": 10_000}
    settled = recipe.settle(settings(mugshots, tmp_path, **changes), 16)
    assert (settled.loop.images, settled.loop.preview_every, settled.loop.checkpoint_every) == (40, 24, 8)
    assert settled.loop.log_every == 16 and recipe.settle(settled, 16) == settled
    settled.loop.check({"unet": None})
    assert recipe.settle(settings(mugshots, tmp_path, sample_epochs=0), 16).loop.preview_every == 0


def test_pictures_stay_beside_their_labels_when_some_are_left_out(mugshots, tmp_path):
    faces, pictures = recipe.gather(settings(mugshots, tmp_path), lambda *_: None)
    assert len(pictures) == len(faces.files) == 16
    for i, file in enumerate(faces.files):
        assert torch.equal(pictures[[i]], Pictures([file], 16, lambda *_: None)[[0]])
