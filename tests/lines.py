"""A small recipe for tests of the loop, and a program that trains it: two modules with adapters on frozen weights.

python lines.py OUTPUT '{"images": 64, ...}' [key=value ...]   # settings of the loop; of the recipe
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from likeness import config as configuration
from likeness import runtime
from likeness.runs import RunFolder
from likeness.train.hooks import State, validation
from likeness.train.loop import LoopConfig, train
from likeness.train.sampler import Sampler, noise_for, times_for

CPU = runtime.Runtime(torch.device("cpu"))
CONFIG = LoopConfig(
    images=96, batch=4, accumulation=2, learning_rate=0.01, warmup=16, log_every=8, checkpoint_every=32, ema=0.9
)


class Adapted(nn.Module):
    """A frozen layer and a low-rank path beside it, as a LoRA is made."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.base = nn.Linear(width, width).requires_grad_(False)
        self.down, self.up = nn.Linear(width, 2, bias=False), nn.Linear(2, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.up(self.down(self.dropout(x)))


class Lines:
    """Learns x -> 3x from noised x; what is drawn for a sample is a function of its position alone."""

    parallel = True

    def __init__(self, plan: LoopConfig, where=CPU, dropout=0.0, poison=None, width=8, weight=1) -> None:
        torch.manual_seed(0)
        self.unet, self.text_encoder = Adapted(width, dropout), Adapted(width, dropout)
        self.modules: dict[str, nn.Module] = {"unet": self.unet, "text_encoder": self.text_encoder}
        self.plan, self.poison, self.width, self.weight, self.where = plan, poison, width, weight, where
        self.sampler = Sampler(40, plan.batch, plan.seed, rank=where.rank, world=where.world)

    def names(self, step):
        return [f"{i}.png" for i in self.sampler.indices(step)]

    def batch(self, step):
        positions = self.sampler.positions(step)
        x = torch.tensor(self.sampler.indices(step)).float()[:, None].repeat(1, self.width) / 40
        x[step == self.poison] = float("nan")
        ballast = torch.ones(self.weight)  # memory that a batch takes
        scale = 0.01 * times_for(self.plan.seed, positions, 10)[:, None] * ballast[0]
        return x, x + scale * noise_for(self.plan.seed, positions, (self.width,))

    def loss(self, batch, generator):
        x, noisy = (t.to(self.where.device) for t in batch)
        return (self.text_encoder(self.unet(noisy)).float() - 3 * x).square().mean(1)

    def validate(self):
        x = torch.linspace(0, 1, 8)[:, None].repeat(1, self.width)
        return {"validation_loss": float(self.loss((x, x + 0.1 * noise_for(0, range(8), (self.width,))), None).mean())}

    def export(self, folder: Path):
        (folder / "adapter.json").write_text(json.dumps(float(self.unet.up.weight.detach().sum())))


def main(output: str, settings: str, *options: str) -> None:
    """`die=IMAGES` kills the process there; `stop=IMAGES` sends it SIGTERM."""
    from likeness.cli.main import report

    chosen = configuration.pairs(list(options))
    deaths = {chosen.pop(k): s for k, s in (("die", signal.SIGKILL), ("stop", signal.SIGTERM)) if k in chosen}

    def fate(state: State) -> None:
        if state.images in deaths and where.rank == where.world - 1:  # one of them
            os.kill(os.getpid(), deaths[state.images])

    torch.set_num_threads(1)
    try:
        where = runtime.join(runtime.choose("cpu"))
        plan = configuration.build(LoopConfig, configuration.overlay(vars(CONFIG), json.loads(settings)))
        plan = plan.settled(40, where.world)
        recipe, run = Lines(plan, where, **chosen), RunFolder(output, writes=where.main)
        state = train(recipe, plan, run, where, [validation(recipe, run, where, plan.validate_every), fate])
        run.close()
    except Exception as error:
        sys.exit(report(error))
    if where.main:
        print(state.images, state.stopping)


if __name__ == "__main__":
    main(*sys.argv[1:])
