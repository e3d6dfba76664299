"""Device, precision, and the processes of a run: all that tells CUDA, MPS and CPU, or ranks, apart."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from .errors import ConfigError, UsageError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """Where tensors live and which type the heavy products are done in (weights stay fp32 under autocast).

    `rank` of `world` processes train together; the main one alone writes files.
    """

    device: torch.device
    precision: str = "fp32"
    rank: int = 0
    world: int = 1

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, PRECISIONS[self.precision])

    @property
    def dtype(self) -> torch.dtype:
        return PRECISIONS[self.precision]

    @property
    def main(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            torch.distributed.barrier()

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process; all of them must ask."""
        if self.world == 1:
            return flag
        found = torch.tensor(float(flag), device=self.device)
        torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
        return bool(found)

    def share(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by the main process's."""
        if self.world > 1:
            for t in tensors:
                torch.distributed.broadcast(t.detach(), 0)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, all in one message for each type."""
        if self.world == 1:
            return
        for dtype in dict.fromkeys(t.dtype for t in tensors):
            alike = [t for t in tensors if t.dtype == dtype]
            flat = torch.cat([t.reshape(-1) for t in alike])  # (sum of sizes,)
            torch.distributed.all_reduce(flat)
            for t, part in zip(alike, flat.div_(self.world).split([t.numel() for t in alike]), strict=True):
                t.copy_(part.view_as(t))


def launched() -> int:
    """How many processes `accelerate launch` (or torchrun) has started us as; 1 without it."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def join(runtime: Runtime) -> Runtime:
    """The same runtime as one of the processes that were launched together; alone, it stays as it is."""
    if launched() == 1:
        return runtime
    from accelerate import PartialState  # type: ignore[import-untyped]

    # long: the others wait while the main one fills caches, validates and draws
    state = PartialState(cpu=runtime.device.type == "cpu", timeout=timedelta(hours=3))
    return replace(runtime, device=state.device, rank=state.process_index, world=state.num_processes)


def alone() -> None:
    """Raises `UsageError` where several processes were launched, for work that only one can do."""
    if launched() > 1:
        raise UsageError(
            f"this trains in one process, and {launched()} were launched: start it without accelerate launch"
        )


def choose(device: str | None = None, precision: str | None = None) -> Runtime:
    """The best device present unless one is named (`LIKENESS_DEVICE` too); `precision` is fp32, bf16 or fp16.

    Raises `ConfigError` for a device that is not there or a precision that does not exist.
    """
    name = device or os.environ.get("LIKENESS_DEVICE") or default_device()
    try:
        found = torch.device(name)
    except RuntimeError:
        found = torch.device("meta")
    if found.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"unknown device {name!r}: use cpu, cuda, cuda:1 or mps")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA device here: use --device cpu, or install a CUDA build of torch")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"no device {name!r} here: the last is cuda:{torch.cuda.device_count() - 1}")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("no MPS device here: use --device cpu")
    precision = precision or "fp32"
    if precision not in PRECISIONS:
        raise ConfigError(f"unknown precision {precision!r}: use fp32, bf16 or fp16")
    return Runtime(found, precision)


def default_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def fast_precision(device: torch.device) -> str:
    """bf16 where the hardware multiplies it faster than fp32, else fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if device.type == "cpu":
        # private, but the only question torch answers about it; a missing name means an older torch: stay in fp32
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        return "bf16" if supported() else "fp32"
    return "fp32"
