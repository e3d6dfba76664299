"""`likeness train lora`: flags under the usual names of the field's scripts -> a preset's settings -> the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import config as configuration
from ..errors import ConfigError
from . import output as out
from .training import execute

# flag -> setting; a flag that is not given leaves the preset's value
SETTINGS = {
    "model": "model", "output": "output", "split": "split", "max_samples": "max_samples", "resolution": "resolution",
    "instance_prompt": "instance_prompt", "buckets": "buckets", "caption_dropout": "caption_dropout",
    "rank": "adapter.rank", "alpha": "adapter.alpha", "text_rank": "adapter.text_rank",
    "text_alpha": "adapter.text_alpha", "dropout": "adapter.dropout", "dora": "adapter.dora",
    "rslora": "adapter.rslora", "train_text_encoder": "adapter.text_encoder", "prediction": "prediction",
    "snr_gamma": "min_snr", "noise_offset": "noise_offset", "gradient_checkpointing": "gradient_checkpointing",
    "compile_": "compile", "cache_dir": "cache", "batch": "loop.batch", "accumulation": "loop.accumulation",
    "epochs": "loop.epochs", "steps": "loop.steps", "images": "loop.images", "minutes": "loop.minutes",
    "learning_rate": "loop.learning_rate", "text_encoder_lr": "text_learning_rate", "lr_scheduler": "loop.schedule",
    "lr_warmup_steps": "loop.warmup", "optimizer": "loop.optimizer", "weight_decay": "loop.weight_decay",
    "max_grad_norm": "loop.clip", "ema": "loop.ema", "num_validation_images": "validation_images",
    "checkpointing_steps": "loop.checkpoint_every", "checkpoints_total_limit": "loop.keep", "resume": "loop.resume",
    "seed": "loop.seed",
}  # fmt: skip
LISTS = {"validation_prompt": "validation_prompts", "where": "where", "unsaid": "unsaid"}
IN_STEPS = {"loop.warmup", "loop.checkpoint_every", "loop.validate_every"}
ENDS = ("images", "epochs", "steps")  # of a run; the one that is given replaces the preset's
FLIP = 0.5

Folders = Annotated[
    list[str] | None,
    typer.Option("--train-data-dir", "--data", help="Prepared folder, as path or path:weight; repeatable."),
]

Model = Annotated[
    str | None,
    typer.Option("--pretrained-model-name-or-path", "--model", help="A name, hub id, folder or single file."),
]
Preset = Annotated[
    str | None,
    typer.Option("--preset", help="lora/mini, lora/sd15-320, lora/diffyface, lora/realvisxl-320, …, or a YAML file."),
]
Output = Annotated[
    Path | None, typer.Option("--output-dir", "--output", help="Run folder. A run that is in it already goes on.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting, as key=value: crops_cached=4, loop.cooldown=0.2.")
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", help="Only faces of that attribute: glasses=eyeglasses, age=20-29; repeatable."),
]
Split = Annotated[str | None, typer.Option("--split", help="Rows of this split; default train.")]
Unsaid = Annotated[
    list[str] | None, typer.Option("--unsaid", help="A field that captions from attributes never name; repeatable.")
]
MaxSamples = Annotated[int | None, typer.Option("--max-train-samples", min=1, help="So many faces of each folder.")]
Prompt = Annotated[str | None, typer.Option("--instance-prompt", help="What is said of pictures that have no caption.")]
Resolution = Annotated[int | None, typer.Option("--resolution", min=8, help="Pixels of a side; default the model's.")]
Crop = Annotated[bool | None, typer.Option("--center-crop/--random-crop", help="Where a picture is not of that shape.")]
Flip = Annotated[
    bool | None,
    typer.Option("--random-flip/--no-random-flip", help="Mirror every other picture, and left and right in its words."),
]
Buckets = Annotated[
    bool | None,
    typer.Option("--aspect-buckets/--no-aspect-buckets", help="Batches of like shape instead of square crops."),
]
Batch = Annotated[int | None, typer.Option("--train-batch-size", min=1, help="Pictures that a process takes at once.")]
Accumulation = Annotated[int | None, typer.Option("--gradient-accumulation-steps", min=1, help="Batches in a step.")]
Epochs = Annotated[float | None, typer.Option("--num-train-epochs", help="End of the run, in rounds through the data.")]
Steps = Annotated[int | None, typer.Option("--max-train-steps", min=1, help="End of the run, in steps.")]
Images = Annotated[int | None, typer.Option("--images", min=1, help="End of the run, in images seen.")]
Minutes = Annotated[
    float | None,
    typer.Option("--minutes", min=0.01, help="Stop this sitting after so many minutes, with a checkpoint."),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate", help="Of the UNet's adapters, and of the text encoders' unless they have their own."
    ),
]
TextRate = Annotated[
    float | None, typer.Option("--text-encoder-lr", help="Learning rate of the text encoders' adapters.")
]
Schedule = Annotated[
    str | None, typer.Option("--lr-scheduler", help="constant, constant_with_warmup, linear, cosine, polynomial, …")
]
Warmup = Annotated[int | None, typer.Option("--lr-warmup-steps", min=0, help="Steps in which the learning rate rises.")]
Optimizer = Annotated[str | None, typer.Option("--optimizer", help="adamw, adamw8bit, prodigy, adafactor or sgd.")]
EightBit = Annotated[bool, typer.Option("--use-8bit-adam", help="The same as --optimizer adamw8bit.")]
Beta1 = Annotated[float | None, typer.Option("--adam-beta1", help="Memory of the gradient.")]
Beta2 = Annotated[float | None, typer.Option("--adam-beta2", help="Memory of its square.")]
Decay = Annotated[float | None, typer.Option("--adam-weight-decay", min=0, help="Weight decay.")]
Clip = Annotated[
    float | None, typer.Option("--max-grad-norm", min=0, help="Longer gradients are shortened to this; 0: never.")
]
Ema = Annotated[
    float | None,
    typer.Option("--ema-decay", min=0, max=1, help="Keep a moving average of the adapters, and save that; 0: none."),
]
Rank = Annotated[int | None, typer.Option("--rank", min=1, help="Rank of the adapters.")]
Alpha = Annotated[float | None, typer.Option("--lora-alpha", help="Their scale is alpha / rank; default the rank.")]
TextRank = Annotated[int | None, typer.Option("--text-encoder-rank", min=1, help="Rank in the text encoders.")]
TextAlpha = Annotated[float | None, typer.Option("--text-encoder-alpha", help="Alpha in the text encoders.")]
Targets = Annotated[
    str | None,
    typer.Option("--target-modules", help="attention, attention+ff, all-linear, conv, or endings: to_q,to_k."),
]
Dropout = Annotated[
    float | None, typer.Option("--lora-dropout", min=0, help="Share of the adapters' inputs that is left out.")
]
Dora = Annotated[bool | None, typer.Option("--use-dora/--no-use-dora", help="Weight-decomposed adapters (DoRA).")]
RsLora = Annotated[bool | None, typer.Option("--use-rslora/--no-use-rslora", help="Scale by alpha / sqrt(rank).")]
TrainText = Annotated[
    bool | None, typer.Option("--train-text-encoder/--no-train-text-encoder", help="Adapters in the text encoders too.")
]
Prediction = Annotated[
    str | None,
    typer.Option("--prediction-type", help="epsilon or v_prediction; default what the model's scheduler says."),
]
Snr = Annotated[float | None, typer.Option("--snr-gamma", help="Min-SNR weights (5 is usual).")]
Offset = Annotated[float | None, typer.Option("--noise-offset", help="Noise that is one number for a whole channel.")]
Silence = Annotated[
    float | None, typer.Option("--caption-dropout", min=0, max=1, help="Share of captions that are left empty.")
]
Prompts = Annotated[
    list[str] | None,
    typer.Option("--validation-prompt", help="Drawn on the way, into samples/ and TensorBoard; repeatable."),
]
Pictures = Annotated[
    int | None, typer.Option("--num-validation-images", min=1, help="Pictures of each validation prompt.")
]
ValidateEvery = Annotated[
    int | None,
    typer.Option("--validation-steps", min=1, help="Steps between measurements of the held-out loss, and pictures."),
]
CheckpointEvery = Annotated[int | None, typer.Option("--checkpointing-steps", min=1, help="Steps between checkpoints.")]
Keep = Annotated[int | None, typer.Option("--checkpoints-total-limit", min=1, help="So many checkpoints are kept.")]
Resume = Annotated[
    str | None, typer.Option("--resume-from-checkpoint", help="latest (which is the default), or checkpoint-00001200.")
]
Report = Annotated[str, typer.Option("--report-to", help="tensorboard: the run folder has its events.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Of everything that is drawn.")]
Precision = Annotated[
    str | None,
    typer.Option("--mixed-precision", "--precision", help="no (fp32), bf16 or fp16; default: bf16 where it is quick."),
]
Checkpointing = Annotated[
    bool | None,
    typer.Option("--gradient-checkpointing/--no-gradient-checkpointing", help="Less memory, a third more time."),
]
Compile = Annotated[
    bool | None, typer.Option("--compile/--no-compile", help="torch.compile of the UNet's repeated blocks.")
]
Cache = Annotated[
    Path | None,
    typer.Option("--cache-dir", help="Folder for latents and texts that runs share; default LIKENESS_CACHE."),
]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1 or mps; default: the best there is.")]
Prepare = Annotated[
    list[str] | None,
    typer.Option("--prepare-data", help="Prepare a source first, as name=path (ffhq=data/ffhq); repeatable."),
]
Merge = Annotated[bool, typer.Option("--merge-datasets", help="Merge what was prepared into one folder.")]
Skip = Annotated[bool, typer.Option("--skip-data-prep", help="Take what an earlier --prepare-data has left.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the settings, trainable parameters, steps, memory and time, and end.")
]


def lora(
    data: Folders = None, model: Model = None, preset: Preset = None, output: Output = None, set_: Set = None,
    where: Where = None, unsaid: Unsaid = None, split: Split = None, max_samples: MaxSamples = None,
    instance_prompt: Prompt = None, resolution: Resolution = None, center_crop: Crop = None, random_flip: Flip = None,
    buckets: Buckets = None, batch: Batch = None, accumulation: Accumulation = None, epochs: Epochs = None,
    steps: Steps = None, images: Images = None, minutes: Minutes = None, learning_rate: Rate = None,
    text_encoder_lr: TextRate = None, lr_scheduler: Schedule = None, lr_warmup_steps: Warmup = None,
    optimizer: Optimizer = None, use_8bit_adam: EightBit = False, adam_beta1: Beta1 = None, adam_beta2: Beta2 = None,
    weight_decay: Decay = None, max_grad_norm: Clip = None, ema: Ema = None, rank: Rank = None, alpha: Alpha = None,
    text_rank: TextRank = None, text_alpha: TextAlpha = None, target_modules: Targets = None, dropout: Dropout = None,
    dora: Dora = None, rslora: RsLora = None, train_text_encoder: TrainText = None, prediction: Prediction = None,
    snr_gamma: Snr = None, noise_offset: Offset = None, caption_dropout: Silence = None,
    validation_prompt: Prompts = None, num_validation_images: Pictures = None, validation_steps: ValidateEvery = None,
    checkpointing_steps: CheckpointEvery = None, checkpoints_total_limit: Keep = None, resume: Resume = None,
    report_to: Report = "tensorboard", seed: Seed = None, precision: Precision = None,
    gradient_checkpointing: Checkpointing = None, compile_: Compile = None, cache_dir: Cache = None,
    device: Device = None, prepare_data: Prepare = None, merge_datasets: Merge = False, skip_data_prep: Skip = False,
    dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Fine-tune a model by LoRA: mini, SD 1.5, SD 2.1, SDXL. Flags have the names that the field's scripts use.

    Prints the path of pytorch_lora_weights.safetensors; `likeness generate --lora RUN` draws with it. Stopped or
    killed, the same command goes on. Under `accelerate launch` several processes share each step.
    """
    flags = dict(locals())
    if report_to != "tensorboard":
        raise ConfigError(f"--report-to {report_to}: only tensorboard is there")
    changes, pairs = overrides(flags), set_ or []
    sources = [_source(text) for text in prepare_data or []]
    folders = [*(data or []), *prepared(sources, resolve(preset, changes | {"data": ""}, pairs).output, merge_datasets)]
    if not folders:
        raise ConfigError("no data: give --data FOLDER, or --prepare-data SOURCE=PATH")
    found = resolve(preset, changes | {"data": ",".join(folders)}, pairs)
    if sources and not skip_data_prep and not dry_run:
        prepare(sources, found, merge_datasets)
    execute("lora", found, device, precision, dry_run)


