"""`likeness evaluate sets`: two folders of faces against each other; `likeness evaluate networks`: what can measure."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from . import output as out
from .progress import stages

OUTPUT = Path("runs") / "evaluate" / "sets"

Drawn = Annotated[Path, typer.Argument(help="Folder of drawn faces.", show_default=False)]
Real = Annotated[Path | None, typer.Argument(help="Folder of real faces; default: the shipped test faces (128 px).")]
Output = Annotated[Path, typer.Option(help="Folder for sets.json, the table and the pictures.")]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", help="Whose features: eye (offline; the default), inception, clip-b32, ... Repeatable."),
]
Weights = Annotated[
    list[str] | None, typer.Option(help="NETWORK=PATH of weights that were fetched by hand. Repeatable.")
]
Floor = Annotated[bool, typer.Option(help="Measure two halves of the real set too.")]
Cache = Annotated[Path | None, typer.Option(help="Folder of features that runs share; default in LIKENESS_CACHE.")]
Keep = Annotated[bool, typer.Option("--keep/--no-keep", help="Whether to look there, and to keep features there.")]
Share = Annotated[
    str | None,
    typer.Option(help="K/N: measure only the K-th of N shares of both sets, for N workers with one --cache."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of halves and samples.")]
Batch = Annotated[int, typer.Option(min=1, help="Pictures looked at at once.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps; default: the best there is.")]
Json = Annotated[bool, typer.Option("--json", help="Print scores and notes as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `likeness evaluate`."""
    app.command("sets")(sets)
    app.command("networks")(networks)


def sets(
    drawn: Drawn, real: Real = None, output: Output = OUTPUT, network: Networks = None, weights: Weights = None,
    floor: Floor = True, cache: Cache = None, keep: Keep = True, share: Share = None, seed: Seed = 0, batch: Batch = 64,
    device: Device = None, json_: Json = False,
) -> None:  # fmt: skip
    """Frechet and kernel distance, precision, recall, density and coverage of two folders, with intervals.

    Features are kept by content: what was measured once is found again. A network without weights is an error.
    """
    from ..evaluate.adherence.cases import FACES
    from ..evaluate.networks.catalogue import load, parse_weights
    from ..evaluate.sets import report, statistics
    from ..evaluate.sets import run as measuring

    place = (cache or statistics.default_cache()) if keep else None
    part = _share(share, place)
    given = parse_weights(weights or [])
    loaded = [load(name, given, device) for name in dict.fromkeys(network or ["eye"])]
    with stages(unit="pictures") as tell:
        if part is not None and place is not None:
            done = 0
            for source in (drawn, real or FACES):
                found = statistics.scan(source)
                for one in loaded:
                    stage = partial(tell, f"{one.name}: {source}")
                    done += statistics.share(one, found, place, *part, batch, stage)
            out.remark(f"Measured {done} pictures into {place}. Run without --share when all shares are there.")
            return
        compared = measuring.compare_sets(
            drawn, real or FACES, loaded, cache=place, floor=floor, seed=seed, batch=batch, tell=tell
        )
    written = report.write(compared, output)
    if json_:
        out.as_json(compared.plain())
    else:
        out.result(report.table(compared))
    (out.remark if json_ else out.result)(f"{', '.join(path.name for path in written)} are in {output}.")


def _share(text: str | None, place: Path | None) -> tuple[int, int] | None:
    """`2/4` -> (1, 4): which worker, counted from 0, of how many."""
    if text is None:
        return None
    worker, slash, workers = text.partition("/")
    if not (slash and worker.isdecimal() and workers.isdecimal() and 1 <= int(worker) <= int(workers)):
        raise UsageError(f"--share {text!r}: write K/N, such as 1/4 for the first of four workers")
    if place is None:
        raise UsageError("--share keeps what it measures: leave --no-keep out")
    return int(worker) - 1, int(workers)


def networks() -> None:
    """The networks whose features can be measured in: weights, source, hash, and whether they are here."""
    from ..evaluate.networks.catalogue import NETWORKS, here

    rows: list[tuple[str, ...]] = [("name", "here", "px", "file", "SHA-256", "source")]
    for spec in NETWORKS.values():
        file = spec.file
        told = (file.name, file.sha256[:12] or "-", file.url) if file else ("shipped", "-", "-")
        rows.append((spec.name, "yes" if here(spec) else "no", str(spec.size or "any"), *told))
    out.table(rows)
