"""What the denoiser is asked for, as pure functions on tensors: (B, ...) with one scalar a sample, (B,)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ConfigError

PREDICTIONS = ("epsilon", "v_prediction")


def expand(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.dtype).view(-1, *[1] * (like.ndim - 1))  # (B,) -> (B, 1, ...)


def noised(x: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """x_t = sqrt(a) x + sqrt(1 - a) e. Forward process: Ho et al. 2020, eq. 4."""
    a = expand(alpha_bar, x)
    return a.sqrt() * x + (1 - a).sqrt() * noise


def target(x: Tensor, noise: Tensor, alpha_bar: Tensor, prediction: str) -> Tensor:
    """The tensor that the network should predict: the noise, or v = sqrt(a) e - sqrt(1 - a) x."""
    if prediction == "epsilon":
        return noise
    a = expand(alpha_bar, x)
    return a.sqrt() * noise - (1 - a).sqrt() * x  # v: Salimans & Ho 2022, app. D


def snr(alpha_bar: Tensor) -> Tensor:
    return alpha_bar / (1 - alpha_bar)


def weight(alpha_bar: Tensor, prediction: str, min_snr: float | None = None) -> Tensor:
    """Loss weight of each timestep (B,): 1, or min-SNR-gamma (Hang et al. 2023, sec. 3.4).

    The paper weights the loss on x by min(SNR, g); divided by SNR for epsilon and by SNR + 1 for v.
    """
    if min_snr is None:
        return torch.ones_like(alpha_bar)
    ratio = snr(alpha_bar)
    clipped = ratio.clamp(max=min_snr)
    return clipped / (ratio if prediction == "epsilon" else ratio + 1)


def check(prediction: str, zero_terminal_snr: bool, min_snr: float | None) -> None:
    """Refuse combinations that train a step badly or not at all. Raises `ConfigError`."""
    if prediction not in PREDICTIONS:
        raise ConfigError(f"prediction must be one of {', '.join(PREDICTIONS)}, not {prediction!r}")
    if zero_terminal_snr and min_snr is not None:
        # Lin et al. 2023: with zero terminal SNR min(SNR, g) is 0 at the step that sampling starts from.
        raise ConfigError(
            "min_snr cannot go with zero_terminal_snr: the last timestep would have weight 0; leave one out"
        )
    if zero_terminal_snr and prediction == "epsilon":
        raise ConfigError(
            "zero_terminal_snr needs prediction=v_prediction: at SNR 0 the noise tells nothing about the image"
        )
