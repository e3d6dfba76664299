"""SSIM, the structural similarity of two pictures: a pure function, in the two ways that it is computed."""

from __future__ import annotations

import torch
from torch import Tensor

# window -> how it is named in a protocol
WINDOWS = {
    "uniform": "7x7 uniform window, sample variances (scikit-image's own)",
    "gaussian": "11x11 Gaussian window of deviation 1.5 (Wang et al. 2004)",
}
K1, K2 = 0.01, 0.03
SMALLEST = 11  # pixels of a side that both windows fit into


def ssim(a: Tensor, b: Tensor, window: str = "uniform", span: float = 255.0) -> Tensor:
    """Mean SSIM (B,) of pictures (B, C, H, W), in float64: 1 for equal ones, near 0 for unlike ones, at worst -1.

    SSIM = (2 m_a m_b + c1)(2 s_ab + c2) / ((m_a^2 + m_b^2 + c1)(s_a^2 + s_b^2 + c2)), c = (K span)^2, averaged over
    the places where the whole window lies inside, and over the channels: Wang, Bovik, Sheikh & Simoncelli 2004,
    eq. 13. Values go from 0 to `span`; moved to [-1, 1] they would give other numbers, since brightness is compared by
    ratios. Pictures of one colour each are compared by that alone. Raises `ValueError` for shapes that differ or are
    smaller than the window.
    """
    if a.shape != b.shape or a.ndim != 4 or min(a.shape[2:]) < SMALLEST:
        raise ValueError(f"SSIM needs two equal shapes (B, C, H, W) of {SMALLEST} px or more: {a.shape}, {b.shape}")
    a, b = a.double(), b.double()
    weights, unbias = _window(window)
    mean_a, mean_b = _filter(a, weights), _filter(b, weights)
    var_a = unbias * (_filter(a * a, weights) - mean_a**2)
    var_b = unbias * (_filter(b * b, weights) - mean_b**2)
    cov = unbias * (_filter(a * b, weights) - mean_a * mean_b)
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    above = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return (above / below).mean((1, 2, 3))  # (B, C, H', W') -> (B,)


def _window(name: str) -> tuple[Tensor, float]:
    """Weights along one side (n,), summing to 1, and the factor that makes a variance that of a sample."""
    if name == "uniform":
        return torch.full((7,), 1 / 7, dtype=torch.float64), 49 / 48
    if name != "gaussian":
        raise ValueError(f"no window {name!r}: {' or '.join(WINDOWS)}")
    x = torch.arange(-5, 6, dtype=torch.float64)
    weights = torch.exp(-(x**2) / (2 * 1.5**2))
    return weights / weights.sum(), 1.0


def _filter(x: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean around each place where the whole window lies inside, as two products with banded matrices."""
    down, across = (_band(weights, side).to(x.device) for side in x.shape[2:])
    return down.T @ x @ across  # (B, C, H, W) -> (B, C, H', W')


def _band(weights: Tensor, side: int) -> Tensor:
    """(side, side - n + 1): column i holds the n weights from row i on."""
    n = len(weights)
    band = torch.zeros(side, side - n + 1, dtype=torch.float64)
    for i in range(side - n + 1):
        band[i : i + n, i] = weights
    return band
