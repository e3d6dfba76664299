"""Faces from a face's embedding: stock `UNet2DConditionModel`, conditioned as Kandinsky 2.2's decoder is.

The embedding of a frozen image encoder enters twice, projected inside the UNet: as 32 tokens that it attends to, and
added to the time embedding. Zeros stand for "any face" and are what guidance leads away from.
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, ModelNotFound, UsageError
from ..files import write_json
from .registry import ASSETS, find, locate

ABOUT = "dino.json"
MINI_VAE = "mini"


@dataclass(frozen=True)
class Shape:
    """The sizes that a recipe may choose. `size` in pixels; `attention`: sides of the feature maps that attend."""

    size: int = 128
    channels: tuple[int, ...] = (96, 192)
    layers_per_block: int = 1
    attention: tuple[int, ...] = (8,)
    width: int = 128  # of the tokens attended to
    head: int = 8


@dataclass(frozen=True)
class About:
    """What a model must know to take a photo: its encoder, and the embeddings' mean and deviation in training (D,)."""

    encoder: str
    encoder_revision: str
    encoder_license: str
    size: int
    mean: list[float]
    deviation: list[float]
    framing: str = "tight"  # how faces are cut: tight, as the shipped ones; prepared, as `likeness data prepare` does
    note: str = field(
        default="Synthetic variations of faces only. Not for imitating, identifying or deceiving anybody."
    )


@dataclass
class FaceModel:
    """A UNet, the noise schedule that it was trained with, and its autoencoder; None: it draws pixels."""

    unet: Any
    scheduler: Any
    vae: Any
    about: About

    @property
    def shape(self) -> tuple[int, int, int]:
        """What the UNet denoises: (C, h, w)."""
        side = int(self.unet.config.sample_size)
        return int(self.unet.config.in_channels), side, side

    def standardised(self, embeddings: Tensor) -> Tensor:
        """Embeddings (B, D) as the encoder gives them -> mean 0 and deviation 1 over the training faces."""
        mean, deviation = (torch.tensor(v, device=embeddings.device) for v in (self.about.mean, self.about.deviation))
        return (embeddings - mean) / deviation

    def predict(self, noisy: Tensor, t: Tensor, embeddings: Tensor) -> Tensor:
        """Noisy (B, C, h, w), times (B,), standardised embeddings (B, D) -> the network's prediction (B, C, h, w)."""
        return self.unet(noisy, t, None, added_cond_kwargs={"image_embeds": embeddings.to(noisy.device)}).sample

    def decode(self, x: Tensor) -> Tensor:
        """What the UNet draws (B, C, h, w) -> pixels (B, 3, H, W) in about [-1, 1]."""
        if self.vae is None:
            return x
        with torch.autocast(x.device.type, enabled=False):
            return self.vae.decode(x.float() / self.vae.config.scaling_factor).sample


def build(shape: Shape, width: int, vae: Any = None) -> Any:
    """A fresh `UNet2DConditionModel` for embeddings of `width` numbers, on latents of `vae` or on pixels."""
    from diffusers import UNet2DConditionModel

    channels, smaller = (int(vae.config.latent_channels), reduction(vae)) if vae else (3, 1)
    if shape.size % smaller:
        raise ConfigError(f"shape.size must be a multiple of {smaller} for this autoencoder, not {shape.size}")
    side = shape.size // smaller
    attends = [side >> level in shape.attention for level in range(len(shape.channels))]
    groups = next(n for n in (32, 16, 8, 4, 2, 1) if all(c % n == 0 for c in shape.channels))
    return UNet2DConditionModel(
        sample_size=side, in_channels=channels, out_channels=channels, block_out_channels=shape.channels,
        layers_per_block=shape.layers_per_block, norm_num_groups=groups, attention_head_dim=shape.head,
        down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
        cross_attention_dim=shape.width, encoder_hid_dim_type="image_proj", encoder_hid_dim=width,
        addition_embed_type="image",
    ).to(memory_format=torch.channels_last)  # fmt: skip


