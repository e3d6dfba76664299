"""`likeness mix film "a young man" "an old man" --seed 7`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from . import mixing as its
from . import output as out
from .mixing import option
from .progress import bar

if TYPE_CHECKING:  # they load torch
    from ..generate.blends import Studio as Painter
    from ..generate.hybrids import Studio
    from ..generate.mixture import Parts
    from ..records import ImageRequest


def film(
    faces: Annotated[list[str], typer.Argument(help="Prompts, in their order; or groups.", show_default=False)],
    seed: Annotated[list[int] | None, option("Of each face, or one for all. Repeatable.")] = None,
    frames: Annotated[int, option("Pictures from each face to the next.")] = 12,
    fps: Annotated[float, option("Pictures a second.")] = 12,
    loop: Annotated[bool, option("Go on from the last face to the first, not there and back.", "--loop")] = False,
    mp4: Annotated[bool, option("Write film.mp4 too (needs likeness[film]).", "--mp4")] = False,
    method: its.Method = "blend",
    negative: its.Negative = None,
    steps: its.Steps = None,
    guidance: its.Guidance = None,
    interval: its.Interval = None,
    size: its.Size = None,
    model: Annotated[str, option("A model of prompts; or a folder of `likeness train ddpm`, for groups.")] = "mini",
    lora: its.Lora = None,
    scheduler: its.Scheduler = None,
    output: its.Output = Path("film"),
    device: its.Device = None,
    precision: its.Precision = None,
    batch_size: its.Batch = None,
    json: its.Json = False,
) -> None:
    """Draw a film from face to face, each a prompt and a seed: film.gif, strip.png, and a folder of frames."""
    from ..generate import film as films
    from ..generate.guidance import read_interval
    from ..generate.mixture import check_method

    check_method(method)
    if mp4:
        films.check_mp4()
    its.check_output(output)
    asked = {"steps": steps, "guidance": guidance, "scheduler": scheduler, "guidance_interval": read_interval(interval)}
    words = {"negative_prompt": negative, "size": size, "lora": lora}
    studio, request, said = _studio(model, faces, asked, words, (device, precision, batch_size))
    stops = films.faces(said, seed or [its.seed_or(None, output)])
    made = films.Film(films.scenes(stops, frames, loop), request, studio.fingerprint, method, fps, loop)
    with bar("drawing", show=not json) as progress:
        drawn = films.draw(output, made, its.artist(studio, method), progress)
    written = films.save(output, made, drawn.frames, mp4)
    if json:
        facts = {"model": request.model, "fingerprint": studio.fingerprint, "seeds": [stop.seed for stop in stops]}
        files = {"files": [str(file) for file in written], "frames": [str(file) for file in drawn.frames]}
        out.as_json(facts | files | {"notes": drawn.notes})
        return
    if drawn.kept:
        out.remark(f"{drawn.kept} of {len(drawn.frames)} pictures are in {output} already")
    for file in written:
        out.result(str(file))
    for note in drawn.notes:
        out.remark(note)


def _studio(
    model: str, faces: list[str], asked: dict[str, Any], words: dict[str, Any], machine: tuple[Any, ...]
) -> tuple[Painter | Studio, ImageRequest, list[Parts]]:
    """Who draws, the request that all frames share, and what each face is made of."""
    from ..generate import blends, hybrids
    from ..models.registry import find

    if find(model).family != "ddpm":
        painter = blends.open_model(its.text_request(model=model, **asked, **words), faces, *machine)
        return painter, painter.request, [((text, 1.0),) for text in painter.texts]
    if any(words.values()):
        raise UsageError(f"{model} is a model of groups: leave --negative, --size and --lora out")
    studio = hybrids.open_model(model, *machine)
    parts = [hybrids.combinations(studio.model.groups, [face])[0].parts for face in faces]
    if not all(parts):
        raise UsageError("a film goes from group to group: name one for each face")
    size = studio.model.size
    return studio, hybrids.request(studio.name, width=size, height=size, **asked), parts
