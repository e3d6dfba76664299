"""The only training loop. A recipe supplies modules and a loss; hooks log, preview and check.

Progress is counted in images. Everything random is a pure function of (seed, step, rank), so a run that was killed goes
on from its last checkpoint to bit-identical weights (on a CPU, with the same number of threads).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import EngineError, TrainingError, UsageError
from ..runs import RunFolder
from ..runtime import Runtime
from . import optimizers
from .checkpoints import Trained, averaged, buffers, trainable, update_ema
from .hooks import Hook, State
from .plan import LoopConfig, schedule
from .sampler import step_generator, step_seed

__all__ = ["Hook", "LoopConfig", "Recipe", "State", "averaged", "train"]


class Recipe(Protocol):
    """What is trained: the parameters of `modules` that require a gradient. `loss` returns one value per sample.

    `step` counts micro-batches. Where they exist, the loop uses: `parallel = True`, what the recipe draws is a function
    of the sample's position, so several processes may share a batch; `export(folder)`, writes what makes a checkpoint
    usable by itself; `lighter`, the flags that save memory, in words.
    """

    modules: dict[str, nn.Module]

    def batch(self, step: int) -> Any: ...

    def loss(self, batch: Any, generator: torch.Generator) -> Tensor: ...  # (B,)

    def names(self, step: int) -> list[str]: ...  # the files of a batch, for error messages


def train(recipe: Recipe, config: LoopConfig, run: RunFolder, runtime: Runtime, hooks: Sequence[Hook] = ()) -> State:
    """Train until `images`, `minutes` or a signal; write a checkpoint on the way out; return the final state.

    `config` counts in images (`LoopConfig.settled`). Raises `TrainingError` on a non-finite loss, naming the step and
    the files, and on a disk that is full; `EngineError` when memory runs out.
    """
    config.check(recipe.modules)
    if runtime.world > 1 and not getattr(recipe, "parallel", False):
        raise UsageError("this recipe trains in one process: start it without accelerate launch")
    state = State(total=config.images, step_images=config.step_images(runtime.world))
    with memory_advice(recipe, config, runtime, state):
        trained = prepare(recipe, config, runtime)
        state.ema = trained.ema
        if loaded := run.load_checkpoint(config.resume):
            state.images = loaded[1]
            trained.restore(loaded[0])
        runtime.wait()  # nobody may still be reading what is dropped now
        run.forget_after(state.images)
        with stop_on_signal(state):
            steps(recipe, config, run, runtime, hooks, trained, state)
    return state


def prepare(recipe: Recipe, config: LoopConfig, runtime: Runtime) -> Trained:
    """Modules on their device and in training mode; an optimizer, and the average if there is to be one."""
    for module in recipe.modules.values():
        module.to(runtime.device).train()
    named = trainable(recipe.modules)
    runtime.share(list(named.values()))  # whatever each has drawn to begin with
    scaler = torch.amp.GradScaler(runtime.device.type, enabled=runtime.precision == "fp16")
    ema = {k: p.detach().clone() for k, p in named.items()} if config.ema else {}
    optimizer = optimizers.build(recipe.modules, config)
    return Trained(named, buffers(recipe.modules), optimizer, config.optimizer, scaler, ema)


def steps(
    recipe: Recipe, config: LoopConfig, run: RunFolder, runtime: Runtime, hooks: Sequence[Hook],
    trained: Trained, state: State,
) -> None:  # fmt: skip
    """One step after the other until the end, with all that is due between them."""
    started, first, saved, losses = time.monotonic(), state.images, state.images, []
    aside = 0.0  # seconds that hooks and checkpoints have taken: no part of the speed
    while state.images < config.images and not state.stopping:
        step, factor = state.images // state.step_images, schedule(state.images, config, state.step_images)
        for group in trained.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        losses.append(advance(recipe, step, config, runtime, trained))
        state.images += state.step_images
        if config.ema:
            update_ema(state.ema, trained.named, config.ema, step)
        seconds = time.monotonic() - started
        if state.passed(config.log_every):
            state.loss, losses = float(torch.stack(losses).mean()), []
            state.images_per_second = (state.images - first) / (seconds - aside)
            run.log(state.images, loss=state.loss, images_per_second=state.images_per_second,
                    learning_rate=config.learning_rate * factor)  # fmt: skip
        for hook in hooks:
            hook(state)
        if state.passed(config.checkpoint_every):
            save(recipe, config, run, runtime, trained, state)
            saved = state.images
        aside += time.monotonic() - started - seconds
        if config.minutes and seconds > 60 * config.minutes:
            state.stopping = "time is up"
        if runtime.any(bool(state.stopping)):  # all end after the same step
            state.stopping = state.stopping or "another process is stopping"
    if state.images > saved:
        save(recipe, config, run, runtime, trained, state)


def advance(recipe: Recipe, step: int, config: LoopConfig, runtime: Runtime, trained: Trained) -> Tensor:
    """One optimizer step on the mean over `accumulation` micro-batches of all processes; the mean loss, detached."""
    micro_steps = range(step * config.accumulation, (step + 1) * config.accumulation)
    losses = []
    for micro in micro_steps:
        batch = recipe.batch(micro)
        torch.manual_seed(step_seed(config.seed, micro, runtime.rank, 4))  # of dropout, which asks no generator
        with runtime.autocast():
            loss = recipe.loss(batch, step_generator(config.seed, micro, runtime.rank)).mean()  # (B,) -> ()
        trained.scaler.scale(loss / config.accumulation).backward()
        losses.append(loss.detach())
    check_finite(recipe, step, micro_steps, losses, runtime)
    loss = torch.stack(losses).mean()
    gradients = [p.grad for p in trained.named.values() if p.grad is not None]
    runtime.average([loss, *gradients])
    if config.clip:
        trained.scaler.unscale_(trained.optimizer)
        nn.utils.clip_grad_norm_(list(trained.named.values()), config.clip)
    trained.scaler.step(trained.optimizer)
    trained.scaler.update()
    trained.optimizer.zero_grad(set_to_none=True)
    return loss


def check_finite(recipe: Recipe, step: int, micro_steps: range, losses: list[Tensor], runtime: Runtime) -> None:
    """Raises `TrainingError`, in every process, when a loss is NaN or infinite in one of them."""
    bad = [i for i, fine in enumerate(torch.isfinite(torch.stack(losses)).tolist()) if not fine]
    if not runtime.any(bool(bad)):
        return
    if not bad:
        raise TrainingError(f"loss is not finite at step {step} in another process: see its message")
    files = ", ".join(recipe.names(micro_steps[bad[0]])[:4])
    raise TrainingError(
        f"loss is {losses[bad[0]].item()} at step {step} (files: {files}, ...): "
        "lower the learning rate, use --precision fp32, or look at the files"
    )


def save(recipe: Recipe, config: LoopConfig, run: RunFolder, runtime: Runtime, trained: Trained, state: State) -> None:
    """A checkpoint, written by the main process; what the recipe exports into it has the averaged weights."""

    def export(folder: Path) -> None:
        if hasattr(recipe, "export"):
            with averaged(recipe.modules, state.ema):
                recipe.export(folder)

    if runtime.main:
        run.save_checkpoint(trained.snapshot(), state.images, config.keep, export)
    runtime.wait()


SHORT = ("out of memory", "can't allocate memory", "not enough memory", "Cannot allocate memory", "bad_alloc")


@contextmanager
def memory_advice(recipe: Recipe, config: LoopConfig, runtime: Runtime, state: State) -> Iterator[None]:
    """Turns an allocation that failed, of whichever library, into an `EngineError` that says which flags to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(s in str(error) for s in SHORT):
            raise
        half, more = max(1, config.batch // 2), config.accumulation * 2
        flags = f"--set loop.batch={half} --set loop.accumulation={more}, or --precision bf16"
        raise EngineError(
            f"out of memory at step {state.images // state.step_images} (batch {config.batch}, {runtime.precision}): "
            f"use {getattr(recipe, 'lighter', flags)}"
        ) from error


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