def overrides(flags: dict[str, Any]) -> dict[str, Any]:
    """Flags that were given -> settings, dotted."""
    plain = {k: str(v) if isinstance(v, Path) else v for k, v in flags.items() if v is not None}
    found = {setting: plain[flag] for flag, setting in SETTINGS.items() if flag in plain}
    if "center_crop" in plain:
        found["crop"] = "center" if plain["center_crop"] else "random"
    if "random_flip" in plain:
        found["flip"] = FLIP if plain["random_flip"] else 0.0
    if plain["use_8bit_adam"]:
        found["loop.optimizer"] = "adamw8bit"
    if "adam_beta1" in plain or "adam_beta2" in plain:
        found["loop.betas"] = [plain.get("adam_beta1", 0.9), plain.get("adam_beta2", 0.999)]
    if "target_modules" in plain:
        found["adapter.targets"] = plain["target_modules"].split(",")
    if "validation_steps" in plain:
        found |= {"loop.validate_every": plain["validation_steps"], "loop.preview_every": plain["validation_steps"]}
    found |= {setting: plain[flag] for flag, setting in LISTS.items() if flag in plain}
    if any(end in plain for end in ENDS):
        found |= {f"loop.{end}": None for end in ("epochs", "steps") if end not in plain}
    return found


def resolve(preset: str | None, changes: dict[str, Any], pairs: list[str]) -> Any:
    """Preset, flags, pairs -> `LoraConfig`. Raises `ConfigError` where flags count in steps and the preset does not."""
    from ..train.recipes.lora_config import LoraConfig

    values = configuration.overlay(configuration.read_preset(preset or "lora"), changes | configuration.pairs(pairs))
    found = configuration.build(LoraConfig, values)
    if found.loop.unit != "steps" and IN_STEPS & set(changes):
        raise ConfigError(f"{preset} counts in images, these flags in steps: put `unit: steps` into its loop")
    return found


def _source(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise ConfigError(f"--prepare-data {text!r}: write source=path, such as ffhq=data/ffhq")
    return name, path


def prepared(sources: list[tuple[str, str]], output: str, merge: bool) -> list[str]:
    """Where `prepare` leaves what is trained on: data/merged in the run folder, or a folder for each source."""
    folder = Path(output) / "data"
    return [str(folder / "merged")] if sources and merge else [str(folder / name) for name, _ in sources]


def prepare(sources: list[tuple[str, str]], config: Any, merge: bool) -> None:
    """Faces of each source at the run's size, merged if asked; what is done already stays as it is."""
    from ..data.merge import merge as merge_folders
    from ..data.prepare import Feed
    from ..data.prepare import prepare as prepare_source
    from ..data.recipe import PrepareConfig
    from ..models.registry import find
    from .progress import stages

    size = config.resolution or find(config.model).size
    recipe = configuration.build(PrepareConfig, {"crop": {"size": size}})
    folder = Path(config.output) / "data"
    with stages() as progress:
        for name, path in sources:
            report = prepare_source([Feed(name, path)], folder / name, recipe, progress=progress)
            out.remark(report.text())
        if merge:
            merge_folders([folder / name for name, _ in sources], folder / "merged", progress=progress)
