"""`likeness evaluate audit`: whom does a model draw when nobody says whom, whom does it draw worse, and copies."""

from __future__ import annotations

from typing import Annotated

import typer

from . import output as out
from .evaluate_prompts import (
    Batch,
    Device,
    Guidance,
    Json,
    Model,
    Output,
    Precision,
    Seed,
    Set,
    Steps,
    Weights,
    captioner_settings,
    folder,
)


def audit(
    model: Model = "mini", output: Output = None,
    prompt: Annotated[list[str] | None, typer.Option(help="An open prompt; repeat. Default: eight.")] = None,
    count: Annotated[int, typer.Option(min=0, help="Faces for each open prompt.")] = 50,
    group_count: Annotated[int, typer.Option(min=0, help="Faces for each gender, age group and ethnicity.")] = 20,
    reference: Annotated[
        str, typer.Option(help="uniform, or a table: JSON {field: {answer: share}}, or CSV field,answer,share.")
    ] = "uniform",
    train: Annotated[
        str | None, typer.Option(help="Folder that the model was trained on: look for copies of its faces.")
    ] = None,
    held_out: Annotated[
        str | None, typer.Option(help="Real faces that it was not trained on; default: the shipped test faces.")
    ] = None,
    real: Annotated[
        int | None, typer.Option(min=1, help="Real test faces beside, a seeded sample; default: all.")
    ] = None,
    skin_tone: Annotated[bool, typer.Option(help="Measure the skin tone of open prompts.")] = True,
    judge: Annotated[str, typer.Option(help="Who looks: judge, eye, clip-b32, clip-l14 ..., api or llava.")] = "judge",
    network: Annotated[
        str, typer.Option(help="Features of distances: eye (offline), clip-*, dinov2-*, inception.")
    ] = "eye",
    set_: Set = None, weights: Weights = None, steps: Steps = None, guidance: Guidance = None, seed: Seed = 0,
    batch: Batch = None, device: Device = None, precision: Precision = None, json_: Json = False,
) -> None:  # fmt: skip
    """Draw open prompts and named groups: shares against a reference, skin tone, quality by group, diversity, copies.

    audit.json, audit.md, shares.png, groups.png, sheet.png and nearest.png in --output. Faces that an earlier run drew
    there are taken.
    """
    from ..evaluate.adherence.answers import Options, make
    from ..evaluate.audit import report
    from ..evaluate.audit import run as auditing
    from ..evaluate.networks import catalogue as networks
    from ..generate.generator import FaceGenerator
    from .evaluate import _stages

    prompts = tuple(dict.fromkeys(prompt or auditing.PROMPTS))
    settings = auditing.AuditSettings(
        prompts, count, group_count, reference, train, held_out, skin_tone, real, seed, steps, guidance
    )
    settings.table()
    given = networks.parse_weights(weights or [])
    features = networks.load(network, given, device)
    by = make(judge, Options(captioner_settings(set_), given, device))
    output = output or folder(model, "audit")
    engine = FaceGenerator(model, device, precision, batch)
    with _stages() as stage:
        found = auditing.audit(model, output, features, by, settings, engine=engine, stage=stage)
    report.write(found, output)
    out.as_json(found.to_dict()) if json_ else out.result(report.table(found))
    (out.remark if json_ else out.result)(f"Faces, pictures and audit.json are in {output}.")


def register(app: typer.Typer) -> None:
    """Add the command to `likeness evaluate`."""
    app.command("audit")(audit)
