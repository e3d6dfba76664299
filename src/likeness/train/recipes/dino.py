"""`dino`: faces from a face's embedding. A frozen image encoder -> projection -> UNet, on latents or on pixels."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...data.labels import read_faces
from ...errors import ConfigError
from ...generate.faces import draw
from ...models import dino, encoders
from ...models.pixels import to_pixels
from ...runs import RunFolder
from ...runtime import Runtime
from .. import latents, objective
from ..augment import Pictures
from ..epochs import epochs
from ..hooks import Hook, State, previews
from ..loop import LoopConfig, averaged, train
from ..sampler import Sampler, noise_for, sample_seed
from ..store import TensorStore

Progress = Callable[[str, int, int], None]
Drawn = Callable[[list[int], list[int]], Tensor]  # faces, and whether mirrored -> (B, C, h, w)
SHOWN, VARIATIONS = 8, 4  # faces of a preview, and pictures drawn of each
LEAST = 1e-3  # a number of the encoder that hardly moves is not blown up


@dataclass(frozen=True)
class DinoConfig:
    """`likeness train dino`. `autoencoder`: mini, a folder, or none: on pixels.

    `start`: a folder of `likeness train dino`, gone on from with its own encoder, statistics and autoencoder; or a
    pipeline such as mini, whose UNet lends the weights that fit (faces are learned sooner than from scratch).
    `embedding_noise` is the deviation of what is added to the standardised embedding, so that faces beside those of the
    training set, between photos for one, are drawn as well (conditioning augmentation, Ho et al. 2022).
    """

    data: str
    output: str = "runs/dino"
    start: str | None = None
    split: str | None = "train"
    encoder: str = "eye"
    autoencoder: str | None = dino.MINI_VAE
    embedding_dropout: float = 0.1
    embedding_noise: float = 0.1
    beta_schedule: str = "scaled_linear"
    prediction: str = "v_prediction"
    zero_terminal_snr: bool = True
    min_snr: float | None = None
    preview_guidance: float = 2.0
    shape: dino.Shape = field(default_factory=dino.Shape)
    loop: LoopConfig = field(default_factory=LoopConfig)


@dataclass
class Faces:
    """What is trained on, every face and its mirror image: `drawn[i, m]` is what the UNet is to draw (C, h, w).

    `embeddings` (N, 2, D), standardised. `shown`: pixels (n, 3, H, W) and embeddings (n, D) of faces kept out.
    """

    files: list[Path]
    drawn: Drawn
    embeddings: Tensor
    shown: tuple[Tensor, Tensor]


class DinoRecipe:
    """The embedding and the picture are of the same side: a mirrored face goes with its own embedding."""

    def __init__(self, config: DinoConfig, faces: Faces, model: dino.FaceModel) -> None:
        self.config, self.faces, self.model = config, faces, model
        self.modules: dict[str, nn.Module] = {"unet": model.unet}
        self.sampler = Sampler(len(faces.files), config.loop.batch, config.loop.seed)
        self.alpha_bar = model.scheduler.alphas_cumprod

    def names(self, step: int) -> list[str]:
        return [str(self.faces.files[i]) for i in self.sampler.indices(step)]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """What to draw (B, C, h, w) and embeddings (B, D); each sample's own seed mirrors both or drops the latter."""
        indices, positions = self.sampler.indices(step), self.sampler.positions(step)
        draws = [random.Random(sample_seed(self.config.loop.seed, p)) for p in positions]
        mirrored = [int(d.random() < 0.5) for d in draws]
        kept = torch.tensor([d.random() >= self.config.embedding_dropout for d in draws]).unsqueeze(1)  # (B, 1)
        embeddings = self.faces.embeddings[indices, mirrored]
        blur = self.config.embedding_noise * noise_for(self.config.loop.seed, positions, embeddings.shape[1:])
        return self.faces.drawn(indices, mirrored), (embeddings + blur) * kept

    def loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        x, embeddings = (tensor.to(self.model.unet.device) for tensor in batch)
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        t = torch.randint(len(self.alpha_bar), (len(x),), generator=generator)
        alpha_bar = self.alpha_bar[t].to(x.device)
        noisy = objective.noised(x, noise, alpha_bar).contiguous(memory_format=torch.channels_last)
        found = self.model.predict(noisy, t.to(x.device), embeddings).float()
        weight = objective.weight(alpha_bar, self.config.prediction, self.config.min_snr)
        wanted = objective.target(x, noise, alpha_bar, self.config.prediction)
        return weight * (found - wanted).square().mean((1, 2, 3))  # (B, C, h, w) -> (B,)

    def preview(self) -> dict[str, Any]:
        """A row for each face that was kept out: the face, then its variations from seeds that never change."""
        from PIL import Image

        pixels, embeddings = self.faces.shown
        rows, seeds = embeddings.repeat_interleave(VARIATIONS, 0), list(range(VARIATIONS)) * len(embeddings)
        found = draw(self.model, rows, seeds, steps=20, guidance=self.config.preview_guidance).cpu().clamp(-1, 1)
        found = found.view(len(pixels), VARIATIONS, *found.shape[1:])
        whole = torch.cat([pixels[:, None], found], 1)  # (n, 1 + V, 3, H, W)
        grid = whole.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)  # -> (n H, (1 + V) W, 3)
        return {"variations": Image.fromarray((grid * 127.5 + 127.5).round().byte().numpy())}

    def export(self, folder: Path) -> None:
        dino.save(self.model, folder)


