"""`judge`: attribute heads on a small convolutional network. It enters no loss; the scores that we publish are its.

Its architecture (a residual network), seed and labels-as-classes objective differ from `eye`'s, so that a model tuned
to please one does not please the other for free. Residual blocks: He et al. 2016.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ModelNotFound
from ..records import ETHNICITIES, FIELDS

ASSET = Path(__file__).parent.parent / "assets" / "judge"
AGES = ("20-29", "30-39", "40-49", "50-59", "60-69", "70+")
HEADS: dict[str, tuple[str, ...]] = {
    "gender": FIELDS["gender"].values,
    "age": AGES,
    "ethnicity": ETHNICITIES,
    "glasses": FIELDS["glasses"].values,
    "headwear": FIELDS["headwear"].values,
    "hair_color": tuple(v for v in FIELDS["hair_color"].values if v != "brown"),
    "hair_length": FIELDS["hair_length"].values,
    "hair_texture": FIELDS["hair_texture"].values,
    "facial_hair": tuple(v for v in FIELDS["facial_hair"].values if v != "sideburns"),
    "expression": ("neutral", "smiling", "laughing", "sad", "angry", "surprised"),
    "mouth": FIELDS["mouth"].values,
    "makeup": FIELDS["makeup"].values,
}
SIZE = 128


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut; the first may halve the picture."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(),
            nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer),
        )  # fmt: skip
        self.shortcut = (
            nn.Identity() if stride == 1 and inner == outer else nn.Conv2d(inner, outer, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class JudgeNet(nn.Module):
    """(B, 3, 128, 128) in [-1, 1] -> logits by head."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 256), dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU())
        pairs = list(zip((widths[0], *widths), widths, strict=False))
        self.blocks = nn.Sequential(*(block for a, b in pairs for block in (Block(a, b, 2), Block(b, b, 1))))
        self.dropout = dropout
        self.heads = nn.ModuleDict({name: nn.Linear(widths[-1], len(values)) for name, values in HEADS.items()})

    def features(self, pixels: Tensor) -> Tensor:
        return self.blocks(self.stem(pixels)).mean((2, 3))  # (B, 3, H, W) -> (B, 256)

    def forward(self, pixels: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        found = self.features(pixels)
        if self.training and generator is not None:  # a dropout that a seed repeats
            keep = torch.rand(found.shape, generator=generator).to(found.device) >= self.dropout
            found = found * keep / (1 - self.dropout)
        return {name: head(found) for name, head in self.heads.items()}


class Judge:
    """The trained network. `predict` gives probabilities (B, classes) for each head of `HEADS`."""

    def __init__(self, net: JudgeNet) -> None:
        self.net = net.eval()

    @classmethod
    def load(cls, path: str | Path | None = None) -> Judge:
        from safetensors.torch import load_file

        path = Path(path or ASSET)
        if not (path / "model.safetensors").exists():
            raise ModelNotFound(f"no judge in {path}: train one with `likeness train judge --data DIR`")
        net = JudgeNet(tuple(json.loads((path / "config.json").read_text())["widths"]))
        net.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in load_file(path / "model.safetensors").items()}
        )
        return cls(net)

    @torch.inference_mode()
    def predict(self, pixels: Tensor) -> dict[str, Tensor]:
        return {name: logits.softmax(-1) for name, logits in self.net(pixels).items()}
