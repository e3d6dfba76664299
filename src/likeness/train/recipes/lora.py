"""LoRA fine-tuning (Hu et al. 2021) of any family: mini, SD 1.5, SD 2.1, SDXL.

Base weights are frozen and held in the precision of the run; adapters are fp32. What does not change is computed once:
latents of every crop that can come, and texts where no text encoder is trained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...data.transforms import Transform
from ...errors import ConfigError
from ...files import cache_folder
from ...generate.grid import sheet
from ...models import lora
from ...models.conditioning import Conditioner, Conditioning
from ...runs import RunFolder
from ...runtime import Runtime
from .. import hooks, objective
from ..latents import drawn, moments
from ..loop import State, averaged, train
from ..sampler import Sampler
from ..text_cache import TextCache
from . import lora_base
from .lora_base import Base
from .lora_config import LoraConfig
from .lora_data import Cuts, Draw, Face, Order, Words, draw, load, members
from .lora_feed import Batch, Feed, LatentCache

__all__ = ["LoraConfig", "LoraRecipe", "run"]

Progress = Callable[[str, int, int], None]
Tell = Callable[[str], None]


class LoraRecipe:
    """Adapters of the UNet, and of the text encoders if the shape says so, as the loop trains them."""

    parallel = True  # noise and times are functions of a sample's position
    lighter = (
        "--train-batch-size 1 with more --gradient-accumulation-steps, --gradient-checkpointing, "
        "--mixed-precision bf16, or a smaller --resolution"
    )

    def __init__(
        self, config: LoraConfig, base: Base, faces: Sequence[Face], held: Sequence[Face], weights: Sequence[float]
    ) -> None:
        self.config, self.base, self.seed, self.images = config, base, config.loop.seed, 0
        self.size, self.device = config.resolution or base.spec.size, base.runtime.device
        if self.size % base.pipeline.vae_scale_factor:
            raise ConfigError(f"resolution {self.size}: give a multiple of {base.pipeline.vae_scale_factor}")
        self.scale = base.pipeline.vae_scale_factor  # pixels of a latent's side
        transform = Transform(config.crop, flip=config.flip)
        self.words = Words(faces, config.instance_prompt, config.caption_variants, self.seed, config.unsaid)
        self.feed = self._feed(Cuts(faces, transform, self.size, config.buckets, config.crops_cached), self.seed)
        cuts, (rank, world) = self.feed.cuts, (base.runtime.rank, base.runtime.world)
        shapes = [cuts.shape(i) for i in range(len(faces))] if config.buckets else None
        self.order = Order(weights, self.seed, config.loop.batch * world, shapes)
        self.places = Sampler(len(faces), config.loop.batch, self.seed, rank=rank, world=world)
        # faces that are never trained on: cut and described in one way only
        steady = Transform("center" if config.crop == "random" else config.crop)
        self.held_words = Words(held, config.instance_prompt, 1, self.seed, config.unsaid)
        self.held = self._feed(Cuts(held, steady, self.size, config.buckets, 0), self.seed + 1)
        self.conditioner: Conditioner | None = base.conditioner()
        self.prompts: Conditioning | None = None  # the validation prompts and "", where encoders are frozen
        trained = base.networks if config.adapter.text_encoder else {"unet": base.pipeline.unet}
        self.modules: dict[str, nn.Module] = dict(trained)

    def _feed(self, cuts: Cuts, seed: int) -> Feed:
        sized = self.base.spec.family == "sdxl"
        return Feed(cuts, seed, len(self.base.alpha_bar), self.base.pipeline.unet.config.in_channels, self.scale, sized)

    def draws(self, step: int) -> list[Draw]:
        settings = (self.order, self.feed.cuts, self.words, self.seed, self.config.caption_dropout)
        return [draw(position, *settings) for position in self.places.positions(step)]

    def names(self, step: int) -> list[str]:
        return [str(self.feed.cuts.faces[d.face].path) for d in self.draws(step)]

    def batch(self, step: int) -> Batch:
        return self.feed.batch(self.draws(step), self.places.positions(step))

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Weighted squared error of each sample (B,). All that is random is in the batch already."""
        x = self._latents(batch) * self.base.scaling  # (B, C, h, w)
        noise = (batch.noise + self.config.noise_offset * batch.offset).to(self.device)
        alpha_bar = self.base.alpha_bar[batch.times].to(self.device)
        noisy = objective.noised(x, noise, alpha_bar).contiguous(memory_format=torch.channels_last)
        words = self._conditioning(batch)
        sizes = {} if batch.frames is None else {"text_embeds": words.pooled, "time_ids": batch.frames.to(words.hidden)}
        unet = self.base.pipeline.unet
        found = unet(noisy, batch.times.to(self.device), words.hidden, added_cond_kwargs=sizes, return_dict=False)[0]
        wanted = objective.target(x, noise, alpha_bar, self.base.prediction)
        weight = objective.weight(alpha_bar, self.base.prediction, self.config.min_snr)
        return weight * (found.float() - wanted).square().mean((1, 2, 3))  # (B, C, h, w) -> (B,)

    def _latents(self, batch: Batch) -> Tensor:
        if batch.moments is None:
            with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
                kept = moments(self.base.pipeline.vae, batch.pixels).float()  # type: ignore[arg-type]
        else:
            kept = batch.moments.to(self.device)
        noise = batch.latent_noise.to(self.device) if self.config.latents == "sample" else None
        return drawn(kept, batch.noise.shape[1], noise)

    def _conditioning(self, batch: Batch) -> Conditioning:
        if batch.words is not None:
            hidden, pooled = batch.words.hidden.to(self.device).float(), batch.words.pooled
            return Conditioning(hidden, None if pooled is None else pooled.to(self.device).float())
        assert self.conditioner is not None
        with torch.set_grad_enabled(self.config.adapter.text_encoder and torch.is_grad_enabled()):
            return self.conditioner.encode(batch.texts, self.config.windows)

    def validate(self) -> dict[str, float]:
        """Mean loss of the held-out faces: fixed words and noise, times spread evenly over the schedule."""
        cuts, losses = self.held.cuts, []
        for part in cuts.batches(self.config.loop.batch):
            draws = [Draw(f, (0.5, 0.5), False, self.held_words.say(f, 0, False), cuts.transform.crop) for f in part]
            times = torch.tensor([int((f + 0.5) / len(cuts.faces) * self.held.steps) for f in part])
            losses.append(self.loss(self.held.batch(draws, part, times), torch.Generator()))
        return {"held_out": float(torch.cat(losses).mean())}

    def preview(self) -> dict[str, Any]:
        """The validation prompts, drawn with the adapters as they are."""
        words, pictures = self.prompts or self.prompt_words(), []
        *said, nothing = (_row(words, i) for i in range(len(words.hidden)))
        seeds = range(self.seed, self.seed + self.config.validation_images)
        for one in said:
            pictures += self.base.draw(one, nothing, self.size, self.config.validation_inference_steps, seeds)
        labels = [text for text in self.config.validation_prompts for _ in seeds]
        return {"validation": sheet(pictures, len(seeds) if len(seeds) > 1 else None, labels)}

    @torch.no_grad()
    def prompt_words(self) -> Conditioning:
        assert self.conditioner is not None
        return self.conditioner.encode([*self.config.validation_prompts, ""], self.config.windows)

    def export(self, folder: Path) -> None:
        """`pytorch_lora_weights.safetensors`, and the text encoders' own file where they are trained."""
        spec, here = self.base.spec, ("data", "output", "cache")  # paths of this machine
        config = {k: v for k, v in dataclasses.asdict(self.config).items() if k not in here}
        told = {
            "base": spec.hub_ids[0] if spec.hub_ids else spec.name, "family": spec.family, "license": spec.license,
            "images": self.images, "instance_prompt": self.config.instance_prompt, "recipe": config,
        }  # fmt: skip
        lora.save(folder, self.modules, self.config.adapter, told)


