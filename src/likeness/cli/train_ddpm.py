"""`likeness train ddpm`: flags -> a preset's settings -> the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import config as configuration
from ..errors import ConfigError
from .training import execute

# flag -> setting; a flag that is not given leaves the preset's value
SETTINGS = {
    "data": "data", "output": "output", "start": "start", "split": "split", "attribute": "groups.attribute",
    "least": "groups.least", "size": "shape.size", "balance": "balance", "class_dropout": "class_dropout",
    "flip": "flip", "prediction": "prediction", "beta_schedule": "beta_schedule", "snr_gamma": "min_snr",
    "sample_epochs": "sample_epochs", "checkpoint_epochs": "checkpoint_epochs", "guidance": "preview_guidance",
    "batch": "loop.batch", "accumulation": "loop.accumulation", "epochs": "loop.epochs", "steps": "loop.steps",
    "images": "loop.images", "minutes": "loop.minutes", "learning_rate": "loop.learning_rate",
    "lr_scheduler": "loop.schedule", "lr_warmup": "loop.warmup", "optimizer": "loop.optimizer", "ema": "loop.ema",
    "keep": "loop.keep", "resume": "loop.resume", "seed": "loop.seed",
}  # fmt: skip
ENDS = ("images", "epochs", "steps")  # of a run; the one that is given replaces the preset's

Data = Annotated[
    Path,
    typer.Option("--train-data-dir", "--data", help="Prepared folder; with prefixes any folder of pictures will do."),
]
Output = Annotated[
    Path | None, typer.Option("--output-dir", "--output", help="Run folder. A run that is in it already goes on.")
]
Preset = Annotated[
    str | None,
    typer.Option("--preset", help="ddpm (64 px), ddpm/128, ddpm/256, ddpm/mugshots, ddpm/unconditional, or a file."),
]
Set = Annotated[list[str] | None, typer.Option("--set", help="Any setting, as key=value: shape.layers_per_block=1.")]
Start = Annotated[
    Path | None, typer.Option("--start", help="A model to go on from: pipeline/ or a checkpoint of another run.")
]
Split = Annotated[str | None, typer.Option("--split", help="Rows of this split; default train.")]
Attribute = Annotated[
    str | None, typer.Option("--attribute", help="Its values are the groups: ethnicity (the default), gender, age, …")
]
Group = Annotated[
    list[str] | None,
    typer.Option("--group", help="Only this value, under another name if one is given: Indian=Indians; repeatable."),
]
Prefix = Annotated[
    list[str] | None,
    typer.Option("--prefix", help="File names that begin so are a group: indian=Indians; repeatable."),
]
Unconditional = Annotated[bool, typer.Option("--unconditional", help="No groups: a model of any face.")]
Least = Annotated[int | None, typer.Option("--least", min=1, help="Groups of fewer pictures are left out; default 2.")]
Size = Annotated[int | None, typer.Option("--resolution", "--size", min=8, help="Pixels of a side; default 64.")]
Balance = Annotated[
    float | None, typer.Option("--balance", min=0, max=1, help="0: every face equally often; 1: every group.")
]
Silence = Annotated[
    float | None, typer.Option("--class-dropout", min=0, max=1, help="Share of pictures whose group is not told.")
]
Flip = Annotated[bool | None, typer.Option("--random-flip/--no-random-flip", help="Mirror every other picture.")]
Prediction = Annotated[str | None, typer.Option("--prediction-type", help="epsilon or v_prediction.")]
Betas = Annotated[
    str | None, typer.Option("--beta-schedule", help="linear, scaled_linear, squaredcos_cap_v2 or sigmoid.")
]
Snr = Annotated[float | None, typer.Option("--snr-gamma", help="Min-SNR weights (5 is usual).")]
Samples = Annotated[
    float | None, typer.Option("--save-images-epochs", min=0, help="Rounds between sheets of samples; 0: at no time.")
]
Saves = Annotated[float | None, typer.Option("--save-model-epochs", help="Rounds between checkpoints.")]
Guidance = Annotated[float | None, typer.Option("--guidance", help="Of the samples; 1 is none.")]
Batch = Annotated[
    int | None, typer.Option("--train-batch-size", "--batch", min=1, help="Pictures that are taken at once.")
]
Accumulation = Annotated[
    int | None, typer.Option("--gradient-accumulation-steps", "--accumulation", min=1, help="Batches in a step.")
]
Epochs = Annotated[
    float | None, typer.Option("--num-train-epochs", "--epochs", help="End of the run, in rounds through the data.")
]
Steps = Annotated[int | None, typer.Option("--max-train-steps", "--steps", min=1, help="End of the run, in steps.")]
Images = Annotated[int | None, typer.Option("--images", min=1, help="End of the run, in images seen.")]
Minutes = Annotated[
    float | None,
    typer.Option("--minutes", min=0.01, help="Stop this sitting after so many minutes, with a checkpoint."),
]
Rate = Annotated[float | None, typer.Option("--learning-rate", help="Of AdamW; default 5e-4.")]
Schedule = Annotated[
    str | None, typer.Option("--lr-scheduler", help="constant, constant_with_warmup, linear, cosine, polynomial, …")
]
Warmup = Annotated[int | None, typer.Option("--lr-warmup", min=0, help="Images in which the learning rate rises.")]
Optimizer = Annotated[str | None, typer.Option("--optimizer", help="adamw, adamw8bit, prodigy, adafactor or sgd.")]
Ema = Annotated[
    float | None, typer.Option("--ema-decay", min=0, max=1, help="Of the moving average that is saved; 0: none.")
]
Keep = Annotated[int | None, typer.Option("--checkpoints-total-limit", min=1, help="So many checkpoints are kept.")]
Resume = Annotated[
    str | None, typer.Option("--resume-from-checkpoint", help="latest (which is the default), or checkpoint-00012800.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Of everything that is drawn.")]
Precision = Annotated[
    str | None,
    typer.Option("--mixed-precision", "--precision", help="no (fp32), bf16 or fp16; default: bf16 where it is quick."),
]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1 or mps; default: the best there is.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the settings, groups, parameters, steps, memory and time, and end.")
]


def ddpm(
    data: Data, output: Output = None, preset: Preset = None, set_: Set = None, start: Start = None,
    split: Split = None, attribute: Attribute = None, group: Group = None, prefix: Prefix = None,
    unconditional: Unconditional = False, least: Least = None, size: Size = None, balance: Balance = None,
    class_dropout: Silence = None, flip: Flip = None, prediction: Prediction = None, beta_schedule: Betas = None,
    snr_gamma: Snr = None, sample_epochs: Samples = None, checkpoint_epochs: Saves = None, guidance: Guidance = None,
    batch: Batch = None, accumulation: Accumulation = None, epochs: Epochs = None, steps: Steps = None,
    images: Images = None, minutes: Minutes = None, learning_rate: Rate = None, lr_scheduler: Schedule = None,
    lr_warmup: Warmup = None, optimizer: Optimizer = None, ema: Ema = None, keep: Keep = None, resume: Resume = None,
    seed: Seed = None, precision: Precision = None, device: Device = None, dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Train a diffusion model of faces from scratch, by group or of any face.

    Prints the path of the model; `likeness mix groups` draws with it. Stopped or killed, the same command goes on.
    """
    found = resolve(preset, overrides(dict(locals())), set_ or [])
    execute("ddpm", found, device, precision, dry_run)


