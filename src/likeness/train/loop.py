"""The only training loop. A recipe supplies modules and a loss; hooks log, preview and check.

Progress is counted in images. Everything random is a pure function of (seed, step), so a run that was killed goes on
from its last checkpoint to bit-identical weights (on a CPU, with the same number of threads).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import TrainingError
from ..runs import RunFolder
from ..runtime import Runtime
from .sampler import step_generator


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast. `minutes` ends this sitting, `images` ends the run; the learning rate follows `images`."""

    images: int = 1_000_000
    minutes: float | None = None
    batch: int = 32
    learning_rate: float = 3e-4
    warmup: int = 6_400
    cooldown: float = 0.2
    weight_decay: float = 0.01
    betas: tuple[float, ...] = (0.9, 0.99)
    clip: float = 1.0
    ema: float = 0.9995
    seed: int = 0
    log_every: int = 1_600
    checkpoint_every: int = 32_000


class Recipe(Protocol):
    """What is trained. `modules` are trained under these names; `loss` returns one value per sample."""

    modules: dict[str, nn.Module]

    def batch(self, step: int) -> Any: ...

    def loss(self, batch: Any, generator: torch.Generator) -> Tensor: ...  # (B,)

    def names(self, step: int) -> list[str]: ...  # the files of a batch, for error messages


@dataclass
class State:
    """Where a run stands; hooks get it after every step."""

    images: int = 0
    loss: float = float("nan")
    images_per_second: float = 0.0
    stopping: str | None = None
    ema: dict[str, Tensor] = field(default_factory=dict)


Hook = Callable[[State], None]


def train(recipe: Recipe, config: LoopConfig, run: RunFolder, runtime: Runtime, hooks: Sequence[Hook] = ()) -> State:
    """Train until `images`, `minutes` or a signal; write a checkpoint on the way out; return the final state.

    Raises `TrainingError` on a non-finite loss, naming the step and the files.
    """
    named = {f"{m}.{n}": p for m, module in recipe.modules.items() for n, p in module.named_parameters()}
    for module in recipe.modules.values():
        module.to(runtime.device).train()
    optimizer = torch.optim.AdamW(
        named.values(), lr=config.learning_rate, betas=(config.betas[0], config.betas[1]),
        weight_decay=config.weight_decay, fused=True,
    )  # fmt: skip
    state = State(ema={k: p.detach().clone() for k, p in named.items()})
    buffers = {f"{m}.{n}": b for m, module in recipe.modules.items() for n, b in module.named_buffers()}
    if loaded := run.load_checkpoint():
        state.images = loaded[1]
        restore(loaded[0], named, buffers, state.ema, optimizer)
    run.forget_after(state.images)

    started, first, saved, losses = time.monotonic(), state.images, state.images, []
    with stop_on_signal(state):
        while state.images < config.images and not state.stopping:
            step = state.images // config.batch
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * schedule(state.images, config)
            losses.append(advance(recipe, step, config, runtime, named, optimizer))
            state.images += config.batch
            update_ema(state.ema, named, config.ema, step)
            seconds = time.monotonic() - started
            if due(state.images, config.log_every, config.batch):
                state.loss, losses = float(torch.stack(losses).mean()), []
                state.images_per_second = (state.images - first) / seconds
                run.log(state.images, loss=state.loss, images_per_second=state.images_per_second)
            for hook in hooks:
                hook(state)
            if due(state.images, config.checkpoint_every, config.batch):
                run.save_checkpoint(snapshot(named, buffers, state.ema, optimizer), state.images)
                saved = state.images
            if config.minutes and seconds > 60 * config.minutes:
                state.stopping = "time is up"
    if state.images > saved:
        run.save_checkpoint(snapshot(named, buffers, state.ema, optimizer), state.images)
    return state


