"""`mini`: tokenizer -> autoencoder -> latents -> text encoder and UNet -> a pipeline that diffusers loads."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.labels import read_faces
from ...errors import Unfinished
from ...models import mini
from ...records import Attributes, FaceRecord
from ...runs import RunFolder
from ...runtime import Runtime
from .. import latents, objective
from ..captions import VALUES, caption, rarity, told_values
from ..loop import LoopConfig, State, averaged, train
from ..sampler import Sampler, sample_seed
from ..tokenizer import train_tokenizer
from . import autoencoder

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class MiniConfig:
    """`likeness train mini`. `start` is a pipeline folder whose weights are taken as far as they fit."""

    data: str
    output: str = "runs/mini"
    start: str | None = None
    split: str | None = "train"
    vocabulary: int = 3072
    caption_dropout: float = 0.1
    language_images: int = 64_000
    language_weight: float = 1.0
    prediction: str = "v_prediction"
    zero_terminal_snr: bool = True
    min_snr: float | None = None
    rare_at_most: float = 5.0
    autoencoder: str | None = None
    autoencoder_images: int = 150_000
    new_tokenizer: bool = False
    shape: mini.Shape = field(default_factory=mini.Shape)
    preview_every: int = 32_000
    loop: LoopConfig = field(default_factory=LoopConfig)


@dataclass
class Batch:
    """Scaled latents (B, C, h, w), token ids (B, 77), what each caption says (B, values), if only words count."""

    latents: Tensor
    tokens: Tensor
    told: Tensor
    language: bool


class MiniRecipe:
    """Text encoder and UNet trained together on cached latents; the caption of each draw is written anew.

    A denoiser's gradient alone teaches a text encoder hardly anything in a day on a CPU: unlike captions end in the
    same state, and the same face is drawn for them. So a linear head reads back, from the text encoder's last state,
    what the caption said; the first `language_images` train on nothing else. The head is not part of the pipeline.
    """

    def __init__(self, config: MiniConfig, records: list[FaceRecord], cache: Tensor, parts: mini.Parts):
        self.config, self.records, self.cache, self.parts = config, records, cache, parts
        knows_words = bool(config.start) and not config.new_tokenizer
        self.language_images = 0 if knows_words else config.language_images
        self.reader = mini.Reader(config.shape.text_width, len(VALUES))
        self.modules: dict[str, nn.Module] = {
            "unet": parts.unet,
            "text_encoder": parts.text_encoder,
            "reader": self.reader,
        }
        self.people = [r.attributes for r in records if r.attributes]
        weights = rarity(self.people, most=config.rare_at_most)
        self.sampler = Sampler(len(records), config.loop.batch, config.loop.seed, weights)
        scheduler = mini.noise_schedule(config.prediction, config.zero_terminal_snr)
        self.alpha_bar = scheduler.alphas_cumprod
        self.scale = parts.vae.config.scaling_factor

    def names(self, step: int) -> list[str]:
        return [self.records[i].file_name for i in self.sampler.indices(step)]

    def batch(self, step: int) -> Batch:
        texts, told, picked = [], [], []
        for position, index in zip(self.sampler.positions(step), self.sampler.indices(step), strict=True):
            seed = sample_seed(self.config.loop.seed, position)
            random_ = random.Random(seed)
            mirrored, silent = random_.random() < 0.5, random_.random() < self.config.caption_dropout
            of_caption = random_.getrandbits(32)  # `seed` would repeat the two draws above
            text, said = ("", Attributes()) if silent else caption(self.people[index], of_caption, mirrored)
            texts.append(text)
            told.append(told_values(said))
            picked.append(self.cache[index, int(mirrored)])
        language = step * self.config.loop.batch < self.language_images
        return Batch(
            torch.stack(picked).float() * self.scale,
            mini.tokenize(self.parts.tokenizer, texts),
            torch.from_numpy(np.stack(told)),
            language,
        )

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        device = self.parts.unet.device
        tokens, told = batch.tokens.to(device), batch.told.to(device)
        words = self.parts.text_encoder(tokens)[0]  # (B, 77) -> (B, 77, W)
        read = self.reader(words, tokens, self.parts.tokenizer.eos_token_id).float()
        language = F.binary_cross_entropy_with_logits(read, told, reduction="none").mean(-1)  # (B, values) -> (B,)
        if batch.language:
            return language
        return self.denoising(batch.latents.to(device), words, generator) + self.config.language_weight * language

    def denoising(self, x: Tensor, words: Tensor, generator: torch.Generator) -> Tensor:
        """Scaled latents (B, C, h, w) and hidden states (B, 77, W) -> weighted squared error (B,)."""
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        t = torch.randint(len(self.alpha_bar), (len(x),), generator=generator)
        alpha_bar = self.alpha_bar[t].to(x.device)
        noisy = objective.noised(x, noise, alpha_bar).contiguous(memory_format=torch.channels_last)
        found = self.parts.unet(noisy, t.to(x.device), words).sample.float()
        wanted = objective.target(x, noise, alpha_bar, self.config.prediction)
        weight = objective.weight(alpha_bar, self.config.prediction, self.config.min_snr)
        return weight * (found - wanted).square().mean((1, 2, 3))  # (B, C, h, w) -> (B,)


def run(config: MiniConfig, runtime: Runtime, progress: Progress = lambda stage, done, total: None) -> Path:
    """Train, or go on training, in `config.output`; write the pipeline with averaged weights to `<output>/pipeline`."""
    objective.check(config.prediction, config.zero_terminal_snr, config.min_snr)
    records = [r for r in read_faces(config.data, config.split) if r.attributes]
    files = [Path(config.data) / r.file_name for r in records]
    folder = RunFolder(config.output)
    folder.write_config(config, images=len(files), device=str(runtime.device), precision=runtime.precision)
    tokenizer = _tokenizer(config, folder, records)
    vae = _autoencoder(config, folder, runtime, progress)
    cache = latents.cached_latents(
        files, vae, config.shape.size, folder.path, runtime, lambda a, b: progress("latents", a, b)
    )
    if config.autoencoder or not config.start:  # a UNet that is taken over was trained at its own scale
        vae.register_to_config(scaling_factor=round(1 / float(cache[:, 0].float().std()), 4))
    torch.manual_seed(config.loop.seed)
    parts = mini.build(config.shape, tokenizer, vae, config.start)
    recipe = MiniRecipe(config, records, cache, parts)
    preview = Preview(recipe, folder, runtime)

    def report(state: State) -> None:
        progress("denoiser", state.images, config.loop.images)

    state = train(recipe, config.loop, folder, runtime, [report, preview])
    target = folder.path / "pipeline"
    with averaged(recipe.modules, state.ema):
        mini.save(parts, target, config.prediction, config.zero_terminal_snr)
    folder.close()
    return target


def _tokenizer(config: MiniConfig, folder: RunFolder, records: list[FaceRecord]) -> Any:
    if config.start and not config.new_tokenizer:
        return mini.load_tokenizer(config.start)
    people = [r.attributes for r in records if r.attributes]
    return train_tokenizer(folder.path / "tokenizer", people, config.vocabulary)


def _autoencoder(config: MiniConfig, folder: RunFolder, runtime: Runtime, progress: Progress) -> Any:
    """The one that was named, or that of `start`, or one trained first, within this sitting's minutes."""
    source: str | Path | None = config.autoencoder or config.start
    if source is None:
        loop = replace(config.loop, images=config.autoencoder_images, batch=16, learning_rate=5e-4)
        first = autoencoder.AutoencoderConfig(
            config.data, str(folder.path / "autoencoder"), split=config.split, size=config.shape.size, loop=loop
        )
        source, state = autoencoder.run(first, runtime, progress)
        if state.images < loop.images:
            raise Unfinished(
                f"autoencoder at {state.images} of {loop.images} images: run the same command again to go on"
            )
    return autoencoder.load(source)


class Preview:
    """Every so many images, a fixed grid of prompts drawn with the averaged weights."""

    PROMPTS = (
        "a young white woman with blond hair, smiling",
        "a black man in his forties with a full beard and glasses",
        "an east asian woman in her thirties, neutral expression",
        "an indian man in his twenties with a moustache",
        "a middle eastern woman wearing a headscarf",
        "an elderly white man with gray hair and glasses, smiling",
        "a latino man in his thirties wearing a cap",
        "a southeast asian woman laughing, long hair",
    )

    def __init__(self, recipe: MiniRecipe, folder: RunFolder, runtime: Runtime) -> None:
        self.recipe, self.folder, self.runtime = recipe, folder, runtime
        self.last: int | None = None

    def __call__(self, state: State) -> None:
        from PIL import Image

        passed = state.images // self.recipe.config.preview_every
        if self.last is not None and passed > self.last:
            with averaged(self.recipe.modules, state.ema), self.runtime.autocast():
                pixels = mini.draw(self.recipe.parts, self.PROMPTS, seeds=(1, 2), steps=20)
            rows = np.concatenate([np.concatenate(list(row), 1) for row in pixels], 0)
            self.folder.sample("prompts", Image.fromarray(rows), state.images)
        self.last = passed
