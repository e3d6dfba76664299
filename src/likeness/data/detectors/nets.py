"""The three networks of MTCNN (Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", fig. 2), in their usual order of layers, and their weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import UsageError

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "mtcnn" / "model.safetensors"


def _pool(size: int, same: bool = True) -> nn.MaxPool2d:
    # The weights come from networks whose "same" pooling pads at the right and the bottom only: that is ceil_mode.
    return nn.MaxPool2d(size, 2, ceil_mode=same)


class ProposalNet(nn.Module):
    """A window of 12 px moved in steps of 2 px: face or not, and how far its corners are off."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1, self.pool1 = nn.Conv2d(3, 10, 3), nn.PReLU(10), _pool(2)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.box, self.face = nn.Conv2d(32, 4, 1), nn.Conv2d(32, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.pool1(self.prelu1(self.conv1(x)))  # (B, 3, H, W) -> (B, 10, ~H/2, ~W/2)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.box(x), self.face(x).softmax(1)[:, 1]  # (B, 4, h, w), (B, h, w)


class RefineNet(nn.Module):
    """A candidate at 24 px: face or not, and how far its corners are off."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1, self.pool1 = nn.Conv2d(3, 28, 3), nn.PReLU(28), _pool(3)
        self.conv2, self.prelu2, self.pool2 = nn.Conv2d(28, 48, 3), nn.PReLU(48), _pool(3, same=False)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.fc4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.box, self.face = nn.Linear(128, 4), nn.Linear(128, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.pool1(self.prelu1(self.conv1(x)))  # (B, 3, 24, 24) -> (B, 28, 11, 11)
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.prelu4(self.fc4(self.prelu3(self.conv3(x)).flatten(1)))
        return self.box(x), self.face(x).softmax(1)[:, 1]  # (B, 4), (B,)


class OutputNet(nn.Module):
    """A candidate at 48 px: face or not, its corners, and five points as parts of its width and height."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1, self.pool1 = nn.Conv2d(3, 32, 3), nn.PReLU(32), _pool(3)
        self.conv2, self.prelu2, self.pool2 = nn.Conv2d(32, 64, 3), nn.PReLU(64), _pool(3, same=False)
        self.conv3, self.prelu3, self.pool3 = nn.Conv2d(64, 64, 3), nn.PReLU(64), _pool(2)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.fc5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.box, self.points, self.face = nn.Linear(256, 4), nn.Linear(256, 10), nn.Linear(256, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.pool1(self.prelu1(self.conv1(x)))  # (B, 3, 48, 48) -> (B, 32, 23, 23)
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.pool3(self.prelu3(self.conv3(x)))
        x = self.prelu5(self.fc5(self.prelu4(self.conv4(x)).flatten(1)))
        return self.box(x), self.points(x), self.face(x).softmax(1)[:, 1]  # (B, 4), (B, 10: five x, five y), (B,)


def load_nets(path: str | Path | None = None) -> tuple[ProposalNet, RefineNet, OutputNet]:
    """The three networks with their weights, ready to run. Raises `UsageError` for a file that does not hold them."""
    from safetensors.torch import load_file

    path = Path(path or WEIGHTS)
    try:
        tensors = load_file(path)
        with torch.device("meta"):
            nets = ProposalNet(), RefineNet(), OutputNet()
        for letter, net in zip("pro", nets, strict=True):
            own = {k[2:]: v for k, v in tensors.items() if k.startswith(f"{letter}.")}
            net.load_state_dict(own, assign=True)
            net.eval().requires_grad_(False)
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise UsageError(f"{path} does not hold the weights of MTCNN ({reason}). Reinstall likeness.") from None
    return nets
