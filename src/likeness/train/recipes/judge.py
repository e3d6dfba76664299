"""`judge`: attribute heads trained on labels with cross-entropy; what is not labelled costs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.labels import read_faces
from ...files import atomic_path, write_text
from ...models import judge
from ...records import Attributes, FaceRecord
from ...runs import RunFolder
from ...runtime import Runtime
from ..augment import Pictures, jittered
from ..captions import rarity
from ..loop import LoopConfig, averaged, train
from ..sampler import Sampler, sample_seed

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class JudgeConfig:
    """`likeness train judge`. Its seed differs from `eye`'s on purpose."""

    data: str
    output: str = "runs/judge"
    split: str | None = "train"
    widths: tuple[int, ...] = (32, 64, 128, 256)
    smoothing: float = 0.05
    loop: LoopConfig = field(default_factory=LoopConfig)


def classes(person: Attributes) -> list[int]:
    """Class number by head, -1 where nothing is said or several things are."""
    found = []
    for name, values in judge.HEADS.items():
        value = str(person.age) if name == "age" else getattr(person, name)
        value = value[0] if isinstance(value, tuple) and len(value) == 1 else value
        found.append(values.index(value) if value in values else -1)
    return found


class JudgeRecipe:
    def __init__(self, config: JudgeConfig, records: list[FaceRecord], pictures: Pictures, net: judge.JudgeNet) -> None:
        self.config, self.records, self.pictures, self.net = config, records, pictures, net
        self.modules: dict[str, nn.Module] = {"judge": net}
        people = [r.attributes for r in records if r.attributes]
        self.labels = torch.tensor([classes(p) for p in people])  # (N, heads)
        self.sampler = Sampler(len(records), config.loop.batch, config.loop.seed, rarity(people))

    def names(self, step: int) -> list[str]:
        return [self.records[i].file_name for i in self.sampler.indices(step)]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        indices = self.sampler.indices(step)
        seeds = [sample_seed(self.config.loop.seed, p) for p in self.sampler.positions(step)]
        return jittered(self.pictures[indices], seeds), self.labels[indices]

    def loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        device = next(self.net.parameters()).device
        pixels, labels = batch[0].to(device, memory_format=torch.channels_last), batch[1].to(device)
        total = torch.zeros(len(pixels), device=device)
        for column, logits in enumerate(self.net(pixels, generator).values()):
            total = total + F.cross_entropy(
                logits.float(),
                labels[:, column],
                ignore_index=-1,
                reduction="none",
                label_smoothing=self.config.smoothing,
            )
        return total  # (B,)


def run(config: JudgeConfig, runtime: Runtime, progress: Progress = lambda stage, done, total: None) -> Path:
    """Train, or go on training, in `config.output`; write the averaged network to `<output>/judge`."""
    records = [r for r in read_faces(config.data, config.split) if r.attributes]
    folder = RunFolder(config.output)
    folder.write_config(config, images=len(records), device=str(runtime.device), precision=runtime.precision)
    pictures = Pictures([Path(config.data) / r.file_name for r in records], judge.SIZE, progress)
    torch.manual_seed(config.loop.seed)
    net = judge.JudgeNet(config.widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipe = JudgeRecipe(config, records, pictures, net)
    total = config.loop.images
    state = train(recipe, config.loop, folder, runtime, [lambda s: progress("judge", s.images, total)])
    with averaged(recipe.modules, state.ema):
        target = save(recipe.net, config, folder.path / "judge")
    folder.close()
    return target


def save(net: judge.JudgeNet, config: JudgeConfig, target: Path) -> Path:
    from safetensors.torch import save_file

    tensors = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in net.state_dict().items()}
    with atomic_path(target / "model.safetensors") as temporary:
        save_file(tensors, temporary)
    write_text(
        target / "config.json", json.dumps({"widths": list(config.widths), "heads": judge.HEADS}, indent=2) + "\n"
    )
    return target
