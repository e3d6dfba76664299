"""`likeness evaluate groups MODEL`: are drawn groups recognised, and do hybrids lie between their parents?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from . import output as out
from .mixing import Interval
from .progress import stages

Model = Annotated[str, typer.Argument(help="A folder of `likeness train ddpm`, or a hub id.", show_default=False)]
Output = Annotated[Path, typer.Option(help="Folder for faces, groups.json, groups.md and the figures.")]
Count = Annotated[int, typer.Option(min=2, help="Faces of each group and of each hybrid.")]
Hybrids = Annotated[
    list[str] | None,
    typer.Option(help="'White+Black', 'White:0.7+Black:0.3', or all (of more than four groups: pairs). Repeatable."),
]
Method = Annotated[str, typer.Option(help="Of hybrids; blend: one mean embedding; compose: scores added up.")]
Guidance = Annotated[float | None, typer.Option(help="How closely to follow the group; default 2.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps; default 30.")]
Scheduler = Annotated[str | None, typer.Option(help="As in `likeness generate`; default dpm++2m.")]
Seed = Annotated[int, typer.Option(help="Face i of each group and hybrid has the noise of seed + i.")]
Batch = Annotated[int | None, typer.Option(help="Faces drawn at once.")]
Means = Annotated[
    list[str] | None,
    typer.Option(help="What a group is to `judge`: 'Orientals=East Asian+Southeast Asian'. Repeatable."),
]
Faces = Annotated[Path | None, typer.Option(help="Labelled real faces; default: the shipped test faces.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps; default: the best there is.")]
Precision = Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; default fp32.")]
Json = Annotated[bool, typer.Option("--json", help="Print verdicts and scores as JSON.")]


def groups(
    model: Model, output: Output = Path("runs/evaluate/groups"), count: Count = 200, hybrids: Hybrids = None,
    method: Method = "blend", guidance: Guidance = None, interval: Interval = None, steps: Steps = None,
    scheduler: Scheduler = None, seed: Seed = 0, batch: Batch = None, means: Means = None, faces: Faces = None,
    device: Device = None, precision: Precision = None, json_: Json = False,
) -> None:  # fmt: skip
    """Draw every group of a model, and hybrids if asked, and let `judge` say what it sees.

    Real faces brought to the model's size are judged beside them. Faces that an earlier run left in --output are kept.
    """
    from ..evaluate.adherence.cases import FACES
    from ..evaluate.groups import report
    from ..evaluate.groups.run import evaluate_groups
    from ..generate import hybrids as drawing
    from ..generate.guidance import read_interval

    meanings = _meanings(means or [])
    studio = drawing.open_model(model, device, precision, batch)
    size = studio.model.size
    request = drawing.request(
        studio.name, width=size, height=size, count=count, seed=seed, steps=steps, guidance=guidance,
        scheduler=scheduler, guidance_interval=read_interval(interval),
    )  # fmt: skip
    with stages(unit="faces") as tell:
        found = evaluate_groups(
            studio, request, output, hybrids or (), method, meanings, faces=faces or FACES, progress=tell
        )
    written = report.write(found, output)
    if json_:
        out.as_json(found.plain())
    else:
        out.result(report.table(found))
    files = ", ".join(file.name for file in written)
    out.remark(f"Faces are in {found.gallery.sheet.parent}, with {found.gallery.sheet.name}; {files} in {output}.")


def register(app: typer.Typer) -> None:
    """Add the command to `likeness evaluate`."""
    app.command("groups")(groups)


def _meanings(texts: list[str]) -> dict[str, list[str]]:
    """`["a=X+Y"]` -> `{"a": ["X", "Y"]}`."""
    found = {}
    for text in texts:
        group, _, classes = text.partition("=")
        if not (group.strip() and classes.strip()):
            raise UsageError(f"--means takes GROUP=CLASS or GROUP=CLASS+CLASS, not {text!r}")
        found[group.strip()] = [one.strip() for one in classes.split("+")]
    return found
