"""`FaceGenerator`: requests in, pictures out. diffusers' pipelines draw, so a seed gives there what it gives here."""

from __future__ import annotations

import contextlib
import importlib.metadata
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch

from ..errors import EngineError, UsageError
from ..models.adapters import locate_lora
from ..models.conditioning import Conditioner
from ..models.registry import ModelSpec, find, fingerprint, locate
from ..models.stable_diffusion import quiet
from ..records import ImageRequest, Sample
from ..runtime import Runtime, choose, fast_precision
from . import conditions, inpaint, previews, prompts, schedulers, seeds
from . import memory as memory_options
from .loras import Loras
from .resolve import family_of, mask_image, resolve, shape, start_image
from .steps import Deserted, Place, Steps

# (denoising steps done, steps in all), counted over all pictures of the call
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """One picture: its resolved request and its own seed."""

    request: ImageRequest
    seed: int

    @property
    def shape(self) -> tuple[Any, ...]:
        """Jobs of one shape can go through the network together."""
        return shape(self.request)


class FaceGenerator:
    """Draws faces with one model, which is loaded at the first picture and kept.

    A seed gives the same picture bit for bit whenever it is drawn alone on the same machine, and within 2/255 in a
    batch of any size in fp32 (kernels sum in another order). `batch_size` bounds how many are drawn at once; `memory`
    names options of `memory.OPTIONS`.
    Thread-safe: one batch at a time.
    """

    def __init__(
        self,
        model: str | Path = "mini",
        device: str | None = None,
        precision: str | None = None,
        batch_size: int | None = None,
        memory: Iterable[str] = (),
    ) -> None:
        self.spec: ModelSpec = find(model)
        self.family = family_of(self.spec)
        runtime = choose(device, precision)
        if precision is None and self.family.half_on_gpu and runtime.device.type == "cuda":
            runtime = Runtime(runtime.device, fast_precision(runtime.device))
        self.runtime = runtime
        self.memory = memory_options.check(memory, runtime)
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"batch size must be 1 or more, not {batch_size}")
        self.batch_size = batch_size or self.family.batch
        self._lock = threading.Lock()

    def generate(self, request: ImageRequest, progress: Progress | None = None) -> list[Sample]:
        """All pictures of a request, in the order of their seeds `request.seed + i`.

        Raises `UsageError` for a request that cannot be drawn, `PromptRefused`, and `EngineError` if the machine fails.
        """
        return list(self.stream([request], progress))

    def stream(self, requests: Iterable[ImageRequest], progress: Progress | None = None) -> Iterator[Sample]:
        """The pictures of many requests, as they come. All requests are checked before the first is drawn."""
        jobs = [job for request in requests for job in self._jobs(request)]
        return self._run(jobs, progress)

    def redraw(self, request: ImageRequest, row: int = 0, size: int = 1, progress: Progress | None = None) -> Sample:
        """One picture bit for bit as it came as row `row` of a batch of `size`.

        Kernels round by the batch's shape, never by what the other rows hold, so the others are filled with this one.
        """
        if not 0 <= row < size:
            raise UsageError(f"row {row} is not in a batch of {size}")
        (job,) = self._jobs(replace(request, count=1))
        done = 0

        def step(n: int) -> None:
            nonlocal done
            done += n // size
            if progress:
                progress(done, job.request.steps or 0)

        return self._draw([job] * size, Steps(size, job.request.steps or 0, tell=step))[row]

    def draw(self, requests: Sequence[ImageRequest], places: Sequence[Place]) -> list[Sample | None]:
        """One picture of each request, together; None where its place was left on the way.

        The requests are as `resolve` gives them and agree in `resolve.shape`; each has a seed and a count of 1.
        Prompts of other lengths go one after the other (see `_run`). Raises `EngineError`.
        """
        with self._lock:
            long = [conditions.windows(self.conditioner, request) for request in requests]
        found: dict[int, Sample] = {}
        for windows in dict.fromkeys(long):
            rows = [row for row, those in enumerate(long) if those == windows and not places[row].left()]
            jobs = [Job(requests[row], requests[row].seed or 0) for row in rows]
            if jobs:
                steps = Steps(len(jobs), jobs[0].request.steps or 0, [places[row] for row in rows])
                found |= {rows[at]: sample for at, sample in self._draw(jobs, steps).items()}
        return [found.get(row) for row in range(len(requests))]

    def preview(self, latents: torch.Tensor, size: tuple[int, int]) -> bytes:
        """A small JPEG of guessed latents (1, C, H / 8, W / 8): see `Place.preview`."""
        if latents.shape[1] != 4:  # the small autoencoder decodes as fast as it is seen
            with torch.autocast(self.runtime.device.type, enabled=False):
                pixels = self.family.decode(self.pipeline, latents).float()[0] / 2 + 0.5
        else:
            pixels = previews.colours(latents.float(), "sdxl" if self.family.name == "sdxl" else "sd")
        return previews.jpeg(pixels, size)

    @cached_property
    def path(self) -> Path:
        half = self.family.half_on_gpu and self.runtime.device.type == "cuda" and self.runtime.precision != "fp32"
        return locate(self.spec, half)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the model's weights."""
        return fingerprint(self.path)

    @cached_property
    def pipeline(self) -> Any:
        """diffusers' text-to-image pipeline with this model's parts."""
        pipeline = self.family.load(self.path, self.runtime, place=not memory_options.places(self.memory))
        with quiet():
            memory_options.apply(pipeline, self.memory, self.runtime)
        return pipeline

    @cached_property
    def conditioner(self) -> Conditioner:
        return Conditioner(self.pipeline.components, self.family.name, self.runtime.device)

    @cached_property
    def _loras(self) -> Loras:
        return Loras(self.pipeline, self.spec.name)

    def _jobs(self, request: ImageRequest) -> list[Job]:
        if request.model not in (ImageRequest.model, str(self.spec.name)):
            raise UsageError(f"this generator holds {self.spec.name}, the request names {request.model}: make another")
        resolved = resolve(request, self.spec)
        for name, _ in resolved.loras:
            locate_lora(name)  # before the model is loaded
        return [Job(resolved, seed) for seed in seeds.of(resolved)]

    def _run(self, jobs: list[Job], progress: Progress | None) -> Iterator[Sample]:
        total, done = sum(job.request.steps or 0 for job in jobs), 0

        def step(n: int) -> None:
            nonlocal done
            done += n
            if progress:
                progress(done, total)

        def alike_as(job: Job) -> tuple[Any, ...]:
            """A long prompt goes with prompts as long: padding would change the picture of a short one."""
            with self._lock:
                return (*job.shape, conditions.windows(self.conditioner, job.request))

        for _, alike in groupby(jobs, key=alike_as):
            while batch := list(islice(alike, self.batch_size)):
                steps = Steps(len(batch), batch[0].request.steps or 0, tell=step)
                yield from self._draw(batch, steps).values()

    @contextlib.contextmanager
    def session(self, request: ImageRequest, count: int) -> Iterator[dict[str, Any]]:
        """The pipeline for this thread alone, with the request's LoRAs and in its precision, to draw `count` pictures.

        Yields what goes into their recipes. Raises `EngineError` when the memory does not suffice.
        """
        with self._lock:
            try:
                with quiet():
                    loras = self._loras.use(request.loras)
                    with self._precision():
                        yield facts(self.runtime) | ({"loras": loras} if loras else {})
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                raise EngineError(
                    f"out of memory drawing {count} of {request.width}x{request.height} on {self.runtime.device}: "
                    "use a smaller --size, fewer at once (--batch-size 1), or --precision bf16"
                ) from None

    def finish(self, latents: torch.Tensor) -> list[Any]:
        """(B, C, H / 8, W / 8) -> PIL images. Raises `EngineError` for not-a-number and black."""
        with torch.autocast(self.runtime.device.type, enabled=False):
            pixels = self.family.decode(self.pipeline, latents).float()  # (B, 3, H, W) in [-1, 1]
        self._check(pixels)
        return self.pipeline.image_processor.postprocess(pixels, output_type="pil")

    def _draw(self, jobs: list[Job], steps: Steps) -> dict[int, Sample]:
        """Row -> picture, without the rows that left."""
        with self.session(jobs[0].request, len(jobs)) as machine:
            started = time.perf_counter()
            images = self._pictures(self.pipeline, jobs, steps)
            seconds = (time.perf_counter() - started) / len(jobs)
        said = {text: tuple(prompts.notes(text, self.spec)) for text in {job.request.prompt for job in jobs}}
        samples = {}
        for row, image in zip(steps.rows, images, strict=True):
            job = jobs[row]
            image.info["likeness"] = {"batch": [row, len(jobs)], **machine}
            notes = said[job.request.prompt]
            samples[row] = Sample(image, job.request, job.seed, seconds, self.fingerprint, notes)
        return samples

    def _pictures(self, pipeline: Any, jobs: list[Job], steps: Steps) -> list[Any]:
        request = jobs[0].request
        solver = schedulers.make(request.scheduler or "", pipeline.scheduler.config)
        steps.generators = seeds.generators([job.seed for job in jobs])
        settings: dict[str, Any] = {
            **conditions.settings(pipeline, self.conditioner, [job.request for job in jobs]),
            "num_inference_steps": request.steps,
            "guidance_scale": steps.lead(solver, request),
            "generator": steps.generators,
            "output_type": "latent",
            "callback_on_step_end": steps,
            **self.family.size_settings(request.original_size),
        }
        size = (request.width or 0, request.height or 0)
        starts, masks = [], []
        if request.image is None:
            settings |= {"width": request.width, "height": request.height}
        else:
            pipeline = self.family.image_to_image(pipeline)
            starts = [start_image(job.request.image or "", *size) for job in jobs]
            masks = [mask_image(r.mask, r.image or "", *size) for job in jobs if (r := job.request).mask is not None]
            settings |= {"image": starts, "strength": request.strength}
        steps.watch(solver, inpaint.cells(masks) if masks else None)
        settings["callback_on_step_end_tensor_inputs"] = steps.inputs(pipeline)
        own, pipeline.scheduler = pipeline.scheduler, solver
        try:
            latents = pipeline(**settings).images  # (B, C, H / 8, W / 8)
        except Deserted:
            return []
        finally:
            pipeline.scheduler = own
        drawn = self.finish(latents)
        if masks:
            return [inpaint.paste(one, starts[row], masks[row]) for row, one in zip(steps.rows, drawn, strict=True)]
        return drawn

    def _check(self, pixels: torch.Tensor) -> None:
        remedy = (
            "use --precision fp32, or fewer guidance" if self.runtime.precision == "fp32" else "use --precision fp32"
        )
        if not torch.isfinite(pixels).all():
            raise EngineError(f"{self.spec.name} drew not-a-number: {remedy}")
        if (pixels.amax((1, 2, 3)) <= -0.99).any():
            raise EngineError(f"{self.spec.name} drew a black picture: {remedy}, another scheduler or another seed")

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        """inference_mode is quicker than no_grad, but under it autocast does not keep its cast weights."""
        if self.runtime.precision == "fp32":
            return torch.inference_mode()
        both = contextlib.ExitStack()
        both.enter_context(torch.no_grad())
        both.enter_context(self.runtime.autocast())
        return both


def facts(runtime: Runtime) -> dict[str, Any]:
    """What decides the last bit besides the request; goes into the recipe."""
    return {
        "device": runtime.device.type,
        "precision": runtime.precision,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "diffusers": importlib.metadata.version("diffusers"),
    }


def _out_of_memory(error: BaseException) -> bool:
    said = str(error).lower()
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or "out of memory" in said or "not enough memory" in said or "can't allocate memory" in said
