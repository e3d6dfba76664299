"""What a run needs to go on, as one flat dictionary of tensors; and the weights' moving average."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..errors import TrainingError
from .optimizers import load_state, state_tensors


@dataclass
class Trained:
    """What training changes: trainable parameters and buffers by name, their average, optimizer and loss scale."""

    named: dict[str, nn.Parameter]
    buffers: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    optimizer_name: str
    scaler: torch.amp.GradScaler
    ema: dict[str, Tensor] = field(default_factory=dict)

    def snapshot(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {f"weight/{k}": p for k, p in self.named.items()}
        tensors |= {f"buffer/{k}": b.clone() for k, b in self.buffers.items()}
        tensors |= {f"ema/{k}": v for k, v in self.ema.items()}
        tensors |= state_tensors(self.optimizer, self.named)
        tensors |= {f"scaler/{k}": torch.tensor(v, dtype=torch.float64) for k, v in self.scaler.state_dict().items()}
        tensors[f"optimizer-is/{self.optimizer_name}"] = torch.tensor(1)
        return _unshared(tensors)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Inverse of `snapshot`. Raises `TrainingError` when the checkpoint is of another model or optimizer."""
        if {k[7:] for k in tensors if k.startswith("weight/")} != set(self.named):
            raise TrainingError("the checkpoint in the run folder is of another model: choose another --output")
        was = next((k.partition("/")[2] for k in tensors if k.startswith("optimizer-is/")), "adamw")
        if was != self.optimizer_name:
            raise TrainingError(
                f"the checkpoint in the run folder was made with the optimizer {was}, not {self.optimizer_name}: "
                "go on with that one, or choose another --output"
            )
        with torch.no_grad():
            for name, parameter in self.named.items():
                parameter.copy_(tensors[f"weight/{name}"])
            for name, average in self.ema.items():
                average.copy_(tensors.get(f"ema/{name}", tensors[f"weight/{name}"]))
            for name, buffer in self.buffers.items():
                buffer.copy_(tensors[f"buffer/{name}"])
        load_state(self.optimizer, self.named, tensors)
        scale = {k[7:]: v.item() for k, v in tensors.items() if k.startswith("scaler/")}
        if scale and self.scaler.is_enabled():
            self.scaler.load_state_dict(scale | {k: int(scale[k]) for k in ("growth_interval", "_growth_tracker")})


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor with memory of its own: the file format refuses two names for one (8-bit optimizers do that)."""
    seen: set[int] = set()
    for name, tensor in tensors.items():
        if tensor.numel() and tensor.data_ptr() in seen:
            tensors[name] = tensor.clone()
        seen.add(tensor.data_ptr())
    return tensors


def trainable(modules: Mapping[str, nn.Module]) -> dict[str, nn.Parameter]:
    """`module.parameter` -> parameter, of those that are trained; what is frozen is neither optimised nor kept."""
    return {f"{m}.{n}": p for m, module in modules.items() for n, p in module.named_parameters() if p.requires_grad}


def buffers(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {f"{m}.{n}": b for m, module in modules.items() for n, b in module.named_buffers()}


def update_ema(ema: dict[str, Tensor], named: dict[str, nn.Parameter], decay: float, step: int) -> None:
    """Exponential moving average with a short memory at the start, min(decay, (1 + step) / (10 + step))."""
    rate = 1 - min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_([ema[k] for k in named], [p.detach() for p in named.values()], rate)


@contextmanager
def averaged(modules: Mapping[str, nn.Module], ema: dict[str, Tensor]) -> Iterator[None]:
    """Within the block the modules carry the averaged weights, if there are any, and are in evaluation mode."""
    named = {k: p for k, p in trainable(modules).items() if k in ema}
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