def run(config: DinoConfig, runtime: Runtime, progress: Progress = lambda stage, done, total: None) -> Path:
    """Train, or go on training, in `config.output`; write the averaged network to `<output>/final_model`."""
    objective.check(config.prediction, config.zero_terminal_snr, config.min_snr)
    files = [Path(config.data) / r.file_name for r in read_faces(config.data, config.split)]
    loop = config.loop.settled(len(files))
    config = replace(config, loop=replace(loop, log_every=min(loop.log_every, len(files))))  # a loss for each epoch
    begun = dino.load(config.start, runtime.device) if config.start and dino.holds(config.start) else None
    if begun and begun.about.size != config.shape.size:
        raise ConfigError(f"{config.start} draws {begun.about.size} px: --set shape.size={begun.about.size}")
    encoder = encoders.load(begun.about.encoder if begun else config.encoder, runtime)
    folder = RunFolder(config.output)
    folder.write_config(config, images=len(files), device=str(runtime.device), precision=runtime.precision,
                        encoder=encoder.revision)  # fmt: skip
    embeddings = embedded(files, encoder, config.shape.size, folder.path, progress)  # (N, 2, D)
    model = begin(config, begun, encoder, embeddings, runtime)
    kept_out = to_pixels(held_out(config), config.shape.size)
    shown = kept_out, model.standardised(encoder.embed(kept_out).cpu())
    drawn = drawer(config, files, model.vae, folder, runtime, progress)
    recipe = DinoRecipe(config, Faces(files, drawn, model.standardised(embeddings), shown), model)

    def report(state: State) -> None:
        progress("denoiser", state.images, config.loop.images)

    hooks: list[Hook] = [
        report,
        previews(recipe, folder, runtime, config.loop.preview_every),
        epochs(folder, len(files), config.loop.checkpoint_every),
    ]
    state = train(recipe, config.loop, folder, runtime, hooks)
    target = folder.path / "final_model"
    with averaged(recipe.modules, state.ema):
        dino.save(model, target)
    folder.close()
    return target


def begin(
    config: DinoConfig, begun: dino.FaceModel | None, encoder: encoders.Encoder, embeddings: Tensor, runtime: Runtime
) -> dino.FaceModel:
    """The model that is gone on from, or a fresh one from the seed, perhaps with weights of a pipeline's UNet."""
    scheduler = dino.noise_schedule(config.beta_schedule, config.prediction, config.zero_terminal_snr)
    if begun:
        return replace(begun, scheduler=scheduler)
    deviation, mean = torch.std_mean(embeddings.flatten(0, 1), 0)  # (N, 2, D) -> (D,)
    about = dino.About(
        encoder.name, encoder.revision, encoder.license, config.shape.size, mean.tolist(),
        deviation.clamp(min=LEAST).tolist(), "tight" if (Path(config.data) / "labels.jsonl").is_file() else "prepared",
    )  # fmt: skip
    vae = dino.load_vae(config.autoencoder).to(runtime.device) if config.autoencoder else None
    torch.manual_seed(config.loop.seed)
    unet = dino.build(config.shape, encoder.width, vae)
    if config.start:
        dino.take_over(unet, config.start)
    return dino.FaceModel(unet, scheduler, vae, about)


def embedded(files: list[Path], encoder: encoders.Encoder, size: int, folder: Path, progress: Progress) -> Tensor:
    """Embeddings of all files and their mirror images at `size` px, (N, 2, D); only what is not in `folder` is made."""
    contents = [latents.file_key(f) for f in files]
    store = TensorStore(folder / f"embeddings-{encoder.revision[:12]}-{size}")
    path_of = dict(zip(contents, files, strict=True))

    def make(keys: Any) -> Tensor:
        pixels = to_pixels([path_of[key] for key in keys], size)
        return torch.stack([encoder.embed(p).cpu() for p in (pixels, pixels.flip(-1))], 1)  # (B, 2, D)

    latents.fill(store, contents, make, 64, lambda done, total: progress("embeddings", done, total))
    return store.get(contents)["moments"].float()


def held_out(config: DinoConfig) -> list[Path]:
    """A few faces of the other splits, spread over the table; where there is no other, of all."""
    records = read_faces(config.data)
    others = [r for r in records if r.split and r.split != config.split] or records
    return [Path(config.data) / r.file_name for r in others[:: max(1, len(others) // SHOWN)][:SHOWN]]


def drawer(
    config: DinoConfig, files: list[Path], vae: Any, folder: RunFolder, runtime: Runtime, progress: Progress
) -> Drawn:
    """Scaled latents of the faces, or without an autoencoder their pixels."""
    if vae is None:
        pictures = Pictures(files, config.shape.size, progress)

        def pixels(indices: list[int], mirrored: list[int]) -> Tensor:
            flips = torch.tensor(mirrored).view(-1, 1, 1, 1).bool()
            return torch.where(flips, pictures[indices].flip(-1), pictures[indices])

        return pixels

    def report(done: int, total: int) -> None:
        progress("latents", done, total)

    cache = latents.cached_latents(files, vae, config.shape.size, folder.path, runtime, report)  # (N, 2, C, h, w)
    channels, scale = vae.config.latent_channels, vae.config.scaling_factor
    return lambda indices, mirrored: latents.drawn(cache[indices, mirrored].float(), channels, None) * scale
