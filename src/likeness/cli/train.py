"""`likeness train lora | mini | ddpm | eye | judge | autoencoder`."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import config as configuration
from .train_ddpm import ddpm
from .train_lora import lora
from .training import machine

# What can be trained: the dataclass of its settings, and where its recipe is.
RECIPES = {
    "lora": ("LoraConfig", "adapters of a model that exists: mini, SD 1.5, SD 2.1, SDXL"),
    "mini": ("MiniConfig", "the text-to-face model: tokenizer, autoencoder, text encoder and UNet"),
    "ddpm": ("DdpmConfig", "a diffusion model of faces from scratch, by group or of any face"),
    "dino": ("DinoConfig", "a diffusion model that draws variations of a face from its embedding"),
    "eye": ("EyeConfig", "the small CLIP that gives scores and features offline"),
    "judge": ("JudgeConfig", "the attribute classifier that published scores are made with"),
    "autoencoder": ("AutoencoderConfig", "mini's autoencoder alone, from scratch or going on from one"),
}

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Train a model, or go on training: the newest checkpoint in --output is taken up.",
)

Data = Annotated[Path, typer.Option(help="Folder with labels.jsonl or metadata.jsonl and its pictures.")]
Output = Annotated[Path | None, typer.Option(help="Run folder; default runs/<recipe>.")]
Minutes = Annotated[
    float | None, typer.Option(help="Stop this sitting after so many minutes, with a checkpoint.", min=0.01)
]
Images = Annotated[
    int | None, typer.Option(help="End of the run, in images seen; the learning rate falls towards it.", min=1)
]
Start = Annotated[Path | None, typer.Option(help="Pipeline folder whose weights to start from.")]
Preset = Annotated[str | None, typer.Option(help="A shipped preset such as smoke/mini, or a YAML file.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting, as key=value; loop.batch=16 for the loop's.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps; default: the best there is.")]
Precision = Annotated[
    str | None, typer.Option(help="fp32, bf16 or fp16; default: bf16 where the hardware is quick at it.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved settings and end.")]


def _command(recipe: str) -> Callable[..., None]:
    """What most recipes need of a command line."""

    def command(
        data: Data, output: Output = None, minutes: Minutes = None, images: Images = None, start: Start = None,
        preset: Preset = None, set_: Set = None, device: Device = None, precision: Precision = None,
        dry_run: DryRun = False,
    ) -> None:  # fmt: skip
        flags = {"data": str(data), "output": output and str(output), "start": start and str(start)}
        resolved = resolve(recipe, preset, flags, {"minutes": minutes, "images": images}, set_ or [])
        if dry_run:
            typer.echo(json.dumps(dataclasses.asdict(resolved), indent=2))
            return
        _run(recipe, resolved, device, precision)

    return command


def resolve(recipe: str, preset: str | None, flags: dict[str, Any], loop: dict[str, Any], pairs: list[str]) -> Any:
    """Preset, then flags, then key=value pairs -> the recipe's frozen configuration."""
    cls = getattr(importlib.import_module(f"likeness.train.recipes.{recipe}"), RECIPES[recipe][0])
    values = configuration.read_preset(preset or recipe)
    given = {k: v for k, v in flags.items() if v is not None}
    inner = {f"loop.{k}": v for k, v in loop.items() if v is not None}
    return configuration.build(cls, configuration.overlay(values, given | inner | configuration.pairs(pairs)))


def _run(recipe: str, config: Any, device: str | None, precision: str | None) -> None:
    from ..models.stable_diffusion import quiet
    from .progress import stages

    module = importlib.import_module(f"likeness.train.recipes.{recipe}")
    with quiet(), stages() as progress:
        result = module.run(config, machine(recipe, device, precision), progress)
    typer.echo(f"{result[0] if isinstance(result, tuple) else result}")


# --train_batch_size is read as --train-batch-size: the field's scripts write it so
_UNDERSCORES = {"token_normalize_func": lambda token: token.replace("_", "-")}
_OWN: dict[str, Callable[..., None]] = {"lora": lora, "ddpm": ddpm}
for _name, (_cls, _help) in RECIPES.items():
    app.command(_name, help=f"Train {_help}.", context_settings=_UNDERSCORES)(_OWN.get(_name) or _command(_name))
