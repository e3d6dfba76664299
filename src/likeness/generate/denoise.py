"""From noise to pictures with any network and any scheduler of diffusers: one generator per picture."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from . import schedulers, seeds
from .mixture import Scene

# (noisy (B, C, H, W), times (B,)) -> prediction (B, C, H, W), guidance included
Network = Callable[[Tensor, Tensor], Tensor]
# (denoising steps done, steps in all), counted over all pictures of a call
Progress = Callable[[int, int], None]


def denoise(
    network: Network,
    config: Any,
    shape: tuple[int, int, int],
    of: Sequence[int],
    steps: int,
    scheduler: str = "dpm++2m",
    device: Any = "cpu",
    step: Callable[[], None] = lambda: None,
    noise: Tensor | None = None,
) -> Tensor:
    """Samples (B, *shape), float32, one for each seed in `of`.

    `config`: the configuration of the scheduler that the network was trained with. `noise` (B, *shape) is what to start
    from instead of what the seeds give; what a scheduler adds on the way comes from the seeds still.
    """
    solver = schedulers.make(scheduler, config)
    solver.set_timesteps(steps)
    generators = seeds.generators(list(of))
    drawn = torch.stack([torch.randn(*shape, generator=g) for g in generators])
    x = (drawn if noise is None else noise).to(device) * solver.init_noise_sigma
    for t in solver.timesteps:
        found = network(solver.scale_model_input(x, t), t.expand(len(x)).to(device)).float()
        x = solver.step(found, t, x, **_random(solver, generators)).prev_sample
        step()
    return x


def _random(solver: Any, generators: list[torch.Generator]) -> dict[str, Any]:
    return {"generator": generators} if "generator" in inspect.signature(solver.step).parameters else {}


def ticks(progress: Progress | None, steps: int, before: int, batch: int, count: int) -> Callable[[], None]:
    """A `step` for a batch that comes after `before` of `count` pictures.

    Some solvers ask the network more often than `steps`; what is told never goes beyond the batch.
    """
    calls = itertools.count(1)

    def tick() -> None:
        if progress:
            progress(before * steps + batch * min(next(calls), steps), count * steps)

    return tick


def starts(scenes: Sequence[Scene], shape: tuple[int, int, int]) -> Tensor:
    """The noise that pictures start from (B, *shape): that of their seeds, or on the way to another seed's."""

    def of(seed: int) -> Tensor:
        return torch.randn(*shape, generator=seeds.generators([seed])[0])

    return torch.stack(
        [between(of(s.seed), of(s.towards[0]), s.towards[1]) if s.towards else of(s.seed) for s in scenes]
    )


def between(a: Tensor, b: Tensor, part: float) -> Tensor:
    """From noise a (at 0) to noise b (at 1) on the great circle: slerp, Shoemake 1985.

    sin((1 - f) w) / sin w * a + sin(f w) / sin w * b, with w the angle between them. On a straight line the noise would
    lose up to 30 % of its norm half-way, and a network sees a picture that is not as noisy as it is told.
    """
    cosine = (a.flatten() @ b.flatten() / (a.norm() * b.norm())).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if angle.sin().abs() < 1e-4:  # alike: a line will do
        return torch.lerp(a, b, part)
    return (torch.sin((1 - part) * angle) * a + torch.sin(part * angle) * b) / torch.sin(angle)
