"""The autoencoder of `mini`: pictures of 128 px <-> latents of 16x16x8, in two phases of one run.

First a pyramid of L1 distances with image gradients, and noise on the latents so that the decoder bears a denoiser's
small errors; then, over the last part, a patch discriminator with the hinge loss (Lim & Ye 2017) for sharper eyes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ...data.labels import read_faces
from ...models import mini
from ...models.pixels import to_pixels
from ...runs import RunFolder
from ...runtime import Runtime
from ..loop import LoopConfig, State, averaged, train
from ..sampler import Sampler, sample_seed

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class AutoencoderConfig:
    """`likeness train autoencoder`. `adversarial` is the last share of the run, in which the discriminator counts."""

    data: str
    output: str = "runs/autoencoder"
    start: str | None = None
    split: str | None = "train"
    size: int = 128
    latent_noise: float = 0.05
    adversarial: float = 0.3
    adversarial_weight: float = 0.02
    frozen_encoder: bool = False
    loop: LoopConfig = field(default_factory=LoopConfig)


class AutoencoderRecipe:
    def __init__(self, config: AutoencoderConfig, files: list[Path], vae: Any) -> None:
        self.config, self.files, self.vae = config, files, vae
        self.critic = critic()
        if config.frozen_encoder:
            vae.encoder.requires_grad_(False)
        self.modules: dict[str, nn.Module] = {"decoder": vae.decoder, "critic": self.critic}
        if not config.frozen_encoder:
            self.modules["encoder"] = vae.encoder
        self.sampler = Sampler(len(files), config.loop.batch, config.loop.seed)

    def names(self, step: int) -> list[str]:
        return [str(self.files[i]) for i in self.sampler.indices(step)]

    def batch(self, step: int) -> tuple[Tensor, bool]:
        """Pixels (B, 3, H, W), half of them mirrored, and whether the discriminator counts yet."""
        pixels = to_pixels([self.files[i] for i in self.sampler.indices(step)], self.config.size)
        flips = [sample_seed(self.config.loop.seed, p) % 2 for p in self.sampler.positions(step)]
        pixels = torch.stack([p.flip(-1) if f else p for p, f in zip(pixels, flips, strict=True)])
        images = self.config.loop.images
        return pixels, step * self.config.loop.batch >= images * (1 - self.config.adversarial)

    def loss(self, batch: tuple[Tensor, bool], generator: torch.Generator) -> Tensor:
        pixels, adversarial = batch[0].to(self.vae.device, memory_format=torch.channels_last), batch[1]
        latents = self.vae.encode(pixels).latents.float()
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        drawn = self.vae.decode(latents + self.config.latent_noise * noise).sample.float()
        loss = pyramid(drawn, pixels)
        if adversarial:
            frozen = {k: p.detach() for k, p in self.critic.named_parameters()}
            fooled = -functional_call(self.critic, frozen, (drawn,)).float().mean((1, 2, 3))
            real = F.relu(1 - self.critic(pixels).float()).mean((1, 2, 3))
            fake = F.relu(1 + self.critic(drawn.detach()).float()).mean((1, 2, 3))
            loss = loss + self.config.adversarial_weight * fooled + real + fake
        return loss  # (B,)


def pyramid(drawn: Tensor, pixels: Tensor, levels: int = 3) -> Tensor:
    """L1 on pixels and on their differences to the right and below, at `levels` resolutions, (B,)."""
    total = torch.zeros(len(pixels), device=pixels.device)
    for _ in range(levels):
        total = total + (drawn - pixels).abs().mean((1, 2, 3))
        for axis in (2, 3):
            total = total + (drawn.diff(dim=axis) - pixels.diff(dim=axis)).abs().mean((1, 2, 3))
        drawn, pixels = F.avg_pool2d(drawn, 2), F.avg_pool2d(pixels, 2)
    return total


def critic(width: int = 32) -> nn.Sequential:
    """A patch discriminator (Isola et al. 2017): each output sees 46 pixels."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for i in (1, 2):
        layers += [
            nn.utils.parametrizations.spectral_norm(nn.Conv2d(width * i, width * i * 2, 4, 2, 1)),
            nn.LeakyReLU(0.2),
        ]
    return nn.Sequential(*layers, nn.Conv2d(width * 4, 1, 3, 1, 1))


def load(start: str | Path | None) -> Any:
    """The autoencoder in a pipeline folder or in its own, or a new one."""
    from diffusers import AutoencoderTiny

    if start is None:
        return AutoencoderTiny(**mini.AUTOENCODER)
    folder = Path(start) / "vae" if (Path(start) / "vae").is_dir() else Path(start)
    return AutoencoderTiny.from_pretrained(folder)


def run(
    config: AutoencoderConfig, runtime: Runtime, progress: Progress = lambda stage, done, total: None
) -> tuple[Path, State]:
    """Train, or go on training, in `config.output`; write the averaged weights to `<output>/vae`."""
    files = [Path(config.data) / r.file_name for r in read_faces(config.data, config.split)]
    folder = RunFolder(config.output)
    folder.write_config(config, images=len(files), device=str(runtime.device), precision=runtime.precision)
    torch.manual_seed(config.loop.seed)
    recipe = AutoencoderRecipe(config, files, load(config.start).to(memory_format=torch.channels_last))
    total = config.loop.images
    state = train(recipe, config.loop, folder, runtime, [lambda s: progress("autoencoder", s.images, total)])
    with averaged(recipe.modules, state.ema):
        recipe.vae.save_pretrained(folder.path / "vae")
    folder.close()
    return folder.path / "vae", state
