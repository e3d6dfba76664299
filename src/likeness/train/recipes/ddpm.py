"""`ddpm`: a denoising diffusion model of pixels, from scratch, by group or for any face (Ho et al. 2020)."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...data.groups import GroupConfig, Grouped, find
from ...errors import ConfigError, UsageError
from ...files import write_json
from ...generate.grid import sheet
from ...generate.mix import draw
from ...models import ddpm
from ...runs import RunFolder
from ...runtime import Runtime
from .. import objective
from ..augment import Pictures
from ..epochs import epochs
from ..hooks import Hook, State, previews
from ..loop import LoopConfig, averaged, train
from ..sampler import Sampler, sample_seed

Progress = Callable[[str, int, int], None]
Tell = Callable[[str], None]
REPORT = "data.json"  # in the run folder: the groups, and what was left out


@dataclass(frozen=True)
class DdpmConfig:
    """`likeness train ddpm`. `groups` says which face belongs to which group; without one the model is unconditional.

    `balance`: 0 draws every face equally often, 1 every group. `start`: a model to go on from, in a run of its own.
    `sample_epochs` and `checkpoint_epochs`, where given, take the place of the loop's `preview_every` and
    `checkpoint_every`: so many rounds through the data.
    """

    data: str
    output: str = "runs/ddpm"
    start: str | None = None
    split: str | None = "train"
    groups: GroupConfig = field(default_factory=GroupConfig)
    balance: float = 1.0
    class_dropout: float = 0.1
    flip: bool = True
    prediction: str = "epsilon"
    beta_schedule: str = "linear"
    min_snr: float | None = None
    preview_guidance: float = 2.0
    sample_epochs: float | None = None
    checkpoint_epochs: float | None = None
    shape: ddpm.Shape = field(default_factory=ddpm.Shape)
    loop: LoopConfig = field(default_factory=LoopConfig)


class DdpmRecipe:
    """Mean squared error between what the UNet says of a noised picture and its target (Ho et al. 2020, eq. 14)."""

    lighter = "a smaller --batch with more --accumulation, --precision bf16, or a smaller --size"

    def __init__(self, config: DdpmConfig, faces: Grouped, pictures: Pictures, model: ddpm.GroupModel) -> None:
        self.config, self.faces, self.pictures, self.model = config, faces, pictures, model
        self.modules: dict[str, nn.Module] = {"unet": model.unet}
        self.labels = torch.from_numpy(faces.labels)  # (N,)
        weights = balanced(faces.labels, config.balance) if faces.names else None
        self.sampler = Sampler(len(pictures), config.loop.batch, config.loop.seed, weights)
        self.alpha_bar = model.scheduler.alphas_cumprod

    def names(self, step: int) -> list[str]:
        return [str(self.faces.files[i]) for i in self.sampler.indices(step)]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Pixels (B, 3, H, W) in [-1, 1] and classes (B,); each sample's own seed mirrors it and drops its class."""
        indices = self.sampler.indices(step)
        pixels, labels = self.pictures[indices], self.labels[indices].clone()
        for row, position in enumerate(self.sampler.positions(step)):
            random_ = random.Random(sample_seed(self.config.loop.seed, position))
            mirrored, silent = random_.random() < 0.5, random_.random() < self.config.class_dropout
            if mirrored and self.config.flip:
                pixels[row] = pixels[row].flip(-1)
            if silent:
                labels[row] = len(self.model.groups)
        return pixels, labels

    def loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        unet, prediction = self.model.unet, self.config.prediction
        x, labels = (tensor.to(unet.device) for tensor in batch)
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        t = torch.randint(len(self.alpha_bar), (len(x),), generator=generator)
        alpha_bar = self.alpha_bar[t].to(x.device)
        noisy = objective.noised(x, noise, alpha_bar).contiguous(memory_format=torch.channels_last)
        found = unet(noisy, t.to(x.device), class_labels=labels if self.model.groups else None).sample.float()
        weight = objective.weight(alpha_bar, prediction, self.config.min_snr)
        wanted = objective.target(x, noise, alpha_bar, prediction)
        return weight * (found - wanted).square().mean((1, 2, 3))  # (B, 3, H, W) -> (B,)

    def preview(self) -> dict[str, Any]:
        """A row of four faces for each group, or 16 faces, from seeds that never change."""
        from PIL import Image

        rows = [{name: 1.0} for name in self.model.groups] or [{}] * 4
        images = []
        for number, row in enumerate(rows):  # row by row: all at once would need more memory than a training step
            seeds = [number * 1000 * (not self.model.groups) + i for i in range(4)]
            pixels = draw(self.model, [row] * 4, seeds, steps=20, guidance=self.config.preview_guidance)
            pixels = (pixels.clamp(-1, 1) * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1)  # (B, H, W, 3)
            images += [Image.fromarray(picture) for picture in pixels.cpu().numpy()]
        labels = [name for name in self.model.groups for _ in range(4)]
        return {"groups": sheet(images, 4, labels)}

    def export(self, folder: Path) -> None:
        """The model as it is, into a checkpoint: its folder loads like the finished one."""
        ddpm.save(self.model, folder, about=self.about)

    @property
    def about(self) -> dict[str, Any]:
        """What is kept beside the groups' names."""
        return {"faces": self.faces.report.groups, "size": self.config.shape.size}


