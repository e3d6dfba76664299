import dataclasses
import json
import os
import signal

import pytest
import torch
from torch import nn

import lines
from likeness.errors import TrainingError, UsageError
from likeness.runs import RunFolder
from likeness.runtime import Runtime
from likeness.train.checkpoints import trainable
from likeness.train.hooks import validation
from likeness.train.loop import LoopConfig, averaged, train
from likeness.train.sampler import Sampler

CPU = Runtime(torch.device("cpu"))
CONFIG = LoopConfig(images=96, batch=8, warmup=16, log_every=16, checkpoint_every=32, ema=0.9)


class Line:
    """y = 3x + noise, with a dropout that only the step's generator decides."""

    def __init__(self, poison: int | None = None):
        torch.manual_seed(0)
        self.modules = {"line": nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))}
        self.sampler, self.poison = Sampler(40, 8, seed=1), poison

    def names(self, step):
        return [f"{i}.png" for i in self.sampler.indices(step)]

    def batch(self, step):
        x = torch.tensor(self.sampler.indices(step)).float()[:, None].repeat(1, 4)
        return x * (float("nan") if step == self.poison else 0.1)

    def loss(self, batch, generator):
        noise = torch.randn(batch.shape, generator=generator)
        return (self.modules["line"](batch + 0.1 * noise)[:, 0] - 3 * batch[:, 0]).square()


def weights(recipe, state):
    kept = {k: v.clone() for k, v in recipe.modules["line"].state_dict().items()}
    return kept | {f"ema {k}": v for k, v in state.ema.items()}


def test_stopping_and_resuming_gives_the_same_bits(tmp_path):
    whole = Line()
    expected = weights(whole, train(whole, CONFIG, RunFolder(tmp_path / "whole"), CPU))

    def die(state):
        if state.images == 56:  # between two checkpoints
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Line(), CONFIG, RunFolder(tmp_path / "halves"), CPU, [die])
    again = Line()
    found = weights(again, train(again, CONFIG, RunFolder(tmp_path / "halves"), CPU))
    assert all(torch.equal(expected[k], found[k]) for k in expected)
    logs = [[(r["images"], r["loss"]) for r in RunFolder(tmp_path / d).metrics()] for d in ("whole", "halves")]
    assert logs[0] == logs[1]  # nothing counted twice


def test_sigterm_saves_and_ends(tmp_path):
    def ask(state):
        if state.images == 40:
            os.kill(os.getpid(), signal.SIGTERM)

    run = RunFolder(tmp_path)
    state = train(Line(), CONFIG, run, CPU, [ask])
    assert (state.stopping, state.images) == ("SIGTERM", 40)
    assert run.load_checkpoint()[1] == 40


def test_non_finite_loss_names_step_and_files(tmp_path):
    recipe = Line(poison=5)
    with pytest.raises(TrainingError, match=f"step 5 .*{recipe.names(5)[0]}.*learning rate"):
        train(recipe, CONFIG, RunFolder(tmp_path), CPU)


def test_a_bad_micro_batch_names_its_own_files(tmp_path):
    recipe = lines.Lines(lines.CONFIG, poison=5)  # the second of two in step 2
    with pytest.raises(
        TrainingError, match=rf"loss is nan at step 2 .files: {recipe.names(5)[0]}, {recipe.names(5)[1]}"
    ):
        train(recipe, lines.CONFIG, RunFolder(tmp_path), CPU)
    assert RunFolder(tmp_path).load_checkpoint() is None  # weights that are not finite are never saved


def test_another_models_checkpoint_is_refused(tmp_path):
    train(Line(), CONFIG, RunFolder(tmp_path), CPU)
    other = Line()
    other.modules = {"other": nn.Linear(4, 1)}
    with pytest.raises(TrainingError, match="another model"):
        train(other, CONFIG, RunFolder(tmp_path), CPU)


def test_averaged_weights_come_and_go():
    module = nn.Linear(2, 2)
    before = module.weight.detach().clone()
    ema = {f"m.{k}": torch.zeros_like(v) for k, v in module.named_parameters()}
    with averaged({"m": module}, ema):
        assert not module.weight.any() and not module.training
    assert torch.equal(module.weight, before) and module.training


def curve(folder):
    return [(r["images"], r["loss"]) for r in RunFolder(folder).metrics() if "loss" in r]


def adapters(recipe):
    return {k: p.detach().clone() for k, p in trainable(recipe.modules).items()}


