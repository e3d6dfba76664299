"""Faces between prompts, with every family of text models: blended conditioning, or composed scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..models.adapters import locate_lora
from ..models.conditioning import Conditioning, time_ids
from ..models.registry import find
from ..provenance import digest
from ..records import ImageRequest, Sample
from . import conditions, prompts
from .denoise import Network, Progress, denoise, starts, ticks
from .generator import FaceGenerator
from .guidance import WHOLE, Guidance, guided
from .mixture import Scene, check_method, written
from .resolve import resolve_all


@dataclass(frozen=True)
class Studio:
    """A text model, the request that all pictures share (resolved), and every prompt that there will be."""

    generator: FaceGenerator
    request: ImageRequest
    texts: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Of the model's weights and those of the LoRAs."""
        hashes = [digest(locate_lora(name)) for name, _ in self.request.loras]
        return " ".join([self.generator.fingerprint, *hashes])

    def draw(
        self, request: ImageRequest, scenes: Sequence[Scene], method: str = "blend", progress: Progress | None = None
    ) -> Iterator[Sample]:
        """The pictures of scenes, as they come; everything but words and noise is the request's.

        A scene of one prompt draws what `FaceGenerator` draws for it, unless a longer prompt in `texts` pads it.
        """
        generator, steps = self.generator, request.steps or 0
        check_method(method)
        notes = {text: prompts.notes(text, generator.spec) for text in self.texts}
        for first in range(0, len(scenes), generator.batch_size):
            batch = scenes[first : first + generator.batch_size]
            step = ticks(progress, steps, first, len(batch), len(scenes))
            with generator.session(request, len(batch)) as machine:
                started = time.perf_counter()
                images = generator.finish(self._latents(request, batch, method, step))
                seconds = (time.perf_counter() - started) / len(batch)
            for row, (scene, image) in enumerate(zip(batch, images, strict=True)):
                image.info |= {"likeness": {"batch": [row, len(batch)]} | machine, "mixture": scene.facts(method)}
                said = dict.fromkeys(note for text, _ in scene.parts for note in notes[text])
                asked = replace(request, prompt=written(scene.parts, method))
                yield Sample(image, asked, scene.seed, seconds, generator.fingerprint, tuple(said))

    def _latents(self, request: ImageRequest, scenes: Sequence[Scene], method: str, step: Callable[[], None]) -> Tensor:
        pipeline, device = self.generator.pipeline, self.generator.runtime.device
        network = _network(self.generator, request, self.texts, _shares(scenes, self.texts).to(device), method)
        shape = (pipeline.unet.config.in_channels, (request.height or 0) // 8, (request.width or 0) // 8)
        config, scheduler, of = pipeline.scheduler.config, request.scheduler or "", [scene.seed for scene in scenes]
        return denoise(network, config, shape, of, request.steps or 0, scheduler, device, step, starts(scenes, shape))


def open_model(
    request: ImageRequest, texts: Sequence[str], device: str | None = None, precision: str | None = None,
    batch: int | None = None,
) -> Studio:  # fmt: skip
    """Check the prompts, alone and together, and the rest of the request; the model is loaded at the first picture.

    Raises `UsageError` and `PromptRefused`.
    """
    resolved = resolve_all(request, find(request.model), texts)
    for name, _ in request.loras:
        locate_lora(name)  # before the model is loaded
    generator = FaceGenerator(request.model, device, precision, batch)
    return Studio(generator, resolved[0], tuple(one.prompt for one in resolved))


def _shares(scenes: Sequence[Scene], texts: Sequence[str]) -> Tensor:
    """(B, P): how much of each prompt there is in each scene."""
    shares = torch.zeros(len(scenes), len(texts))
    for row, scene in enumerate(scenes):
        for text, share in scene.parts:
            shares[row, texts.index(text)] += share
    return shares


def _network(
    generator: FaceGenerator, request: ImageRequest, texts: Sequence[str], shares: Tensor, method: str
) -> Network:
    """What the UNet says of mixtures `shares` (B, P) of P prompts, guidance included.

    `blend`: one pass with the mean of the prompts' states (and of SDXL's pooled texts). `compose`: the mean of what it
    says of each, so u + s * sum_p w_p (c_p - u), Liu et al. 2022, eq. 11, with weights s * w_p.
    """
    pipeline = generator.pipeline
    led = Guidance(
        request.guidance or 0.0, request.guidance_interval or WHOLE, pipeline.scheduler.config.num_train_timesteps
    )
    asked = [replace(request, prompt=text) for text in texts]
    found = conditions.settings(pipeline, generator.conditioner, asked)
    said = Conditioning(found["prompt_embeds"], found.get("pooled_prompt_embeds"))  # (P, L, D), (P, Q)
    unsaid = None
    if "negative_prompt_embeds" in found:
        unsaid = Conditioning(found["negative_prompt_embeds"], found.get("negative_pooled_prompt_embeds"))
    alone = torch.eye(len(texts), device=shares.device)  # row p: prompt p and nothing else
    size = (request.height, request.width)
    sizes = time_ids(request.original_size[::-1] if request.original_size else size, (0, 0), size)  # (1, 6)

    def ask(x: Tensor, t: Tensor, words: Conditioning) -> Tensor:
        states, more = words.hidden, None
        if words.pooled is not None:
            more = {"text_embeds": words.pooled, "time_ids": sizes.to(states).expand(len(x), -1)}
        answer = pipeline.unet(x.to(states.dtype), t, encoder_hidden_states=states, added_cond_kwargs=more)
        return answer.sample.float()

    def blend(x: Tensor, t: Tensor) -> Tensor:
        words, scale = _mean(said, shares), led.at(t)
        if unsaid is None or scale == 1:
            return ask(x, t, words)
        both = _joined(_mean(unsaid, alone[:1].expand(len(x), -1)), words)
        against, towards = ask(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
        return guided(towards, against, scale)

    def compose(x: Tensor, t: Tensor) -> Tensor:
        mean = torch.zeros_like(x)
        for p in range(len(texts)):
            if shares[:, p].any():
                answer = ask(x, t, _mean(said, alone[p].expand(len(x), -1)))
                mean += shares[:, p].view(-1, 1, 1, 1) * answer
        scale = led.at(t)
        if unsaid is None or scale == 1:
            return mean
        return guided(mean, ask(x, t, _mean(unsaid, alone[:1].expand(len(x), -1))), scale)

    return {"blend": blend, "compose": compose}[method]


def _mean(words: Conditioning, shares: Tensor) -> Conditioning:
    """Of P texts, by shares (B, P)."""
    weights = shares.to(words.hidden.dtype)
    hidden = torch.einsum("bp,pld->bld", weights, words.hidden)  # (B, P), (P, L, D) -> (B, L, D)
    return Conditioning(hidden, None if words.pooled is None else weights.to(words.pooled.dtype) @ words.pooled)


def _joined(first: Conditioning, second: Conditioning) -> Conditioning:
    pooled = None
    if first.pooled is not None and second.pooled is not None:
        pooled = torch.cat([first.pooled, second.pooled])
    return Conditioning(torch.cat([first.hidden, second.hidden]), pooled)