def balanced(labels: np.ndarray, balance: float) -> np.ndarray:
    """The weight of each face (N,), 1 / (size of its group) ** balance."""
    return np.bincount(labels)[labels].astype(np.float64) ** -balance


def gather(config: DdpmConfig, progress: Progress) -> tuple[Grouped, Pictures]:
    """Faces by group and their pixels, without what cannot be read."""
    found = find(config.data, config.split, config.groups)
    found.grouped(config.groups)  # before anything is read: is there a group at all?
    pictures = Pictures(found.files, config.shape.size, progress, lenient=True)
    faces = found.grouped(config.groups, pictures.seen.broken, pictures.seen.sizes)
    pictures.only(faces.rows)
    return faces, pictures


def settle(config: DdpmConfig, count: int) -> DdpmConfig:
    """The same settings in images, for `count` faces; the loss is logged at least once a round."""
    loop = config.loop.settled(count)

    def images(rounds: float | None, otherwise: int) -> int:
        return otherwise if rounds is None else math.ceil(rounds * count)  # 0 stays 0

    loop = replace(
        loop, log_every=min(loop.log_every, count), preview_every=images(config.sample_epochs, loop.preview_every),
        checkpoint_every=images(config.checkpoint_epochs, loop.checkpoint_every),
    )  # fmt: skip
    return replace(config, loop=loop, sample_epochs=None, checkpoint_epochs=None)


def begin(config: DdpmConfig, names: tuple[str, ...]) -> ddpm.GroupModel:
    """A fresh model from the seed; with `start` its weights, and its norms unless the shape says otherwise.

    Groups that `start` knows by name keep their embedding; new ones begin as its "any face", or as nothing where it had
    no groups. Raises `ConfigError` when `start` has other sizes, or was taught to predict something else.
    """
    start, shape = ddpm.load(config.start) if config.start else None, config.shape
    if start:
        shape = replace(shape, norm_groups=shape.norm_groups or start.unet.config.norm_num_groups)
    torch.manual_seed(config.loop.seed)
    scheduler = ddpm.noise_schedule(config.beta_schedule, config.prediction)
    model = ddpm.GroupModel(ddpm.build(shape, names), scheduler, names)
    if not start:
        return model
    for key in ("prediction_type", "beta_schedule"):
        was, now = start.scheduler.config[key], scheduler.config[key]
        if was != now:
            setting = key.removesuffix("_type")
            raise ConfigError(f"{config.start} was trained with {setting} {was}, not {now}: --set {setting}={was}")
    weights = start.unet.state_dict()
    table = weights.pop("class_embedding.weight", None)  # (G + 1, E), the last is "any face"
    if model.groups:
        silent = torch.zeros_like(model.unet.class_embedding.weight[0]) if table is None else table[-1]
        rows = {name: table[i] for i, name in enumerate(start.groups)} if table is not None else {}
        weights["class_embedding.weight"] = torch.stack([*(rows.get(name, silent) for name in names), silent])
    try:
        model.unet.load_state_dict(weights)
    except RuntimeError:
        c = start.unet.config
        raise ConfigError(
            f"{config.start} has another shape: size {c.sample_size}, channels {list(c.block_out_channels)}, "
            f"{c.layers_per_block} layers a block; give the preset that it was trained with"
        ) from None
    return model


def note(folder: RunFolder, faces: Grouped, size: int, tell: Tell) -> None:
    """Tell what was found and keep it in the run folder. Raises `UsageError` when the run there has other groups."""
    for line in faces.report.lines(size):
        tell(line)
    file = folder.path / REPORT
    if file.exists() and folder.checkpoints():
        before = json.loads(file.read_text(encoding="utf-8"))["groups"]
        if tuple(before) != tuple(faces.report.groups):
            raise UsageError(
                f"the run in {folder.path} has the groups {', '.join(before)}; the data now have "
                f"{', '.join(faces.report.groups)}: choose another --output, with --start to keep what it has learned"
            )
        if before != faces.report.groups:
            tell("the data have changed since this run began: it goes on with other draws")
    write_json(file, faces.report.as_json())


def run(
    config: DdpmConfig,
    runtime: Runtime,
    progress: Progress = lambda stage, done, total: None,
    tell: Tell = lambda line: None,
) -> Path:
    """Train, or go on training, in `config.output`; write the averaged network to `<output>/pipeline`."""
    objective.check(config.prediction, False, config.min_snr)
    faces, pictures = gather(config, progress)
    config = settle(config, len(faces.files))
    model = begin(config, faces.names)
    folder = RunFolder(config.output)
    note(folder, faces, config.shape.size, tell)
    folder.write_config(config, images=len(faces.files), device=str(runtime.device), precision=runtime.precision)
    recipe = DdpmRecipe(config, faces, pictures, model)

    def report(state: State) -> None:
        progress("denoiser", state.images, config.loop.images)

    hooks: list[Hook] = [
        report,
        previews(recipe, folder, runtime, config.loop.preview_every),
        epochs(folder, len(faces.files), config.loop.checkpoint_every),
    ]
    state = train(recipe, config.loop, folder, runtime, hooks)
    target = folder.path / "pipeline"
    with averaged(recipe.modules, state.ema):
        ddpm.save(model, target, about=recipe.about)
    folder.close()
    return target
