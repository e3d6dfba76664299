"""A denoiser of groups: stock `UNet2DModel` and scheduler, with the groups' names beside them.

Classes 0 to G - 1 are the groups; class G stands for "any face" and is what guidance leads away from. A model without
groups is an unconditional one, which stock `DDPMPipeline` draws from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, ModelNotFound, UsageError
from ..files import write_json

GROUPS = "groups.json"
INDEX = "model_index.json"


@dataclass(frozen=True)
class Shape:
    """The sizes that a recipe may choose. `attention`: sides of the feature maps that attend to themselves.

    `norm_groups`: how many groups of channels are normalised (Wu & He 2018); None: up to 32 of four channels or more.
    """

    size: int = 64
    channels: tuple[int, ...] = (128, 256, 256, 512)
    layers_per_block: int = 2
    attention: tuple[int, ...] = (8,)
    head: int = 32
    norm_groups: int | None = None


@dataclass
class GroupModel:
    """A UNet, the noise schedule that it was trained with, and the names of its groups in the order of its classes."""

    unet: Any
    scheduler: Any
    groups: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return int(self.unet.config.sample_size)

    def weights(self, parts: dict[str, float]) -> Tensor:
        """Group name -> share, as a row (G,) that sums to 1; an empty mapping gives zeros: any face.

        Raises `UsageError` for a group that the model does not know, or shares that are no mixture.
        """
        from ..config import suggest

        row = torch.zeros(len(self.groups))
        known = {name.lower(): i for i, name in enumerate(self.groups)}
        for name, share in parts.items():
            if name.lower() not in known:
                raise UsageError(f"the model knows no group {name!r}{suggest(name, list(self.groups))}")
            row[known[name.lower()]] += share
        if parts and not (torch.isfinite(row).all() and (row >= 0).all() and row.sum() > 0):
            raise UsageError(f"shares must be 0 or more and not all 0, not {parts}")
        return row / row.sum() if parts else row

    def predict(self, noisy: Tensor, t: Tensor, weights: Tensor) -> Tensor:
        """Noisy pixels (B, 3, H, W), times (B,), shares (B, G) -> the network's prediction (B, 3, H, W).

        The class embedding is the mean of the groups' embeddings by their shares; a row of zeros takes that of "any
        face". It enters past the embedding table, so one pass draws a hybrid.
        """
        if not self.groups:
            return self.unet(noisy, t).sample
        table = self.unet.class_embedding
        any_face = (weights.sum(1, keepdim=True) == 0).to(weights.dtype)  # (B, 1)
        mixed = torch.cat([weights, any_face], 1).to(noisy.device) @ table.weight  # (B, G + 1) -> (B, E)
        self.unet.class_embedding = torch.nn.Identity()
        try:
            return self.unet(noisy, t, class_labels=mixed).sample
        finally:
            self.unet.class_embedding = table


def build(shape: Shape, groups: Sequence[str] = ()) -> Any:
    """A fresh `UNet2DModel`. Raises `ConfigError` for norms that do not divide every width."""
    from diffusers import UNet2DModel

    sides = [shape.size >> level for level in range(len(shape.channels))]
    attends = [side in shape.attention for side in sides]
    return UNet2DModel(
        sample_size=shape.size, block_out_channels=shape.channels, layers_per_block=shape.layers_per_block,
        down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
        norm_num_groups=_norm_groups(shape), attention_head_dim=shape.head,
        num_class_embeds=len(groups) + 1 if groups else None,
    ).to(memory_format=torch.channels_last)  # fmt: skip


def _norm_groups(shape: Shape) -> int:
    """Four channels or more in each: what time and group add to a channel is gone where it is normalised alone."""
    least = min(shape.channels)
    found = shape.norm_groups or next(
        n for n in (32, 16, 8, 4, 2, 1) if n == 1 or (least >= 4 * n and all(c % n == 0 for c in shape.channels))
    )
    if found < 1 or any(c % found for c in shape.channels):
        raise ConfigError(f"shape.norm_groups must divide every one of {list(shape.channels)}, not be {found}")
    return found


def noise_schedule(beta_schedule: str = "linear", prediction: str = "epsilon") -> Any:
    """1,000 steps as in Ho et al. 2020, or with cosine betas, `squaredcos_cap_v2` (Nichol & Dhariwal 2021)."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(num_train_timesteps=1000, beta_schedule=beta_schedule, prediction_type=prediction)


def save(model: GroupModel, target: Path, half: bool = False, about: dict[str, Any] | None = None) -> None:
    """A folder that stock `DDPMPipeline.from_pretrained` reads; weights as fp16 with `half`."""
    from diffusers import DDPMPipeline

    made = DDPMPipeline(unet=model.unet, scheduler=model.scheduler)
    if half:
        import copy

        made = DDPMPipeline(unet=copy.deepcopy(model.unet).half(), scheduler=model.scheduler)
    made.save_pretrained(target)
    write_json(target / GROUPS, {"groups": list(model.groups)} | (about or {}))


def load(path: str | Path, device: Any = "cpu") -> GroupModel:
    """Raises `ModelNotFound` when the folder holds no such model."""
    from diffusers import DDPMScheduler, UNet2DModel

    path = Path(path)
    if not (path / "unet" / "config.json").is_file():
        raise ModelNotFound(f"{path} holds no model of `likeness train ddpm`: it has no unet/config.json")
    file = path / GROUPS
    groups = json.loads(file.read_text(encoding="utf-8"))["groups"] if file.is_file() else []
    unet = UNet2DModel.from_pretrained(path, subfolder="unet", torch_dtype=torch.float32)
    unet = unet.to(device, memory_format=torch.channels_last).eval()
    return GroupModel(unet, DDPMScheduler.from_pretrained(path, subfolder="scheduler"), tuple(groups))
