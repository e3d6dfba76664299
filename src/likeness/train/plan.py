"""How long and how fast a run trains: the loop's settings, and the learning rate as a function of images alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ..config import suggest
from ..errors import ConfigError

UNITS = ("images", "steps")


@dataclass(frozen=True)
class LoopConfig:
    """`images` ends the run, `minutes` ends this sitting; 0 or None switches off what is optional.

    `batch` is what one process takes at once; a step is `batch` x `accumulation` x the number of processes.
    `unit` is what `warmup` and the `..._every` are counted in; `steps` or `epochs` may stand for `images`.
    `learning_rates` are those of single modules of the recipe, by name; the others have `learning_rate`.
    """

    images: int = 1_000_000
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    batch: int = 32
    accumulation: int = 1
    unit: str = "images"
    optimizer: str = "adamw"
    learning_rate: float = 3e-4
    learning_rates: dict[str, float] = field(default_factory=dict)
    schedule: str = "warmup_stable_decay"
    warmup: int = 6_400
    cooldown: float = 0.2  # warmup_stable_decay: the last share of the run
    cycles: float | None = None  # cosine: 0.5 unless given; cosine_with_restarts: 1
    power: float = 1.0  # polynomial
    weight_decay: float = 0.01
    betas: tuple[float, ...] = (0.9, 0.99)
    clip: float | None = 1.0
    ema: float | None = 0.9995
    seed: int = 0
    log_every: int = 1_600
    checkpoint_every: int = 32_000
    validate_every: int = 0
    preview_every: int = 0
    keep: int = 2
    resume: str = "latest"

    def step_images(self, world: int = 1) -> int:
        """Images of one step of all processes together."""
        return self.batch * self.accumulation * world

    def settled(self, epoch: int, world: int = 1) -> LoopConfig:
        """The same plan in images, for `epoch` images in a round and `world` processes; settled, it stays as it is."""
        per_step = self.step_images(world)
        scale = per_step if self.unit == "steps" else 1
        images = math.ceil(self.epochs * epoch) if self.epochs else self.images
        counts = {k: getattr(self, k) * scale for k in COUNTED}
        return replace(self, images=self.steps * per_step if self.steps else images, steps=None, epochs=None,
                       unit="images", **counts)  # fmt: skip

    def check(self, modules: Mapping[str, object]) -> None:
        """Raises `ConfigError` for names that do not exist and counts that cannot be, before anything is loaded."""
        from .optimizers import OPTIMIZERS

        for key, value, known in (
            ("schedule", self.schedule, list(SCHEDULES)),
            ("optimizer", self.optimizer, list(OPTIMIZERS)),
            ("unit", self.unit, list(UNITS)),
            *(("learning_rates", name, list(modules)) for name in self.learning_rates),
        ):
            if value not in known:
                raise ConfigError(f"loop.{key}: no {value!r}{suggest(value, known)}")
        for name, rate in self.learning_rates.items():
            try:
                float(rate)
            except (TypeError, ValueError):
                raise ConfigError(f"loop.learning_rates.{name} must be a number, not {rate!r}") from None
        for key in ("images", "batch", "accumulation", "keep", "log_every", "checkpoint_every"):
            if getattr(self, key) < 1:
                raise ConfigError(f"loop.{key} must be 1 or more, not {getattr(self, key)}")
        if self.steps or self.epochs or self.unit != "images":
            raise ConfigError("this recipe counts in images: set loop.images, not loop.steps, loop.epochs or loop.unit")


COUNTED = ("warmup", "log_every", "checkpoint_every", "validate_every", "preview_every")


def schedule(images: int, config: LoopConfig, step_images: int) -> float:
    """The factor of the learning rate for the step that begins after `images` images. `config` counts in images.

    All but `constant` begin with a linear warm-up; names and curves are those of diffusers and transformers.
    """
    if config.schedule in FREE:
        return SCHEDULES[config.schedule](images / max(1, config.images), images, config, step_images)
    if images < config.warmup:
        return images / config.warmup
    progress = (images - config.warmup) / max(1, config.images - config.warmup)
    return max(0.0, SCHEDULES[config.schedule](progress, images, config, step_images))


def _stable(progress: float, images: int, config: LoopConfig, step_images: int) -> float:
    """Linear warm-up whose first step already counts, constant, linear cool-down over the last part of the run."""
    start = config.images * (1 - config.cooldown)
    down = (config.images - images) / max(1.0, config.images - start) if images > start else 1.0
    return min(1.0, (images + step_images) / max(1, config.warmup), down)


def _polynomial(progress: float, images: int, config: LoopConfig, step_images: int, end: float = 1e-7) -> float:
    floor = min(1.0, end / config.learning_rate)  # the field's own end of this schedule, as a share
    return floor + (1 - floor) * max(0.0, 1 - progress) ** config.power


def _cosine(progress: float, images: int, config: LoopConfig, step_images: int) -> float:
    cycles = 0.5 if config.cycles is None else config.cycles
    return (1 + math.cos(2 * math.pi * cycles * progress)) / 2


def _restarts(progress: float, images: int, config: LoopConfig, step_images: int) -> float:
    cycles = 1 if config.cycles is None else config.cycles
    return (1 + math.cos(math.pi * (cycles * progress % 1))) / 2 if progress < 1 else 0.0


# name -> factor (share of the run after the warm-up, images, config, images of a step)
SCHEDULES: dict[str, Callable[[float, int, LoopConfig, int], float]] = {
    "constant": lambda *_: 1.0,
    "constant_with_warmup": lambda *_: 1.0,
    "linear": lambda progress, *_: 1 - progress,
    "cosine": _cosine,
    "cosine_with_restarts": _restarts,
    "polynomial": _polynomial,
    "warmup_stable_decay": _stable,
}
FREE = ("constant", "warmup_stable_decay")  # have no warm-up, or one of their own
