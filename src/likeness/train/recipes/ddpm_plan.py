"""What a run of `likeness train ddpm` will take, before it starts: parameters, steps, memory by a formula, and time.

Memory = parameters x (weight + gradient + optimizer + average) + activations; pictures are counted apart, because they
lie in the memory of the machine, or in a file.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import torch

from ...data.groups import Grouped, read_groups
from ...models import ddpm
from ...runtime import Runtime
from .. import objective
from ..footprint import GIB, OPTIMIZER_BYTES, activations
from .ddpm import DdpmConfig, begin, settle

PATIENCE = 5.0  # seconds of a step of one picture after which a whole batch is only reckoned


def plan(config: DdpmConfig, runtime: Runtime) -> dict[str, Any]:
    """The settings as resolved, and under "plan" what they will take. No picture is opened.

    Raises `UsageError` without faces of a group.
    """
    objective.check(config.prediction, False, config.min_snr)
    faces = read_groups(config.data, config.split, config.groups)
    config = settle(config, len(faces.files))
    steps = -(-config.loop.images // config.loop.step_images())
    found: dict[str, Any] = {
        "faces": len(faces.files), "groups": faces.report.groups, "left_out": _left_out(faces),
        "images": config.loop.images, "epochs": round(config.loop.images / len(faces.files), 2), "steps": steps,
        "device": str(runtime.device), "precision": runtime.precision,
    }  # fmt: skip
    found |= memory(config, faces, runtime) | timing(config, faces.names, runtime, steps)
    return dataclasses.asdict(config) | {"plan": found}


def _left_out(faces: Grouped) -> dict[str, Any]:
    report = faces.report.as_json()
    return {key: report[key] for key in ("unknown", "small", "empty", "broken") if report[key]}


def memory(config: DdpmConfig, faces: Grouped, runtime: Runtime) -> dict[str, Any]:
    """Parameters, and GiB by kind."""
    batch, size, names = config.loop.batch, config.shape.size, faces.names
    with torch.device("meta"):
        unet = ddpm.build(config.shape, names).train()
    parameters = sum(p.numel() for p in unet.parameters())

    def forward() -> None:
        classes = torch.zeros(batch, dtype=torch.long) if names else None
        unet(torch.zeros(batch, 3, size, size), torch.zeros(batch, dtype=torch.long), class_labels=classes)

    kept = 4 + 4 + OPTIMIZER_BYTES[config.loop.optimizer] + 4 * bool(config.loop.ema)
    half = 4 if runtime.precision == "fp32" else 2
    parts = {"network": kept * parameters, "activations": activations([unet], forward) * half // 4}
    pictures = len(faces.files) * 3 * size * size
    shown = parts | {"total": sum(parts.values()), "pictures": pictures}
    return {"parameters": parameters, "memory_gib": {name: round(value / GIB, 3) for name, value in shown.items()}}


def timing(config: DdpmConfig, names: tuple[str, ...], runtime: Runtime, steps: int) -> dict[str, Any]:
    """Seconds of a step of the real network on noise; on a GPU the true memory of its gradient too."""
    unet = begin(config, names).unet.to(runtime.device).train()
    step(unet, 1, bool(names), runtime)  # the first of all is slow
    seconds = step(unet, 1, bool(names), runtime) * config.loop.batch
    if seconds < PATIENCE * config.loop.batch:
        seconds = step(unet, config.loop.batch, bool(names), runtime)
    seconds *= config.loop.accumulation
    found = {"seconds_per_step": round(seconds, 3), "hours": round(seconds * steps / 3600, 2)}
    if runtime.device.type == "cuda":
        found["measured_gib"] = round(torch.cuda.max_memory_allocated() / GIB, 3)
    return found


def step(unet: Any, batch: int, conditional: bool, runtime: Runtime) -> float:
    """Seconds of one forward and backward pass of `batch` pictures of noise."""
    size, device = unet.config.sample_size, runtime.device
    x = torch.randn(batch, 3, size, size).to(device, memory_format=torch.channels_last)
    zeros = torch.zeros(batch, dtype=torch.long, device=device)
    started = time.perf_counter()
    with runtime.autocast():
        loss = unet(x, zeros, class_labels=zeros if conditional else None).sample.float().square().mean()
    loss.backward()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