def take_over(unet: Any, start: str | Path) -> None:
    """Put the weights of a pipeline's UNet into `unet` where name and shape agree. `start`: a name or a folder.

    Raises `ConfigError` when hardly anything fits: the shapes are those of unlike networks.
    """
    from diffusers import UNet2DConditionModel

    theirs = UNet2DConditionModel.from_pretrained(locate(find(start)), subfolder="unet", torch_dtype=torch.float32)
    mine = unet.state_dict()
    fitting = {k: v for k, v in theirs.state_dict().items() if k in mine and mine[k].shape == v.shape}
    if sum(v.numel() for v in fitting.values()) < sum(v.numel() for v in mine.values()) / 2:
        c = theirs.config
        raise ConfigError(
            f"the UNet of {start} has another shape: channels {list(c.block_out_channels)}, layers_per_block "
            f"{c.layers_per_block}, width {c.cross_attention_dim}; set `shape` so, or leave --start out"
        )
    unet.load_state_dict(fitting, strict=False)


def reduction(vae: Any) -> int:
    """How many pixels of a side one latent stands for."""
    return int(2 ** (len(vae.config.get("decoder_block_out_channels") or vae.config.block_out_channels) - 1))


def noise_schedule(beta_schedule: str, prediction: str, zero_terminal_snr: bool) -> Any:
    """1,000 steps; `scaled_linear` has Stable Diffusion's ends, the others those of Ho et al. 2020."""
    from diffusers import DDPMScheduler

    own: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012} if beta_schedule == "scaled_linear" else {}
    if beta_schedule == "sigmoid":  # only DDPMScheduler knows it by name: the other solvers take the numbers
        own = {"trained_betas": DDPMScheduler(beta_schedule="sigmoid").betas.tolist()}
    return DDPMScheduler(
        beta_schedule=beta_schedule, prediction_type=prediction, rescale_betas_zero_snr=zero_terminal_snr,
        timestep_spacing="trailing", clip_sample=False, **own,
    )  # fmt: skip


def load_vae(source: str | Path) -> Any:
    """`mini`'s autoencoder, or the one in a folder or in the `vae/` of a pipeline's folder. Raises `ModelNotFound`."""
    import diffusers

    folder = ASSETS / "mini" if str(source) == MINI_VAE else Path(source).expanduser()
    folder = folder / "vae" if (folder / "vae").is_dir() else folder
    try:
        cls = json.loads((folder / "config.json").read_text(encoding="utf-8"))["_class_name"]
        vae = getattr(diffusers, cls).from_pretrained(folder, torch_dtype=torch.float32)
    except (OSError, ValueError, KeyError, AttributeError):
        raise ModelNotFound(f"no autoencoder in {folder}: give `mini`, or a folder of diffusers' format") from None
    return vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def save(model: FaceModel, target: Path) -> None:
    """unet/, scheduler/, vae/ and dino.json; fp16 weights under plain names that stock diffusers loads as fp32."""
    for name, part in (("unet", model.unet), ("vae", model.vae)):
        if part is not None:
            copy.deepcopy(part).half().save_pretrained(target / name)
            config = target / name / "config.json"
            facts = json.loads(config.read_text())
            facts.pop("_name_or_path", None)  # a folder of the machine that it was trained on
            write_json(config, facts)
    model.scheduler.save_pretrained(target / "scheduler")
    write_json(target / ABOUT, asdict(model.about))


def holds(path: str | Path) -> bool:
    """Whether a folder, or the run folder around it, holds a model that `save` wrote."""
    return any((Path(path).expanduser() / part / ABOUT).is_file() for part in ("", "final_model"))


def load(path: str | Path, device: Any = "cpu") -> FaceModel:
    """Raises `ModelNotFound` when the folder holds no such model, `UsageError` when its dino.json is damaged."""
    from diffusers import DDPMScheduler, UNet2DConditionModel

    given = Path(path).expanduser()
    path = given if (given / ABOUT).is_file() else given / "final_model"
    if not (path / ABOUT).is_file() or not (path / "unet" / "config.json").is_file():
        raise ModelNotFound(f"{given} holds no model of `likeness train dino`: no {ABOUT} beside unet/")
    try:
        about = About(**json.loads((path / ABOUT).read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise UsageError(f"{path / ABOUT} is damaged: copy the model again") from None
    unet = UNet2DConditionModel.from_pretrained(path, subfolder="unet", torch_dtype=torch.float32)
    unet = unet.to(device, memory_format=torch.channels_last).eval()
    vae = load_vae(path / "vae").to(device) if (path / "vae").is_dir() else None
    return FaceModel(unet, DDPMScheduler.from_pretrained(path, subfolder="scheduler"), vae, about)
