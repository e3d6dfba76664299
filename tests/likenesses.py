"""A tiny model of `likeness train dino` with random weights: true class structure, encoder and autoencoder."""

from __future__ import annotations

from pathlib import Path

import torch

from likeness.models import dino, encoders
from likeness.runtime import Runtime

CPU = Runtime(torch.device("cpu"))
SHAPE = dino.Shape(size=32, channels=(16, 32), attention=(2,), width=16)


def build(seed: int = 0, pixels: bool = False, **schedule: object) -> dino.FaceModel:
    """On latents of `mini`'s autoencoder, or on pixels; embeddings of `eye` count as standardised."""
    encoder = encoders.load("eye", CPU)
    vae = None if pixels else dino.load_vae("mini")
    torch.manual_seed(seed)
    unet = dino.build(SHAPE, encoder.width, vae).eval()
    settings = {"beta_schedule": "scaled_linear", "prediction": "v_prediction", "zero_terminal_snr": True} | schedule
    zeros, ones = [0.0] * encoder.width, [1.0] * encoder.width
    about = dino.About(encoder.name, encoder.revision, encoder.license, SHAPE.size, zeros, ones)
    return dino.FaceModel(unet, dino.noise_schedule(**settings), vae, about)


def saved(folder: Path) -> Path:
    dino.save(build(), folder)
    return folder
