"""What a training step will hold in memory, counted on the meta device, where nothing is computed.

An attention keeps its inputs and its output, as the fused kernels do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GIB = 2**30
OPTIMIZER_BYTES = {"adamw": 8, "adamw8bit": 2, "prodigy": 16, "adafactor": 4, "sgd": 4}  # for each parameter


def activations(networks: Iterable[nn.Module], forward: Callable[[], object]) -> int:
    """Bytes that autograd keeps of `forward`, which runs networks that are on the meta device; weights not counted."""
    kept = [p.untyped_storage() for network in networks for p in network.parameters()]
    seen, total = {storage._cdata for storage in kept}, 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal total
        storage = tensor.untyped_storage()
        if storage._cdata not in seen:
            seen.add(storage._cdata)
            kept.append(storage)  # alive, so that no other takes its place
            total += storage.nbytes()
        return tensor

    with torch.device("meta"), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), fused_attention():
        forward()
    return total


class _Attention(torch.autograd.Function):
    """Shapes only: what a fused attention keeps for its gradient."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise NotImplementedError("nothing is computed on the meta device")


@contextlib.contextmanager
def fused_attention() -> Iterator[None]:
    """On the meta device attention is taken apart, and its matrices would be counted."""
    before = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = lambda query, key, value, *_, **__: _Attention.apply(query, key, value)
    try:
        yield
    finally:
        F.scaled_dot_product_attention = before
