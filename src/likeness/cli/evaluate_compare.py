"""`likeness evaluate compare`: models, LoRAs, checkpoints or folders of pictures, held side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from . import output as out
from .evaluate_prompts import Batch, Device, Guidance, Precision, Seed, Set, Steps, captioner_settings

Base = Annotated[
    str | None, typer.Option(help="The model to compare with, with LoRAs or without: mini, sd15+LORA:0.8.")
]
Finetuned = Annotated[
    list[str] | None,
    typer.Option(help="What is compared: mini+LORA:0.8, or another model. Repeat for checkpoints."),
]
BaseDir = Annotated[Path | None, typer.Option(help="In place of models: a folder of the base's pictures.")]
FinetunedDir = Annotated[
    list[Path] | None, typer.Option(help="A folder of the other side's pictures, of the same names. Repeatable.")
]
Prompts = Annotated[
    str | None,
    typer.Option(
        help="Table (csv, jsonl, txt) with a column prompt; it may have seed, file_name, reference (a real picture); "
        "or `test`: the captions of the shipped test faces. Of folders: file_name and prompt."
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for faces, comparison.json and report.html.")]
Count = Annotated[int, typer.Option(min=1, help="Pictures of each prompt, under seeds that follow each other.")]
Limit = Annotated[int | None, typer.Option(min=1, help="The first so many prompts, or pictures of folders.")]
Judges = Annotated[
    list[str] | None,
    typer.Option("--judge", help="Who looks: judge, eye, clip-b32 ..., api or llava. Default: judge and eye."),
]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", help="Features: eye (offline), clip-*, dinov2-*, inception. Default: what is here."),
]
Trunk = Annotated[str, typer.Option("--lpips", help="Features of LPIPS: alex or vgg.")]
Weights = Annotated[list[str] | None, typer.Option(help="Weights of a network on this disk, as name=PATH.")]
Real = Annotated[Path | None, typer.Option(help="Real faces for set distances; default: the shipped test faces.")]
References = Annotated[
    Path | None, typer.Option(help="Of folders: real pictures of the same names, for LPIPS, SSIM and cosines.")
]
Train = Annotated[Path | None, typer.Option(help="Folder that the models were trained on: look for copies.")]
HeldOut = Annotated[
    Path | None, typer.Option(help="Real faces that were not trained on; default: the shipped test faces.")
]
Json = Annotated[bool, typer.Option("--json", help="Print what goes into comparison.json.")]


def compare(
    base: Base = None, finetuned: Finetuned = None, prompts: Prompts = None,
    output: Output = Path("runs/evaluate/compare"), base_dir: BaseDir = None, finetuned_dir: FinetunedDir = None,
    count: Count = 1, limit: Limit = None, seed: Seed = 0, steps: Steps = None, guidance: Guidance = None,
    judge: Judges = None, set_: Set = None, network: Networks = None, lpips: Trunk = "alex", weights: Weights = None,
    real: Real = None, references: References = None, train: Train = None, held_out: HeldOut = None,
    batch: Batch = None, device: Device = None, precision: Precision = None, json_: Json = False,
) -> None:  # fmt: skip
    """The same prompts from the same seeds by two models or more, or two folders of pictures: numbers and pictures.

    Writes comparison.json and report.html, one page with tables, intervals, pictures and protocol that needs nothing
    else. Faces that an earlier run drew in --output are taken.
    """
    models, folders = (base, finetuned), (base_dir, finetuned_dir)
    if any(models) == any(folders) or not (all(models) or all(folders)):
        raise UsageError("give --base MODEL and --finetuned MODEL, or --base-dir FOLDER and --finetuned-dir FOLDER")
    if all(models) and not prompts:
        raise UsageError("give --prompts a table with a column prompt, or `test` for the captions of the test faces")
    if references and all(models):
        raise UsageError("--references belongs to folders: name each prompt's picture in its table's column reference")

    from ..evaluate.compare import comparison, report
    from ..evaluate.networks.catalogue import parse_weights
    from ..evaluate.sets.statistics import default_cache
    from .evaluate import _stages

    settings = comparison.Settings(
        count, limit, seed, steps, guidance, tuple(judge or ("judge", "eye")), tuple(network or ()), lpips,
        parse_weights(weights or []), captioner_settings(set_), real, references, train, held_out, default_cache(),
        device, precision, batch,
    )  # fmt: skip
    with _stages() as stage:
        if base_dir and finetuned_dir:
            found = comparison.compare_folders(base_dir, finetuned_dir, output, prompts, settings, stage)
        else:
            found = comparison.compare_models(base or "", finetuned or [], prompts or "", output, settings, stage)
    report.write(found, output)
    out.as_json(found.to_dict()) if json_ else out.result(report.table(found))
    (out.remark if json_ else out.result)(f"report.html and comparison.json are in {output}.")


def register(app: typer.Typer) -> None:
    """Add the command to `likeness evaluate`."""
    app.command("compare")(compare)
