import dataclasses
import os
import signal

import pytest
import torch
from torch import nn

from likeness.errors import TrainingError
from likeness.runs import RunFolder
from likeness.runtime import Runtime
from likeness.train.loop import LoopConfig, averaged, schedule, train
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


def test_learning_rate_rises_stays_and_falls():
    config = dataclasses.replace(CONFIG, images=1000, warmup=100, cooldown=0.5, batch=10)
    rates = [schedule(i, config) for i in (0, 90, 400, 750, 990)]
    assert rates == pytest.approx([0.1, 1, 1, 0.5, 0.02])
