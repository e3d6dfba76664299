"""Device, precision and threads: the only place that knows CUDA, MPS and CPU apart."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any

import torch

from .errors import ConfigError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """Where tensors live and which type the heavy products are done in (weights stay fp32 under autocast)."""

    device: torch.device
    precision: str = "fp32"

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, PRECISIONS[self.precision])

    @property
    def dtype(self) -> torch.dtype:
        return PRECISIONS[self.precision]


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
