"""What `--memory` does to a pipeline: less memory for some time, or the other way round. One row an option."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..config import suggest
from ..errors import MissingExtra, UsageError
from ..runtime import Runtime


@dataclass(frozen=True)
class Option:
    """`apply` changes the pipeline in place; `needs` is an importable module, `gpu` whether it wants a CUDA device."""

    apply: Callable[[Any, Runtime], None]
    needs: str | None = None
    gpu: bool = False
    places: bool = False  # moves the parts itself, so nobody else may


def check(names: Iterable[str], runtime: Runtime) -> tuple[str, ...]:
    """The options without doubles. Raises `UsageError` or `MissingExtra` for one that cannot be had here."""
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        option = OPTIONS.get(name)
        if option is None:
            raise UsageError(f"unknown memory option {name!r}{suggest(name, list(OPTIONS))}")
        if option.gpu and runtime.device.type != "cuda":
            raise UsageError(f"--memory {name} needs a CUDA device, this is {runtime.device.type}: leave it out")
        if option.needs and importlib.util.find_spec(option.needs) is None:
            raise MissingExtra(f"--memory {name} needs {option.needs}: pip install {option.needs}, or leave it out")
    if len([name for name in wanted if OPTIONS[name].places]) > 1:
        raise UsageError("--memory offload and sequential-offload are two ways of the same: choose one")
    return wanted


def places(names: Iterable[str]) -> bool:
    """Whether one of these moves the parts between devices itself."""
    return any(OPTIONS[name].places for name in names)


def apply(pipeline: Any, names: Iterable[str], runtime: Runtime) -> None:
    """Change a loaded pipeline; compile comes last, whatever the order."""
    for name in sorted(names, key=list(OPTIONS).index):
        OPTIONS[name].apply(pipeline, runtime)


def _quantize(pipeline: Any, runtime: Runtime) -> None:
    """The UNet's linear layers in 8 bits (LLM.int8, Dettmers et al. 2022), activations in half precision."""
    import torch

    bitsandbytes = importlib.import_module("bitsandbytes")
    for module in list(pipeline.unet.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) is torch.nn.Linear:
                short = bitsandbytes.nn.Linear8bitLt(
                    layer.in_features, layer.out_features, layer.bias is not None, has_fp16_weights=False
                )
                short.load_state_dict(layer.state_dict())
                setattr(module, name, short.to(runtime.device))


def _compile(pipeline: Any, runtime: Runtime) -> None:
    """Compile the repeated block once instead of the whole UNet: minutes less at the first picture."""
    if getattr(pipeline.unet, "_repeated_blocks", None):
        pipeline.unet.compile_repeated_blocks(dynamic=True)
    else:
        pipeline.unet.compile(dynamic=True)


OPTIONS: dict[str, Option] = {
    "slicing": Option(lambda pipeline, runtime: pipeline.vae.enable_slicing()),
    "tiling": Option(lambda pipeline, runtime: pipeline.vae.enable_tiling()),
    "xformers": Option(lambda p, runtime: p.enable_xformers_memory_efficient_attention(), "xformers", gpu=True),
    "quantized": Option(_quantize, "bitsandbytes", gpu=True),
    "offload": Option(
        lambda pipeline, runtime: pipeline.enable_model_cpu_offload(device=runtime.device), gpu=True, places=True
    ),
    "sequential-offload": Option(
        lambda pipeline, runtime: pipeline.enable_sequential_cpu_offload(device=runtime.device), gpu=True, places=True
    ),
    "compile": Option(_compile),
}
