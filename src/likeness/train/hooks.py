"""What happens beside the steps: validation, previews, word to whoever waits. Hooks get the state after every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..runs import RunFolder
from ..runtime import Runtime
from .checkpoints import averaged


@dataclass
class State:
    """Where a run stands, in images of all processes; `total` ends it, a step is `step_images`."""

    images: int = 0
    total: int = 0
    step_images: int = 1
    loss: float = float("nan")
    images_per_second: float = 0.0
    stopping: str | None = None
    ema: dict[str, Tensor] = field(default_factory=dict)

    def passed(self, every: int) -> bool:
        """Whether a multiple of `every` lies within the step that has just ended; never for 0."""
        return bool(every) and self.images // every > (self.images - self.step_images) // every


Hook = Callable[[State], None]


class Validated(Protocol):
    """A recipe that measures itself: `validate` gives named losses at noise and times that never change."""

    modules: dict[str, nn.Module]

    def validate(self) -> Mapping[str, float]: ...


class Previewed(Protocol):
    """A recipe that draws: `preview` gives named PIL images."""

    modules: dict[str, nn.Module]

    def preview(self) -> Mapping[str, Any]: ...


def validation(recipe: Validated, run: RunFolder, runtime: Runtime, every: int) -> Hook:
    """Log what `recipe.validate()` gives every so many images and at the end, with the averaged weights."""

    def hook(state: State) -> None:
        if runtime.main and every and (state.passed(every) or state.images >= state.total):
            with averaged(recipe.modules, state.ema), torch.no_grad(), runtime.autocast():
                run.log(state.images, **recipe.validate())

    return hook


def previews(recipe: Previewed, run: RunFolder, runtime: Runtime, every: int) -> Hook:
    """Save the pictures that `recipe.preview()` draws every so many images and at the end, as `validation` does."""

    def hook(state: State) -> None:
        if runtime.main and every and (state.passed(every) or state.images >= state.total):
            with averaged(recipe.modules, state.ema), torch.no_grad(), runtime.autocast():
                for name, image in recipe.preview().items():
                    run.sample(name, image, state.images)

    return hook
