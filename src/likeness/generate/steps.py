"""Behind each denoising step of a batch: those who wait are told, shown a preview, and may leave their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor

from ..records import ImageRequest
from . import inpaint, previews, schedulers
from .guidance import Guidance

# what a pipeline keeps for each picture while it draws; the names are diffusers'
ROWS = ("latents", "prompt_embeds", "add_text_embeds", "add_time_ids")


class Place(Protocol):
    """Whoever waits for one picture of a batch. Called in the thread that draws."""

    @property
    def every(self) -> int:
        """How many steps there are from one preview to the next; 0 for none."""
        ...

    def left(self) -> bool:
        """Whether the picture is wanted no more; asked behind each step."""
        ...

    def step(self, done: int, steps: int) -> None: ...

    def preview(self, done: int, latents: Tensor) -> None:
        """What the picture would be by now, as latents (1, C, H / 8, W / 8)."""
        ...


class Deserted(Exception):
    """All have left: there is nothing to draw."""


class Steps:
    """`callback_on_step_end` of one batch. `rows` are those of the batch's pictures that are still in it.

    Leaving takes a picture's rows out of all that the pipeline and its solver hold: latents, text states, generators
    and the solver's memory of earlier steps. The others go on as they would have, but for the last bit (kernels round
    by the batch's shape).
    """

    def __init__(
        self, count: int, steps: int, places: Sequence[Place] = (), tell: Callable[[int], None] = lambda n: None
    ) -> None:
        self.count, self.steps, self.places, self.tell = count, steps, places, tell
        self.rows = list(range(count))
        self.done = 0
        self.holders: list[Any] = []  # the solver, and what else remembers latents
        self.generators: list[Any] = []
        self.scales: list[float] = []  # of guidance at each step; empty: the same at all
        self.kept: Callable[[Any, int, Tensor], Tensor] | None = None  # keeps what a mask leaves as it is
        self.estimate: Callable[[], Tensor] | None = None  # the finished latents (B, C, h, w) as guessed at this step

    def watch(self, solver: Any, masks: Tensor | None = None) -> None:
        """Look on at a fresh solver; with masks (B, 1, h, w), keep what they leave black as it is."""
        self.holders = [solver]
        if any(place.every for place in self.places):
            self.estimate = previews.watch(solver)
        if masks is not None:
            self.kept = inpaint.Kept(solver, masks)
            self.holders.append(self.kept)

    def lead(self, solver: Any, request: ImageRequest) -> float:
        """The scale of guidance that the pipeline is to start with; the others follow step by step."""
        scale = request.guidance or 0.0
        if request.guidance_interval is None or scale <= 1:
            return scale
        when = schedulers.times(solver, request.steps or 0, request.strength if request.image else 1.0)
        led = Guidance(scale, request.guidance_interval, solver.config.num_train_timesteps)
        self.scales = led.scales(when)
        return self.scales[0]

    def inputs(self, pipeline: Any) -> list[str]:
        """Which of the pipeline's tensors are wanted: more than the latents only where rows may go."""
        known = [name for name in ROWS if name in pipeline._callback_tensor_inputs]
        return known if self.places or self.scales else ["latents"]

    def __call__(self, pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if self.kept is not None:
            tensors["latents"] = self.kept(pipe, index, tensors["latents"])
        now = self.steps * (index + 1) // pipe.num_timesteps  # second-order solvers ask the network twice a step
        if now > self.done:
            self.tell((now - self.done) * self.count)
            self.done = now
            for at, row in enumerate(self.rows):
                self._show(self.places[row], at) if self.places else None
        return self._led(pipe, index + 1, self._without_leavers(tensors))

    def _led(self, pipe: Any, following: int, tensors: dict[str, Any]) -> dict[str, Any]:
        """Before a step: its guidance; behind the last that is guided, without the rows of what is not wanted."""
        if following < len(self.scales):
            before, pipe._guidance_scale = pipe._guidance_scale, self.scales[following]
            if before > 1 >= pipe._guidance_scale:
                return {name: rows if name == "latents" else rows.chunk(2)[1] for name, rows in tensors.items()}
        return tensors

    def _show(self, place: Place, at: int) -> None:
        place.step(self.done, self.steps)
        if place.every and self.done % place.every == 0 and self.done < self.steps and self.estimate is not None:
            place.preview(self.done, self.estimate()[at : at + 1])

    def _without_leavers(self, tensors: dict[str, Any]) -> dict[str, Any]:
        stay = [at for at, row in enumerate(self.rows) if not (self.places and self.places[row].left())]
        if not stay:
            self.rows = []
            raise Deserted
        size = len(self.rows)
        if len(stay) == size:
            return tensors
        self.rows = [self.rows[at] for at in stay]
        self.generators[:] = [self.generators[at] for at in stay]  # in place: the solver's call holds this list
        for holder in self.holders:
            forget(holder, stay, size)
        return {name: keep(tensor, stay, size) for name, tensor in tensors.items()}


def keep(tensor: Tensor, stay: Sequence[int], size: int) -> Tensor:
    """Some rows of a tensor (size, …), or of (n * size, …) where guidance has put n kinds of rows behind each other."""
    kinds = len(tensor) // size
    return tensor.reshape(kinds, size, *tensor.shape[1:])[:, list(stay)].flatten(0, 1)


def forget(holder: Any, stay: Sequence[int], size: int) -> None:
    """Keep some rows of the latents (size, C, h, w) among an object's attributes, alone or in lists."""

    def less(value: Any) -> Any:
        if isinstance(value, list):
            return [less(one) for one in value]
        return keep(value, stay, size) if isinstance(value, Tensor) and value.ndim == 4 else value

    for name, value in vars(holder).items():
        if isinstance(value, list | Tensor):
            setattr(holder, name, less(value))
