"""SSIM against scikit-image, and against what it must be."""

from __future__ import annotations

import pytest
import torch
from skimage.metrics import structural_similarity

from likeness.evaluate.formulas.ssim import SMALLEST, WINDOWS, ssim

# how scikit-image is asked for the same window
SKIMAGE = {
    "uniform": {},
    "gaussian": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
}


def noisy(seed: int, amount: float, shape: tuple[int, ...] = (3, 3, 40, 57)) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    a = torch.nn.functional.interpolate(torch.rand((*shape[:2], 8, 8), generator=random), shape[2:], mode="bilinear")
    return a * 255, (a * 255 + amount * torch.randn(shape, generator=random)).clamp(0, 255)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("amount", [2.0, 60.0])
def test_it_is_scikit_images(window, amount):
    a, b = noisy(0, amount)
    found = ssim(a, b, window, span=255)
    for i in range(len(a)):
        arrays = (x[i].permute(1, 2, 0).double().numpy() for x in (a, b))
        wanted = structural_similarity(*arrays, channel_axis=2, data_range=255, **SKIMAGE[window])
        assert float(found[i]) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("window", WINDOWS)
def test_known_values(window):
    a, b = noisy(1, 30.0)
    assert ssim(a, a, window, 255).tolist() == pytest.approx([1.0] * 3, abs=1e-12)
    assert torch.allclose(ssim(a, b, window, 255), ssim(b, a, window, 255))  # symmetric
    assert torch.allclose(ssim(a, b, window, 255), ssim(a / 255, b / 255, window, 1.0), atol=1e-6)  # whatever the unit
    flat = [torch.full((1, 3, 16, 16), value) for value in (51.0, 153.0)]
    c1 = (0.01 * 255) ** 2  # with no structure, what is left is the comparison of brightness
    assert float(ssim(*flat, window)) == pytest.approx((2 * 51 * 153 + c1) / (51**2 + 153**2 + c1), abs=1e-6)
    worse = [float(ssim(*noisy(2, amount), window, 255).mean()) for amount in (5, 20, 60)]
    assert worse == sorted(worse, reverse=True)


def test_shapes_that_cannot_be_compared():
    a = torch.zeros(1, 3, 16, 16)
    for b in (torch.zeros(1, 3, 16, 17), torch.zeros(3, 16, 16)):
        with pytest.raises(ValueError, match="equal shapes"):
            ssim(a, b)
    with pytest.raises(ValueError, match=f"{SMALLEST} px"):
        ssim(a[..., : SMALLEST - 1], a[..., : SMALLEST - 1])
    with pytest.raises(ValueError, match="uniform or gaussian"):
        ssim(a, a, "triangle")
