import sys

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from likeness.errors import ConfigError, MissingExtra, TrainingError
from likeness.train import optimizers
from likeness.train.checkpoints import Trained, buffers, trainable
from likeness.train.plan import LoopConfig
from lines import Lines

LIBRARY = {"adamw8bit": "bitsandbytes", "prodigy": "prodigyopt"}


def made(name: str) -> tuple[Lines, Trained]:
    plan = LoopConfig(optimizer=name, learning_rate=1.0 if name == "prodigy" else 1e-3)
    recipe = Lines(plan)
    # a memory layout that is not the plain one: an optimizer may pair weights and state by place
    recipe.unet.down.weight.data = recipe.unet.down.weight.data.T.contiguous().T
    named, scaler = trainable(recipe.modules), torch.amp.GradScaler("cpu")
    built = optimizers.build(recipe.modules, plan)
    return recipe, Trained(named, buffers(recipe.modules), built, name, scaler)


def walk(recipe: Lines, trained: Trained, steps: range) -> None:
    for step in steps:
        trained.scaler.scale(recipe.loss(recipe.batch(step), None).mean()).backward()
        trained.scaler.step(trained.optimizer)
        trained.scaler.update()
        trained.optimizer.zero_grad()


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_every_optimizer_learns_and_goes_on_to_the_same_bits(name):
    if name in LIBRARY:
        pytest.importorskip(LIBRARY[name])
    recipe, trained = made(name)
    before = [p.detach().clone() for p in trained.named.values()]
    walk(recipe, trained, range(6))
    assert not any(torch.equal(a, b) for a, b in zip(before, trained.named.values(), strict=True))

    first, half = made(name)
    walk(first, half, range(3))
    again, rest = made(name)
    rest.restore(load(save({k: v.detach().contiguous() for k, v in half.snapshot().items()})))
    walk(again, rest, range(3, 6))
    assert all(torch.equal(p, rest.named[k]) for k, p in trained.named.items())
    assert rest.scaler.state_dict() == trained.scaler.state_dict()


@pytest.mark.parametrize("name", LIBRARY)
def test_a_missing_library_is_told_with_its_remedy(name, monkeypatch):
    monkeypatch.setitem(sys.modules, LIBRARY[name], None)
    monkeypatch.delitem(sys.modules, f"{LIBRARY[name]}.optim", raising=False)
    with pytest.raises(MissingExtra, match=f"pip install {LIBRARY[name]}, or choose adamw"):
        optimizers.build({"unet": nn.Linear(1, 1)}, LoopConfig(optimizer=name))


def test_each_module_has_its_learning_rate():
    plan = LoopConfig(learning_rate=1e-4, learning_rates={"text_encoder": "1e-5"})  # YAML reads 1e-5 as a text
    groups = optimizers.build(Lines(plan).modules, plan).param_groups
    assert [g["base"] for g in groups] == [1e-4, 1e-5]
    assert [len(g["params"]) for g in groups] == [2, 2]  # the frozen layers are not among them


def test_prodigy_takes_one_rate_for_all():
    plan = LoopConfig(optimizer="prodigy", learning_rates={"text_encoder": 0.5})
    with pytest.raises(ConfigError, match="leave loop.learning_rates out"):
        optimizers.build(Lines(plan).modules, plan)


def test_nothing_to_train_is_an_error():
    frozen = nn.Linear(1, 1).requires_grad_(False)
    with pytest.raises(ConfigError, match="nothing to train"):
        optimizers.build({"unet": frozen}, LoopConfig())


def test_another_optimizers_checkpoint_is_refused():
    tensors = made("sgd")[1].snapshot()
    with pytest.raises(TrainingError, match="made with the optimizer sgd, not adamw"):
        made("adamw")[1].restore(tensors)
