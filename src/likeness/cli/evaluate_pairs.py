"""`likeness evaluate pairs GENERATED REAL`: every generated picture against the real one of its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import output as out
from .progress import stages

Generated = Annotated[
    Path, typer.Argument(help="Folder of drawn pictures, or of sub-folders epoch_1, epoch_2, ...", show_default=False)
]
Real = Annotated[Path, typer.Argument(help="Folder of real pictures of the same names.", show_default=False)]
Output = Annotated[Path, typer.Option(help="Folder for the tables, scores.json and the plots.")]
Only = Annotated[
    list[str] | None,
    typer.Option(help="lpips, ssim, image or text, an error if it cannot be had; default: all that can. Repeatable."),
]
Network = Annotated[
    str, typer.Option(help="Of the cosines: clip-b32, clip-b16, clip-l14, clip-l14-336, or `eye`, an offline stand-in.")
]
Trunk = Annotated[str, typer.Option("--lpips", help="Features of LPIPS: alex or vgg.")]
Weights = Annotated[
    list[str] | None, typer.Option(help="A network's own file, as NAME=PATH: lpips-alex=alexnet.pth. Repeatable.")
]
Size = Annotated[
    int | None,
    typer.Option(help="Side that SSIM and LPIPS are taken at; default: the drawn pictures' own, 256 at most."),
]
Window = Annotated[str, typer.Option(help="Of SSIM; uniform: scikit-image's; gaussian: Wang et al.'s.")]
Prompts = Annotated[
    Path | None,
    typer.Option(
        help="Table (csv, jsonl) with file_name and prompt; default: metadata.jsonl, or the pictures' recipes."
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, help="The first so many pairs, of each epoch.")]
Batch = Annotated[int, typer.Option(min=1, help="Pairs measured at once.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps; default: the best there is.")]
Strict = Annotated[bool, typer.Option("--strict", help="Unreadable pictures and names without a partner are errors.")]
Chance = Annotated[bool, typer.Option(help="Measure each drawn picture with the next pair's real one too.")]
Json = Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")]


def pairs(
    generated: Generated, real: Real, output: Output = Path("runs/evaluate/pairs"), only: Only = None,
    network: Network = "clip-b32", lpips: Trunk = "alex", weights: Weights = None, size: Size = None,
    window: Window = "uniform", prompts: Prompts = None, limit: Limit = None, batch: Batch = 32, device: Device = None,
    strict: Strict = False, chance: Chance = True, json_: Json = False,
) -> None:  # fmt: skip
    """LPIPS, SSIM, CLIP's cosines and the field's composite, for every pair of pictures with one name.

    Pictures match by name without suffix. Sub-folders epoch_1, epoch_2, ... are measured one by one and give curves.
    """
    from ..evaluate.networks.catalogue import parse_weights
    from ..evaluate.pairs import plots as pairs_plots
    from ..evaluate.pairs import report as pairs_report
    from ..evaluate.pairs.run import Settings, compare

    settings = Settings(
        tuple(only or ()), size, window, lpips, network, parse_weights(weights or []), prompts, limit, batch, device,
        strict, chance,
    )  # fmt: skip
    with stages() as tell:
        found = compare(generated, real, settings, tell=tell)
    written = [*pairs_report.write(found, output), *pairs_plots.write(found, output)]
    if json_:
        out.as_json(pairs_report.as_plain(found))
    else:
        out.result(pairs_report.table(found))
    out.remark(f"{', '.join(file.name for file in written)} are in {output}.")


def register(app: typer.Typer) -> None:
    """Add the command to `likeness evaluate`."""
    app.command("pairs")(pairs)
