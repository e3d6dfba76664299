"""Frozen image encoders: a face as one row of numbers. DINOv2 by name or folder, or `eye`, offline."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ModelNotFound
from ..runtime import Runtime
from . import eye
from .registry import MODELS, fingerprint, locate

# ImageNet's, by which DINOv2 was trained (Oquab et al. 2023), where a folder does not say its own
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SETTINGS = "preprocessor_config.json"


@dataclass(frozen=True)
class Encoder:
    """`network` turns prepared pixels into tokens (B, 1 + P, W), the first of which stands for the whole picture.

    `name` finds the encoder again; `revision` is the hash of its weights; `license` is that of what it was trained on.
    """

    name: str
    revision: str
    license: str
    network: Callable[[Tensor], Tensor]
    size: int
    width: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    runtime: Runtime

    @torch.inference_mode()
    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) in [-1, 1] -> embeddings (B, width), float32: first token beside the mean of the others.

        Frozen features of DINOv2 are read so (Oquab et al. 2023, sec. 7.1). Pixels of another size are resized.
        """
        pixels = pixels.to(self.runtime.device)
        if pixels.shape[-1] != self.size:
            pixels = F.interpolate(pixels, (self.size, self.size), mode="bicubic", antialias=True, align_corners=False)
        mean, deviation = (torch.tensor(v, device=pixels.device).view(-1, 1, 1) for v in (self.mean, self.deviation))
        with self.runtime.autocast():
            tokens = self.network(((pixels.clamp(-1, 1) + 1) / 2 - mean) / deviation).float()
        return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)  # (B, 1 + P, W) -> (B, 2 W)


def load(name: str, runtime: Runtime) -> Encoder:
    """The encoder of a name (`eye`, `dinov2-small`, a hub id of the registry) or in a folder of one of the two kinds.

    Raises `ModelNotFound` when it is not there, or the folder holds something else.
    """
    known = next((spec for spec in MODELS.values() if name == spec.name or name in spec.hub_ids), None)
    if name == "eye":
        folder, license_ = eye.ASSET, "Apache-2.0"
    elif known is not None and known.family == "dinov2":
        folder, license_ = locate(known), known.license
    else:
        folder, license_ = Path(name).expanduser(), "that of the folder"
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
        return KINDS[kind](name, folder, license_, runtime)
    except (OSError, ValueError, KeyError):
        raise ModelNotFound(
            f"no image encoder {name}: choose eye, dinov2-small, dinov2-base, dinov2-large, or a folder of one of them"
        ) from None


def _eye(name: str, folder: Path, license_: str, runtime: Runtime) -> Encoder:
    """The tower before its projection: of the 128 numbers of the joint space only words were ever asked."""
    model = eye.Eye.load(folder, runtime).model.requires_grad_(False)
    vision = model.vision_model
    norm = vision.post_layernorm

    def network(pixels: Tensor) -> Tensor:
        return norm(vision(pixel_values=pixels).last_hidden_state)

    sizes = model.config.vision_config
    half = (0.5, 0.5, 0.5)  # its pixels are in [-1, 1]
    width = 2 * sizes.hidden_size
    return Encoder(name, fingerprint(folder), license_, network, sizes.image_size, width, half, half, runtime)


def _dinov2(name: str, folder: Path, license_: str, runtime: Runtime) -> Encoder:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, dtype=torch.float32).to(runtime.device).eval().requires_grad_(False)
    said: dict[str, Any] = json.loads((folder / SETTINGS).read_text()) if (folder / SETTINGS).is_file() else {}
    size = int((said.get("crop_size") or {}).get("height", 224))
    mean, deviation = tuple(said.get("image_mean", MEAN)), tuple(said.get("image_std", DEVIATION))

    def network(pixels: Tensor) -> Tensor:
        return model(pixel_values=pixels).last_hidden_state

    width = 2 * model.config.hidden_size
    return Encoder(name, fingerprint(folder), license_, network, size, width, mean, deviation, runtime)


# what config.json calls the network -> how it is loaded
KINDS: dict[str, Callable[[str, Path, str, Runtime], Encoder]] = {"clip": _eye, "dinov2": _dinov2}