def advance(
    recipe: Recipe,
    step: int,
    config: LoopConfig,
    runtime: Runtime,
    named: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> Tensor:
    """One optimizer step; returns the mean loss, detached."""
    batch = recipe.batch(step)
    with runtime.autocast():
        loss = recipe.loss(batch, step_generator(config.seed, step)).mean()  # (B,) -> ()
    if not torch.isfinite(loss):
        files = ", ".join(recipe.names(step)[:4])
        raise TrainingError(
            f"loss is {loss.item()} at step {step} (files: {files}, ...): "
            "lower the learning rate, use --precision fp32, or look at the files"
        )
    loss.backward()
    nn.utils.clip_grad_norm_(list(named.values()), config.clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def schedule(images: int, config: LoopConfig) -> float:
    """Linear warm-up, constant, linear cool-down over the last part of the run; a function of images alone."""
    start = config.images * (1 - config.cooldown)
    down = (config.images - images) / max(1.0, config.images - start) if images > start else 1.0
    return min(1.0, (images + config.batch) / max(1, config.warmup), down)


def update_ema(ema: dict[str, Tensor], named: dict[str, nn.Parameter], decay: float, step: int) -> None:
    """Exponential moving average with a short memory at the start, min(decay, (1 + step) / (10 + step))."""
    rate = 1 - min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_([ema[k] for k in named], [p.detach() for p in named.values()], rate)


def due(images: int, every: int, batch: int) -> bool:
    """Whether a multiple of `every` lies within the step that has just ended."""
    return images // every > (images - batch) // every


def snapshot(
    named: dict[str, nn.Parameter], buffers: dict[str, Tensor], ema: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """All that a run needs to go on, as one flat dictionary of tensors."""
    tensors: dict[str, Tensor] = {f"weight/{k}": p for k, p in named.items()}
    tensors |= {f"buffer/{k}": b.clone() for k, b in buffers.items()} | {f"ema/{k}": v for k, v in ema.items()}
    for name, parameter in named.items():
        tensors |= {f"optimizer/{name}/{k}": torch.as_tensor(v) for k, v in optimizer.state[parameter].items()}
    return tensors


def restore(
    tensors: dict[str, Tensor],
    named: dict[str, nn.Parameter],
    buffers: dict[str, Tensor],
    ema: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Inverse of `snapshot`. Raises `TrainingError` when the checkpoint is of another model."""
    if {k[7:] for k in tensors if k.startswith("weight/")} != set(named):
        raise TrainingError("the checkpoint in the run folder is of another model: choose another --output")
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(tensors[f"weight/{name}"])
            ema[name].copy_(tensors[f"ema/{name}"])
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if (kept := tensors.get(f"optimizer/{name}/{key}")) is None:
                    continue  # it has had no gradient yet
                # in the parameter's own memory layout: the fused optimizer pairs elements by their place in memory
                like = torch.empty_like(parameter) if kept.shape == parameter.shape else kept.to(parameter.device)
                optimizer.state[parameter][key] = like.copy_(kept)
        for name, buffer in buffers.items():
            buffer.copy_(tensors[f"buffer/{name}"])


@contextmanager
def averaged(modules: dict[str, nn.Module], ema: dict[str, Tensor]) -> Iterator[None]:
    """Within the block the modules carry the averaged weights and are in evaluation mode."""
    named = {f"{m}.{n}": p for m, module in modules.items() for n, p in module.named_parameters()}
    kept = {k: p.detach().clone() for k, p in named.items()}
    with torch.no_grad():
        for k, p in named.items():
            p.copy_(ema[k])
    for module in modules.values():
        module.eval()
    try:
        yield
    finally:
        with torch.no_grad():
            for k, p in named.items():
                p.copy_(kept[k])
        for module in modules.values():
            module.train()


@contextmanager
def stop_on_signal(state: State) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the run after the current step, with a checkpoint."""

    def stop(number: int, _: Any) -> None:
        state.stopping = signal.Signals(number).name

    wanted = (signal.SIGTERM, signal.SIGINT)
    try:
        before = {s: signal.signal(s, stop) for s in wanted}
    except ValueError:  # not the main thread: the caller stops us in another way
        yield
        return
    try:
        yield
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
