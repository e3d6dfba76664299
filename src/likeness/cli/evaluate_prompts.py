"""`likeness evaluate prompts`: does a face show what was asked for, attribute by attribute?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import output as out

Model = Annotated[str, typer.Argument(help="A model's name, folder or hub id.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder; default runs/evaluate/<model>/<command>.")]
Judges = Annotated[
    list[str] | None,
    typer.Option("--judge", help="Who looks: judge, eye, clip-b32, clip-l14 ..., api or llava. Repeat for several."),
]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting of the captioner, as key=value.")]
Weights = Annotated[list[str] | None, typer.Option(help="Weights of a network on this disk, as name=PATH.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Denoising steps; default: the model's own.")]
Guidance = Annotated[float | None, typer.Option(help="Guidance; default: the model's own.")]
Seed = Annotated[int, typer.Option(min=0, help="Face i of every prompt starts from the noise of seed + i.")]
Batch = Annotated[int | None, typer.Option("--batch-size", min=1, help="Faces drawn at once; default: the model's.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps; default: the best there is.")]
Precision = Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; default as in `likeness generate`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def prompts(
    model: Model = "mini", output: Output = None,
    count: Annotated[int, typer.Option(min=1, help="Faces for each cell of the grid.")] = 20,
    field: Annotated[
        list[str] | None, typer.Option(help="Attributes asked one at a time; repeat. Default: nine; 'none': none.")
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(help="Two at once: glasses=eyeglasses+hair_color=blond; repeat. Default: eight; 'none': none."),
    ] = None,
    negation: Annotated[
        list[str] | None,
        typer.Option(help="What shall not be there: glasses, facial_hair, headwear; default: all; 'none': none."),
    ] = None,
    judge: Judges = None, set_: Set = None, weights: Weights = None,
    real: Annotated[
        int | None,
        typer.Option(min=0, help="Real test faces shown to each judge; default: all, to captioners none."),
    ] = None,
    steps: Steps = None, guidance: Guidance = None, seed: Seed = 0, batch: Batch = None, device: Device = None,
    precision: Precision = None, json_: Json = False,
) -> None:  # fmt: skip
    """Draw N faces for every attribute, pair of attributes and negation, and let judges say what they show.

    Confusion tables, recalls with 95 % intervals beside the same judge on real faces; prompts.json, prompts.md,
    confusion.png, recalls.png and sheet.png in --output. Faces that an earlier run drew there are taken.
    """
    from ..evaluate.adherence.answers import Options, make
    from ..evaluate.networks.catalogue import parse_weights
    from ..evaluate.prompts import grid, report, run
    from ..generate.generator import FaceGenerator
    from .evaluate import _stages

    settings = run.PromptSettings(
        _listed(field, grid.FIELDS), _listed(pair, grid.PAIRS), _listed(negation, tuple(grid.NEGATIONS)),
        count, seed, steps, guidance, real,
    )  # fmt: skip
    settings.cells()
    options = Options(captioner_settings(set_), parse_weights(weights or []), device)
    judges = [make(name, options) for name in dict.fromkeys(judge or ["judge", "eye"])]
    output = output or folder(model, "prompts")
    engine = FaceGenerator(model, device, precision, batch)
    with _stages() as stage:
        found = run.evaluate(model, output, judges, settings, engine=engine, stage=stage)
    report.write(found, output)
    out.as_json(run.to_dict(found)) if json_ else out.result(report.table(found))
    (out.remark if json_ else out.result)(f"Faces, pictures and prompts.json are in {output}.")


def folder(model: str, command: str) -> Path:
    """Where a run goes when nobody says where."""
    return Path("runs") / "evaluate" / Path(model).name / command


def _listed(given: list[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """What was named; the default when nothing was; nothing for the one word "none"."""
    return default if given is None else () if given == ["none"] else tuple(dict.fromkeys(given))


def captioner_settings(texts: list[str] | None) -> dict[str, object]:
    from ..config import pairs

    return pairs(texts or [])


def register(app: typer.Typer) -> None:
    """Add the command to `likeness evaluate`."""
    app.command("prompts")(prompts)
