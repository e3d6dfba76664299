"""What the commands of `likeness mix` share: their options, and how those become requests and pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from ..records import ImageRequest
from . import output as out
from .destination import PICTURES, choose
from .progress import bar

if TYPE_CHECKING:  # they load torch
    from ..generate.gallery import Artist, Row
    from ..generate.mixture import Parts


def option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text)


Method = Annotated[str, option("blend: one mean embedding; compose: scores added up.")]
Seed = Annotated[int | None, option("First seed; drawn at random if not given.")]
Steps = Annotated[int | None, option("Denoising steps; the model's default.")]
Guidance = Annotated[float | None, option("How closely to follow groups or words.")]
Interval = Annotated[
    str | None, option("Part of the way from noise (0) to picture (1) that is guided, as 0,0.6.", "--guidance-interval")
]
Scheduler = Annotated[str | None, option("dpm++2m, ddim, ddpm, euler, unipc, heun, …")]
Negative = Annotated[str | None, option("What to keep out of the picture.")]
Size = Annotated[str | None, option("Pixels, as 128 or 128x160 (width x height); multiples of 8.")]
Lora = Annotated[list[str] | None, option("LoRA as PATH:WEIGHT; a hub id will do. Repeatable.")]
Output = Annotated[Path, option("A folder. The same command again draws what it lacks.", "--output", "-o")]
Device = Annotated[str | None, option("cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[str | None, option("fp32, bf16 or fp16.")]
Batch = Annotated[int | None, option("Pictures drawn at once at most.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; no progress bar.")]


def check_output(output: Path) -> None:
    """Raises `UsageError` when no folder can be there."""
    if output.suffix.lower() in PICTURES:
        raise UsageError(f"{output}: there are several pictures, give a folder to --output")
    choose(output, False, [ImageRequest("", count=2)])


def seed_or(seed: int | None, output: Path) -> int:
    """The seed that was asked for, that of what the folder holds already, or a fresh one."""
    from ..generate import gallery, seeds

    before = gallery.seed_of(output) if seed is None else seed
    return seeds.fresh() if before is None else before


def text_request(size: str | None, lora: list[str] | None, **asked: Any) -> ImageRequest:
    """The request of a text model, without its words; what is None is left to the model."""
    from ..generate.batch import read_size
    from ..generate.loras import split

    given = {name: value for name, value in asked.items() if value is not None}
    given |= read_size(size) if size is not None else {}
    return ImageRequest("", loras=tuple(split(text) for text in lora or ()), **given)


def saying(request: ImageRequest, parts: Parts, method: str) -> ImageRequest:
    from ..generate.mixture import written

    return replace(request, prompt=written(parts, method))


def numbers(text: str | None, option_name: str) -> tuple[float, ...]:
    """`0.7,0.3` -> numbers. Raises `UsageError`."""
    try:
        return tuple(float(word) for word in text.split(",")) if text else ()
    except ValueError:
        raise UsageError(f"{option_name} {text!r}: write numbers with commas, such as 0.7,0.3") from None


def artist(studio: Any, method: str) -> Artist:
    return lambda request, scenes, progress: studio.draw(request, scenes, method, progress)


def show(rows: list[Row], fingerprint: str, draw: Artist, output: Path, json: bool) -> None:
    """Draw the rows, and print where they are."""
    from ..generate import gallery

    with bar("drawing", show=not json) as progress:
        drawn = gallery.draw(output, rows, fingerprint, draw, progress)
    if json:
        mixtures = [
            {"name": row.name, "parts": row.parts, "files": [str(file) for file in drawn.pictures[row.name]]}
            for row in rows
        ]
        first = rows[0].request
        facts = {"model": first.model, "fingerprint": fingerprint, "seed": first.seed, "notes": drawn.notes}
        out.as_json(facts | {"sheet": str(drawn.sheet), "mixtures": mixtures})
        return
    if drawn.kept:
        out.remark(f"{drawn.kept} of {sum(map(len, drawn.pictures.values()))} pictures are in {output} already")
    for name in drawn.pictures:
        out.result(str(output / name))
    out.result(str(drawn.sheet))
    for note in drawn.notes:
        out.remark(note)
