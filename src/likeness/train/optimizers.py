"""Optimizers by name, and their whole state as a flat dictionary of tensors, whichever they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError, MissingExtra
from .plan import LoopConfig

Groups = list[dict[str, Any]]


def build(modules: Mapping[str, nn.Module], config: LoopConfig) -> torch.optim.Optimizer:
    """The optimizer of all trainable parameters: one group a module, its full learning rate kept as `base`.

    Raises `MissingExtra` when the library of the optimizer is not installed, `ConfigError` when all is frozen.
    """
    groups: Groups = []
    for name, module in modules.items():
        rate = float(config.learning_rates.get(name, config.learning_rate))
        if parameters := [p for p in module.parameters() if p.requires_grad]:
            groups.append({"params": parameters, "lr": rate, "base": rate})
    if not groups:
        raise ConfigError("nothing to train: every parameter is frozen")
    try:
        return OPTIMIZERS[config.optimizer](groups, config)
    except ImportError as error:
        library = {"adamw8bit": "bitsandbytes", "prodigy": "prodigyopt"}.get(config.optimizer, error.name)
        raise MissingExtra(
            f"the optimizer {config.optimizer} needs {library}: pip install {library}, or choose adamw"
        ) from None


def _adamw(groups: Groups, config: LoopConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, betas=_betas(config), weight_decay=config.weight_decay, fused=True)


def _adamw8bit(groups: Groups, config: LoopConfig) -> torch.optim.Optimizer:
    return import_module("bitsandbytes.optim").AdamW8bit(groups, betas=_betas(config), weight_decay=config.weight_decay)


def _prodigy(groups: Groups, config: LoopConfig) -> torch.optim.Optimizer:
    if len({group["lr"] for group in groups}) > 1:
        raise ConfigError("prodigy finds one step size for all: leave loop.learning_rates out")
    # its learning rate is a factor on what it finds, usually 1
    made = import_module("prodigyopt").Prodigy
    return made(groups, lr=config.learning_rate, betas=_betas(config), weight_decay=config.weight_decay,
                use_bias_correction=True, safeguard_warmup=True)  # fmt: skip


def _adafactor(groups: Groups, config: LoopConfig) -> torch.optim.Optimizer:
    from transformers.optimization import Adafactor

    # our schedule sets the rate, so none of its own
    return Adafactor(groups, lr=config.learning_rate, weight_decay=config.weight_decay, scale_parameter=False,
                     relative_step=False, warmup_init=False)  # fmt: skip


def _sgd(groups: Groups, config: LoopConfig) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.betas[0], weight_decay=config.weight_decay)


def _betas(config: LoopConfig) -> tuple[float, float]:
    return config.betas[0], config.betas[1]


OPTIMIZERS: dict[str, Callable[[Groups, LoopConfig], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "adamw8bit": _adamw8bit,
    "prodigy": _prodigy,
    "adafactor": _adafactor,
    "sgd": _sgd,
}


def state_tensors(optimizer: torch.optim.Optimizer, named: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Everything that the optimizer remembers: `optimizer/<parameter>/<key>`, and numbers as float64 or int64.

    Some optimizers keep what they have learnt in their groups (Prodigy: its step size): `optimizer-group/<i>/<key>`.
    """
    kept: dict[str, Tensor] = {}
    for name, parameter in named.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                kept[f"optimizer/{name}/{key}"] = value
            elif isinstance(value, bool | int | float):
                kept[f"optimizer-number/{name}/{key}"] = _number(value)
    for i, group in enumerate(optimizer.param_groups):
        for key, value in group.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                kept[f"optimizer-group/{i}/{key}"] = _number(value)
    return kept


def load_state(optimizer: torch.optim.Optimizer, named: Mapping[str, nn.Parameter], kept: dict[str, Tensor]) -> None:
    """Inverse of `state_tensors`; what is not in `kept` (a parameter that had no gradient yet) stays as it is."""
    for path, value in kept.items():
        kind, _, rest = path.partition("/")
        name, _, key = rest.rpartition("/")
        if kind == "optimizer":
            parameter = named[name]
            # in the parameter's own memory layout: a fused optimizer pairs elements by their place in memory
            like = value.to(parameter.device)
            if value.shape == parameter.shape and value.ndim:
                like = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            optimizer.state[parameter][key] = like
        elif kind == "optimizer-number":
            optimizer.state[named[name]][key] = value.item()
        elif kind == "optimizer-group" and key in optimizer.param_groups[int(name)] and key not in CONFIGURED:
            optimizer.param_groups[int(name)][key] = value.item()


CONFIGURED = ("lr", "base", "weight_decay")  # what a resumed run may be given anew


def _number(value: bool | int | float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)