def _row(words: Conditioning, i: int) -> Conditioning:
    return Conditioning(words.hidden[i : i + 1], None if words.pooled is None else words.pooled[i : i + 1])


def prepare(recipe: LoraRecipe, progress: Progress) -> None:
    """Fill the caches, free what they replace, put the adapters in. Nothing of it depends on how far the run is."""
    config, base, runtime = recipe.config, recipe.base, recipe.base.runtime
    cache = Path(config.cache) if config.cache else cache_folder()
    _texts(recipe, cache, progress)
    vae = base.pipeline.vae.requires_grad_(False).to(memory_format=torch.channels_last)
    if config.cache_latents:
        feeds = [recipe.held, recipe.feed] if recipe.feed.cuts.repeatable else [recipe.held]
        for feed in feeds:
            feed.latents = LatentCache(cache, vae, feed.cuts)
            feed.latents.fill(vae, runtime, progress)
    if recipe.feed.latents is not None:
        vae.to("cpu")  # waits there for the previews, if there are any
        base.pipeline.vae = vae if config.validation_prompts else None
    elif runtime.precision == "bf16":
        vae.to(runtime.dtype)  # fp16 would overflow
    adapt(recipe)


def adapt(recipe: LoraRecipe) -> None:
    """Frozen weights in the precision of the run, the adapters beside them."""
    config, base, runtime = recipe.config, recipe.base, recipe.base.runtime
    if runtime.precision != "fp32":
        for network in base.networks.values():
            network.to(runtime.dtype)
    base.pipeline.unet.to(memory_format=torch.channels_last)
    lora.inject(base.networks, config.adapter, config.loop.seed)
    if config.gradient_checkpointing:
        base.pipeline.unet.enable_gradient_checkpointing()
        for encoder in (part for name, part in recipe.modules.items() if name != "unet"):
            checkpointed(encoder)
    if config.compile:
        base.pipeline.unet.compile_repeated_blocks()