def test_accumulated_micro_batches_are_one_batch(tmp_path):
    runs = []
    for batch, accumulation in ((8, 1), (2, 4)):
        plan = dataclasses.replace(lines.CONFIG, batch=batch, accumulation=accumulation)
        recipe = lines.Lines(plan)
        train(recipe, plan, RunFolder(tmp_path / str(batch)), CPU)
        runs.append(adapters(recipe))
    for name, weight in runs[0].items():
        torch.testing.assert_close(weight, runs[1][name], rtol=1e-4, atol=1e-6)  # sums in another order
    for (_, one), (_, other) in zip(curve(tmp_path / "8"), curve(tmp_path / "2"), strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_resuming_gives_the_same_bits_with_groups_accumulation_and_dropout(tmp_path):
    plan = dataclasses.replace(
        lines.CONFIG, learning_rates={"text_encoder": 0.001}, schedule="cosine", validate_every=24, clip=0
    )

    def run(name, *hooks):
        recipe, folder = lines.Lines(plan, dropout=0.5), RunFolder(tmp_path / name)
        train(recipe, plan, folder, CPU, [validation(recipe, folder, CPU, plan.validate_every), *hooks])
        return adapters(recipe)

    def die(state):
        torch.rand(7)  # whatever else draws from the global generator does no harm
        if state.images == 56:
            raise KeyboardInterrupt

    expected = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("halves", die)
    found = run("halves")
    assert all(torch.equal(expected[k], found[k]) for k in expected)
    told = [
        [{k: v for k, v in r.items() if k != "images_per_second"} for r in RunFolder(tmp_path / d).metrics()]
        for d in ("whole", "halves")
    ]
    assert told[0] == told[1]
    assert [r["images"] for r in told[0] if "validation_loss" in r] == [24, 48, 72, 96]


def test_dropout_draws_anew_in_every_micro_batch(tmp_path):
    plan, drawn = dataclasses.replace(lines.CONFIG, images=16), []
    recipe = lines.Lines(plan, dropout=0.5)
    recipe.unet.dropout.register_forward_hook(lambda module, inputs, out: drawn.append(out == 0))
    train(recipe, plan, RunFolder(tmp_path), CPU)
    masks = [mask.tolist() for mask in drawn]
    assert len(masks) == 4 and not any(a == b for i, a in enumerate(masks) for b in masks[:i])


def test_what_is_frozen_is_neither_trained_nor_kept(tmp_path):
    plan = dataclasses.replace(lines.CONFIG, ema=None, images=32)
    recipe = lines.Lines(plan)
    before = recipe.unet.base.weight.clone()
    state = train(recipe, plan, RunFolder(tmp_path), CPU)
    assert torch.equal(before, recipe.unet.base.weight) and state.ema == {}
    names = {k.split("/")[1] for k in RunFolder(tmp_path).load_checkpoint()[0] if k.startswith(("weight/", "ema/"))}
    assert names == {f"{m}.{w}.weight" for m in ("unet", "text_encoder") for w in ("down", "up")}


def test_a_module_without_a_rate_of_its_own_has_the_common_one(tmp_path):
    plan = dataclasses.replace(lines.CONFIG, learning_rates={"text_encoder": 0}, images=32)
    recipe = lines.Lines(plan)
    before = adapters(recipe)
    train(recipe, plan, RunFolder(tmp_path), CPU)
    changed = {k for k, v in adapters(recipe).items() if not torch.equal(v, before[k])}
    assert changed == {"unet.down.weight", "unet.up.weight"}


def test_a_checkpoint_carries_what_the_recipe_exports_with_averaged_weights(tmp_path):
    plan = dataclasses.replace(lines.CONFIG, images=64, checkpoint_every=32)
    recipe = lines.Lines(plan)
    state = train(recipe, plan, RunFolder(tmp_path), CPU)
    told = json.loads((tmp_path / "checkpoint-00000064" / "adapter.json").read_text())
    assert told == pytest.approx(float(state.ema["unet.up.weight"].sum()))
    assert told != pytest.approx(float(recipe.unet.up.weight.detach().sum()))


def test_the_checkpoint_limit_and_going_on_from_a_named_one(tmp_path):
    plan = dataclasses.replace(lines.CONFIG, checkpoint_every=16, keep=3)
    first = lines.Lines(plan)
    train(first, plan, RunFolder(tmp_path), CPU)
    assert [p.name[-2:] for p in RunFolder(tmp_path).checkpoints()] == ["64", "80", "96"]
    expected, seen = adapters(first), []
    again = lines.Lines(plan)
    named = dataclasses.replace(plan, resume="checkpoint-00000064")
    train(again, named, RunFolder(tmp_path), CPU, [lambda s: seen.append(s.images)])
    assert seen[0] == 72 and all(torch.equal(expected[k], v) for k, v in adapters(again).items())
    with pytest.raises(UsageError, match="no checkpoint-65 .*checkpoint-00000064, checkpoint-00000080"):
        train(lines.Lines(plan), dataclasses.replace(plan, resume="checkpoint-65"), RunFolder(tmp_path), CPU)


def test_fp16_keeps_its_loss_scale_over_a_resume(tmp_path):
    half = Runtime(torch.device("cpu"), "fp16")
    runs = []
    for stops in ((96,), (40, 96)):
        for images in stops:
            plan = dataclasses.replace(lines.CONFIG, images=images, schedule="constant")
            recipe = lines.Lines(plan)
            train(recipe, plan, RunFolder(tmp_path / str(len(stops))), half)
        runs.append(adapters(recipe))
    assert all(torch.equal(runs[0][k], runs[1][k]) for k in runs[0])
    kept = RunFolder(tmp_path / "2").load_checkpoint()[0]
    assert kept["scaler/scale"] >= 1 and kept["scaler/_growth_tracker"] == 12  # all steps of both sittings


def test_several_processes_need_a_recipe_made_for_them(tmp_path):
    pair = Runtime(torch.device("cpu"), world=2)
    with pytest.raises(UsageError, match="trains in one process"):
        train(Line(), CONFIG, RunFolder(tmp_path), pair)
