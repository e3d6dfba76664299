"""LPIPS, the learned perceptual distance of two pictures: AlexNet's or VGG-16's features under the published weights.

The linear weights (version 0.1, trained on human judgements) are shipped; the networks' own, from torchvision, are not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ...runtime import choose
from .weights import read_tensors

HEADS = Path(__file__).parents[2] / "assets" / "lpips" / "heads.safetensors"
# ImageNet's means and deviations, for pixels in [-1, 1]
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
EPSILON = 1e-10
SMALLEST = 32  # pixels of a side: below it AlexNet's pooling has nothing left


def _alexnet() -> nn.Sequential:
    """torchvision's `alexnet().features` up to its last activation (Krizhevsky 2014)."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(),
    )  # fmt: skip


def _vgg16() -> nn.Sequential:
    """torchvision's `vgg16().features` up to its last activation (Simonyan & Zisserman 2015)."""
    layers: list[nn.Module] = []
    width = 3
    for number, (convolutions, channels) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))):
        layers += [nn.MaxPool2d(2, 2)] if number else []
        for _ in range(convolutions):
            layers += [nn.Conv2d(width, channels, 3, 1, 1), nn.ReLU()]
            width = channels
    return nn.Sequential(*layers)


# network -> how it is built, and the places of the five activations that are compared
TRUNKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "alex": (_alexnet, (1, 4, 7, 9, 11)),
    "vgg": (_vgg16, (3, 8, 15, 22, 29)),
}
NAMES = {"alex": "AlexNet", "vgg": "VGG-16"}


class Lpips(nn.Module):
    """d(a, b) = sum over layers of the mean over places of w . (u_a - u_b)^2, u: the layer's features at unit length.

    Zhang, Isola, Efros, Shechtman & Wang 2018, eq. 1, as the authors' code of version 0.1 computes it.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: str = "alex") -> None:
        super().__init__()
        build, self.taps = TRUNKS[net]
        self.net, self.features, self.published = net, build(), False
        widths = [self.features[tap - 1].out_channels for tap in self.taps]
        self.heads = nn.ParameterList([nn.Parameter(torch.zeros(width)) for width in widths])
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None], persistent=False)

    @property
    def told(self) -> str:
        """A clause for a protocol."""
        whose = "published weights" if self.published else "GIVEN weights, not known to be the published ones"
        return f"LPIPS 0.1 in {NAMES[self.net]} features ({whose})"

    @torch.inference_mode()
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (B,) between pixels (B, 3, H, W) in [-1, 1]; 0 for equal ones, float32 on the CPU."""
        if a.shape != b.shape or a.ndim != 4 or min(a.shape[2:]) < SMALLEST:
            raise ValueError(
                f"LPIPS needs two equal shapes (B, 3, H, W) of {SMALLEST} px or more: {a.shape}, {b.shape}"
            )
        x = (torch.cat([a, b]).to(self.shift) - self.shift) / self.scale  # (2B, 3, H, W)
        total = torch.zeros(len(a), device=x.device)
        heads = dict(zip(self.taps, self.heads, strict=True))
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in heads:
                one, other = (x / (x.norm(dim=1, keepdim=True) + EPSILON)).chunk(2)
                total += torch.einsum("bchw,c->bhw", (one - other) ** 2, heads[place]).mean((1, 2))
        return total.cpu()


def load(net: str, trunk: str | Path, device: str | None = None, published: bool = False) -> Lpips:
    """The metric with torchvision's weights from the file `trunk` (.pth or .safetensors) and the shipped linear ones.

    `published`: whether the file is known to be torchvision's own. Raises `UsageError` for a file of something else.
    """
    metric = Lpips(net)
    state, published_heads = read_tensors(trunk), read_tensors(HEADS)
    try:
        metric.features.load_state_dict({name: state[f"features.{name}"] for name in metric.features.state_dict()})
    except (KeyError, RuntimeError):
        raise UsageError(f"{trunk} does not hold torchvision's {NAMES[net]}: fetch it again") from None
    for number, head in enumerate(metric.heads):
        head.data = published_heads[f"{net}.{number}"]
    metric.published = published
    return metric.eval().requires_grad_(False).to(choose(device).device)
