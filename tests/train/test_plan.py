import dataclasses

import pytest
import torch
from diffusers.optimization import get_scheduler

from likeness import config as configuration
from likeness.errors import ConfigError
from likeness.train.hooks import State
from likeness.train.plan import SCHEDULES, LoopConfig, schedule

PLAN = LoopConfig(images=400, batch=2, accumulation=2, warmup=40, log_every=8, checkpoint_every=80)


@pytest.mark.parametrize("warmup", [0, 40])
@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"warmup_stable_decay"}))
def test_schedules_are_those_that_their_names_promise(name, warmup):
    """The independent source is diffusers, whose training scripts gave the names."""
    plan = dataclasses.replace(PLAN, schedule=name, warmup=warmup, cycles=3 if "restarts" in name else None, power=2.0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=plan.learning_rate)
    settings = {"num_warmup_steps": warmup // 4, "num_training_steps": 100, "num_cycles": 3, "power": 2.0}
    theirs = get_scheduler(name, optimizer, **settings)
    for step in range(100):
        found = schedule(step * 4, plan, 4) * plan.learning_rate
        assert found == pytest.approx(theirs.get_last_lr()[0], abs=1e-12), step
        optimizer.step()
        theirs.step()


def test_the_default_rises_stays_and_falls():
    plan = LoopConfig(images=1000, warmup=100, cooldown=0.5, batch=10)
    rates = [schedule(i, plan, 10) for i in (0, 90, 400, 750, 990)]
    assert rates == pytest.approx([0.1, 1, 1, 0.5, 0.02])


def test_steps_and_epochs_become_images():
    published = LoopConfig(unit="steps", steps=2715, batch=4, accumulation=2, warmup=100, validate_every=225)
    settled = published.settled(epoch=1000)
    assert (settled.images, settled.warmup, settled.validate_every) == (2715 * 8, 800, 225 * 8)
    assert settled.settled(epoch=1000) == settled
    assert published.settled(epoch=1000, world=2).images == 2 * settled.images
    assert LoopConfig(epochs=2.5, batch=4).settled(epoch=7).images == 18
    assert LoopConfig(epochs=20, steps=3, batch=4).settled(epoch=7).images == 12  # steps win, as in the field's scripts


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("schedule", "cosin", "did you mean 'cosine'"),
        ("optimizer", "adam8bit", "did you mean 'adamw8bit'"),
        ("unit", "minutes", "choose from images, steps"),
        ("learning_rates", {"unett": 1e-4}, "did you mean 'unet'"),
        ("learning_rates", {"unet": "fast"}, "learning_rates.unet must be a number"),
        ("accumulation", 0, "1 or more"),
        ("epochs", 3, "counts in images"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(setting, value, words):
    plan = configuration.build(LoopConfig, {setting: value})
    with pytest.raises(ConfigError, match=words):
        plan.check({"unet": None, "text_encoder": None})


def test_a_multiple_is_passed_once():
    states = [State(images=n, step_images=6) for n in range(6, 49, 6)]
    assert [s.images for s in states if s.passed(8)] == [12, 18, 24, 36, 42, 48]
    assert not any(s.passed(0) for s in states)