def overrides(flags: dict[str, Any]) -> dict[str, Any]:
    """Flags that were given -> settings, dotted. Raises `ConfigError` for two ways to say what a group is."""
    plain: dict[str, Any] = {k: str(v) if isinstance(v, Path) else v for k, v in flags.items() if v is not None}
    ways = {"--prefix": "prefix", "--attribute or --group": "attribute", "--unconditional": "unconditional"}
    said = [way for way, flag in ways.items() if plain.get(flag) or flag == "attribute" and plain.get("group")]
    if len(said) > 1:
        raise ConfigError(f"{' and '.join(said)}: each says what a group is; give one of them")
    found = {setting: plain[flag] for flag, setting in SETTINGS.items() if flag in plain}
    if "--prefix" in said:
        found["groups.prefixes"] = renamed(plain["prefix"])
    elif said:
        found |= {"groups.prefixes": {}, "groups.names": renamed(plain.get("group", []))}
    if plain.get("unconditional"):
        found["groups.attribute"] = None
    if any(end in plain for end in ENDS):
        found |= {f"loop.{end}": None for end in ("epochs", "steps") if end not in plain}
    return found


def renamed(texts: list[str]) -> dict[str, str]:
    """`["indian=Indians", "white"]` -> `{"indian": "Indians", "white": "white"}`."""
    parts = [text.partition("=") for text in texts]
    return {value.strip(): (name.strip() or value.strip()) for value, _, name in parts}


def resolve(preset: str | None, changes: dict[str, Any], pairs: list[str]) -> Any:
    """Preset, flags, pairs -> `DdpmConfig`."""
    from ..train.recipes.ddpm import DdpmConfig

    values = configuration.overlay(configuration.read_preset(preset or "ddpm"), changes | configuration.pairs(pairs))
    return configuration.build(DdpmConfig, values)