def checkpointed(encoder: Any) -> None:
    """Let a text encoder of transformers compute its activations again instead of keeping them."""
    enable = getattr(encoder, "activation_checkpointing_enable", None) or encoder.gradient_checkpointing_enable
    enable({"use_reentrant": False})  # renamed in transformers 5


def _texts(recipe: LoraRecipe, cache: Path, progress: Progress) -> None:
    """Where encoders are frozen: the prompts' words, and all captions if they have an end; then encoders can go."""
    config, runtime = recipe.config, recipe.base.runtime
    if config.adapter.text_encoder or recipe.conditioner is None:
        return
    recipe.prompts = recipe.prompt_words()
    every = recipe.words.all(config.flip > 0) if config.cache_texts else None
    if every is None:
        return
    texts = [*every, *(recipe.held_words.all(False) or []), ""]
    known = TextCache(cache, recipe.conditioner, config.windows)
    known.fill(texts[runtime.rank :: runtime.world], recipe.conditioner, lambda a, b: progress("captions", a, b))
    runtime.wait()
    known.store.refresh()
    recipe.feed.texts = recipe.held.texts = known
    recipe.conditioner = None
    recipe.base.drop_encoders()


def run(
    config: LoraConfig, runtime: Runtime, progress: Progress = lambda stage, done, total: None,
    tell: Tell = lambda note: None,
) -> Path:  # fmt: skip
    """Train, or go on training, in `config.output`; the path of `pytorch_lora_weights.safetensors` there."""
    config, faces, held, weights = settle(config, runtime.world)
    base = lora_base.load(config, runtime)
    folder = RunFolder(config.output, runtime.main)
    folder.write_config(config, images=len(faces), held_out=len(held), device=str(runtime.device),
                        precision=runtime.precision, processes=runtime.world)  # fmt: skip
    recipe = LoraRecipe(config, base, faces, held, weights)
    for note in notes(recipe) if runtime.main else ():
        tell(note)
    prepare(recipe, progress)
    rates = dict(config.loop.learning_rates)
    if config.text_learning_rate is not None:
        rates |= dict.fromkeys(set(recipe.modules) - {"unet"}, config.text_learning_rate)
    loop = dataclasses.replace(config.loop, learning_rates=rates)

    def report(state: State) -> None:
        recipe.images = state.images
        progress("training", state.images, loop.images)

    steps: list[hooks.Hook] = [report]
    if held:
        steps.append(hooks.validation(recipe, folder, runtime, loop.validate_every))
        if loop.validate_every and runtime.main and not folder.checkpoints():
            with averaged(recipe.modules, {}), torch.no_grad(), runtime.autocast():
                folder.log(0, **recipe.validate())
    if config.validation_prompts:
        steps.append(hooks.previews(recipe, folder, runtime, loop.preview_every))
    state = train(recipe, loop, folder, runtime, steps)
    recipe.images = state.images
    if runtime.main:
        with averaged(recipe.modules, state.ema):
            recipe.export(folder.path)
    folder.close()
    return folder.path / "pytorch_lora_weights.safetensors"


def settle(config: LoraConfig, world: int = 1) -> tuple[LoraConfig, list[Face], list[Face], list[float]]:
    """The settings with everything in images; faces to train on, faces held out, weights."""
    faces: list[Face] = []
    held: list[Face] = []
    weights: list[float] = []
    for folder, weight in members(config.data):
        more, kept = load(folder, config.split, config.where, config.held_out, config.max_samples)
        faces, held, weights = [*faces, *more], [*held, *kept], [*weights, *[weight] * len(more)]
    return dataclasses.replace(config, loop=config.loop.settled(len(faces), world)), faces, held, weights


def notes(recipe: LoraRecipe) -> list[str]:
    """What the user should know before hours of training."""
    config, found = recipe.config, []
    if config.cache_latents and not recipe.feed.cuts.repeatable:
        found.append(
            "Random crops are encoded at every step: crops_cached=4 would cache so many of each face, "
            "--center-crop one."
        )
    texts = recipe.words.all(False)
    if texts is not None and recipe.conditioner is not None:
        some = texts[:: max(1, len(texts) // 1000)]
        cut = sum(recipe.conditioner.windows([(text, 1.0)]) > config.windows for text in some)
        if cut:
            found.append(
                f"{cut / len(some):.0%} of the captions are longer than {75 * config.windows} tokens and are cut: "
                f"windows={config.windows + 1} would read on."
            )
    return found
