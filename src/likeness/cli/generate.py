"""`likeness generate "a smiling woman in her thirties"`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import LikenessError, UsageError
from ..records import ImageRequest, Sample
from . import output as out
from .destination import Destination, choose
from .from_face import from_face as draw_variations
from .progress import bar


def _option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text)


MOST_FROM_FILE = 100_000  # more are several runs: each is checked before the first is drawn
_MEMORY = "offload, sequential-offload, slicing, tiling, xformers, quantized or compile. Repeatable."


def generate(
    prompt: Annotated[str | None, typer.Argument(help="Who to draw, in plain English.", show_default=False)] = None,
    prompts: Annotated[Path | None, _option("File of prompts: .txt, .csv or .jsonl.", "--prompts", "--csv")] = None,
    negative: Annotated[str | None, _option("What to keep out of the picture.")] = None,
    seed: Annotated[int | None, _option("Number that the picture grows from; drawn at random if not given.")] = None,
    steps: Annotated[int | None, _option("Denoising steps; the model's default: 30 for mini, 50 for SD.")] = None,
    guidance: Annotated[float | None, _option("How closely to follow the words.")] = None,
    guidance_interval: Annotated[
        str | None, _option("Part of the way from noise (0) to picture (1) that is guided, as 0,0.6.")
    ] = None,
    size: Annotated[str | None, _option("Pixels, as 128 or 128x160 (width x height); multiples of 8.")] = None,
    original_size: Annotated[str | None, _option("SDXL: size it is to look resized from, as 1024x1024.")] = None,
    count: Annotated[int | None, _option("Pictures for each prompt; seeds count up from --seed.")] = None,
    num_images: Annotated[int | None, _option("Pictures in all from a file, gone round again if need be.")] = None,
    model: Annotated[str | None, _option("mini, sd15, sd21, sdxl, a hub id, a folder, or a .safetensors file.")] = None,
    lora: Annotated[list[str] | None, _option("LoRA as PATH:WEIGHT; a hub id will do. Repeatable.")] = None,
    scheduler: Annotated[str | None, _option("dpm++2m, ddim, euler, euler-a, pndm, unipc, heun, lms, …")] = None,
    image: Annotated[Path | None, _option("Start from this picture instead of from noise.")] = None,
    strength: Annotated[float | None, _option("How far to leave the start picture, 0 to 1.")] = None,
    mask: Annotated[Path | None, _option("With --image: draw anew where this picture is white only.")] = None,
    from_face: Annotated[list[Path] | None, _option("Variations of the face in this photo. Repeatable.")] = None,
    mix: Annotated[str | None, _option("Several photos: average or interpolate.")] = None,
    consent: Annotated[bool, _option("You may use the photo, and the person in it agrees.", "--consent")] = False,
    output: Annotated[Path | None, _option("A .png file, or a folder.", "--output", "-o", "--output-dir")] = None,
    grid: Annotated[bool, _option("One sheet with all pictures.", "--grid")] = False,
    compare: Annotated[str | None, _option("Side by side with another model; `base`: without the LoRAs.")] = None,
    translate: Annotated[bool, _option("Put the prompt into English first.", "--translate")] = False,
    watermark: Annotated[bool, _option("Mark the pixels invisibly too.", "--watermark")] = False,
    sign: Annotated[bool, _option("Sign each picture (C2PA) too.", "--sign")] = False,
    json: Annotated[bool, _option("Print JSON; no progress bar.", "--json")] = False,
    like: Annotated[Path | None, _option("Draw this picture again, from its recipe; options change it.")] = None,
    device: Annotated[str | None, _option("cpu, cuda, cuda:1 or mps.")] = None,
    precision: Annotated[str | None, _option("fp32, bf16 or fp16.")] = None,
    batch_size: Annotated[int | None, _option("Pictures drawn at once at most.")] = None,
    memory: Annotated[list[str] | None, _option(_MEMORY)] = None,
) -> None:
    """Draw faces. Prints the path of every file that it wrote."""
    asked = {**locals()}
    if from_face:
        draw_variations(asked)
        return
    if mix or consent:
        raise UsageError("--mix and --consent go with --from-face PHOTO")
    recipe = _recipe(like)
    changes = _changes(asked)
    machine = {"device": device, "precision": precision, "batch_size": batch_size, "memory": tuple(memory or ())}
    if prompts is None and num_images is not None:
        raise UsageError("--num-images goes with a file of prompts: give --csv FILE, or --count instead")
    requests, names, base = _requests(recipe, changes, prompts, num_images, output)
    if compare is not None:
        _side_by_side(requests, compare, output, machine, json)
        return
    grid = grid or (bool(recipe.get("grid")) and prompts is None and "count" not in changes)
    destination = choose(output, grid, requests, watermark, sign)
    if prompts is not None and destination.folder and not grid:
        _draw_missing(requests, names, base, destination, machine, json)
    else:
        _draw(requests, recipe, changes, destination, machine, json)


def _changes(asked: dict[str, Any]) -> dict[str, Any]:
    """Fields of `ImageRequest` that the command line names."""
    from ..generate.batch import read_size
    from ..generate.guidance import read_interval
    from ..generate.loras import split

    plain = ("prompt", "seed", "steps", "guidance", "count", "model", "scheduler", "strength")
    found = {name: asked[name] for name in plain} | {"negative_prompt": asked["negative"]}
    found |= {name: str(asked[name]) for name in ("image", "mask") if asked[name]}
    found["guidance_interval"] = read_interval(asked["guidance_interval"])
    found["loras"] = tuple(split(text) for text in asked["lora"]) if asked["lora"] else None
    if asked["translate"] and asked["prompt"]:
        from ..caption.endpoint import Endpoint, configured
        from ..caption.expand import translate

        found["prompt"] = translate(asked["prompt"], Endpoint() if configured() else None)
        out.remark(f"translated: {found['prompt']}")
    found |= read_size(asked["size"]) if asked["size"] is not None else {}
    if asked["original_size"] is not None:
        found["original_size"] = tuple(read_size(asked["original_size"], "--original-size").values())
    return {name: value for name, value in found.items() if value is not None}


def _draw(
    requests: list[ImageRequest],
    recipe: dict[str, Any],
    changes: dict[str, Any],
    destination: Destination,
    machine: dict[str, Any],
    json: bool,
) -> None:
    from ..generate.generator import FaceGenerator

    drawn = recipe.get("drawn") or {}
    row, size = (0, 1) if changes and not recipe.get("grid") else drawn.get("batch") or (0, 1)
    if recipe.get("grid"):
        machine["batch_size"] = machine["batch_size"] or size
    machine["precision"] = machine["precision"] or drawn.get("precision")
    generator = FaceGenerator(requests[0].model, **machine)
    again = bool(recipe) and len(requests) == 1 and requests[0].count == 1
    if again:
        _tell_differences(recipe, generator, changes)
    with bar("drawing", show=not json) as progress:
        if again and not recipe.get("grid"):
            samples = [generator.redraw(requests[0], row, size, progress)]
            written = destination.save(iter(samples))
        else:
            samples = []
            written = destination.save(_keep(generator.stream(requests, progress), samples))
    _tell(samples, written, json)


def _draw_missing(
    requests: list[ImageRequest],
    names: list[str | None],
    base: int | None,
    destination: Destination,
    machine: dict[str, Any],
    json: bool,
) -> None:
    """Draw what a file of prompts asks for and the folder does not hold yet."""
    from ..generate import folder
    from ..generate.generator import FaceGenerator
    from ..models.adapters import locate_lora
    from ..provenance import digest

    generator = FaceGenerator(requests[0].model, **machine)
    weights = [generator.fingerprint, *(digest(locate_lora(name)) for name, _ in requests[0].loras)]
    planned = folder.plan(requests, " ".join(weights), names)
    left = folder.missing(destination.path, planned)
    if len(left) < len(planned):
        out.remark(f"{len(planned) - len(left)} of {len(planned)} pictures are in {destination.path} already")
    destination = dataclasses.replace(destination, several=True, planned=tuple(left), base_seed=base)
    samples: list[Sample] = []
    with bar("drawing", show=not json) as progress:
        drawn = generator.stream([one.request for one in left], progress)
        written = destination.save(_keep(drawn, samples)) if left else []
    _tell(samples, written, json)


def _side_by_side(
    requests: list[ImageRequest], other: str, output: Path | None, machine: dict[str, Any], json: bool
) -> None:
    """One sheet: each picture as asked for, beside the same prompt and seed drawn by the other model."""
    from ..generate.compare import columns, save_sheet

    place = choose(output, True, requests)
    with bar("drawing", show=not json) as progress:
        drawn = columns(requests, other, machine, progress)
    path = save_sheet(place.path / "compare.png" if place.folder else place.path, drawn)
    _tell([sample for column in drawn.values() for sample in column], [path], json)


def _recipe(like: Path | None) -> dict[str, Any]:
    if like is None:
        return {}
    from ..provenance import read

    recipe = read(like)
    if len((recipe.get("grid") or {}).get("prompts", ())) > 1:
        raise UsageError(f"{like} is a sheet of several prompts: draw its prompts file again instead")
    mixture = recipe.get("mixture") or {}
    if mixture.get("towards") or len(mixture.get("parts", "1")) != 1:
        raise UsageError(f"{like} is a mixture: draw it again with likeness mix")
    return recipe


def _requests(
    recipe: dict[str, Any], changes: dict[str, Any], file: Path | None, pictures: int | None, output: Path | None
) -> tuple[list[ImageRequest], list[str | None], int | None]:
    """What to draw, with nothing left open: recipe, then what the command line says. With names, and the first seed."""
    from ..generate import batch, folder, seeds
    from ..generate.resolve import resolve
    from ..models.registry import find

    if file is not None and "prompt" in changes:
        raise UsageError("give a prompt or --prompts, not both")
    if recipe:
        request = _again(recipe, changes)
    elif file is None and "prompt" not in changes:
        raise UsageError("nothing to draw: give a prompt in quotes, --prompts FILE, or --like PICTURE")
    else:
        request = ImageRequest("")
    request = dataclasses.replace(request, **changes)
    spec = find(request.model)
    if file is None:
        return [resolve(request, spec)], [None], None
    if pictures is not None and (not 1 <= pictures <= MOST_FROM_FILE or "count" in changes):
        raise UsageError(f"--num-images is 1 to {MOST_FROM_FILE:,}, and all there are: leave --count out")
    rows = batch.read_rows(file)
    if request.seed is None:  # a run that goes on with a folder must ask for the same pictures
        request = dataclasses.replace(request, seed=folder.seed_of(output) if output else None)
        request = dataclasses.replace(request, seed=seeds.fresh() if request.seed is None else request.seed)
    many = []
    for one, row in zip(batch.requests(rows, request, pictures), cycle(rows)):
        try:
            many.append(resolve(one, spec))
        except LikenessError as error:
            raise type(error)(f"{row.where}: {error}") from None
    return many, batch.names(rows, pictures), request.seed


def _again(recipe: dict[str, Any], changes: dict[str, Any]) -> ImageRequest:
    """The request of a recipe whose start picture, mask and LoRAs are still what they were."""
    from ..generate.loras import verify
    from ..provenance import request_of, verify_inputs

    verify_inputs(recipe, changes)
    if "loras" not in changes:
        verify(recipe)
    count = (recipe.get("grid") or {}).get("count", 1)
    return dataclasses.replace(request_of(recipe), count=count)


def _keep(samples: Iterator[Sample], kept: list[Sample]) -> Iterator[Sample]:
    for sample in samples:
        kept.append(sample)
        yield sample


def _tell_differences(recipe: dict[str, Any], generator: Any, changes: dict[str, Any]) -> None:
    """Say why a redrawn picture may differ from the one that it is like."""
    import torch

    if changes:
        return
    before, now = recipe.get("drawn") or {}, {"torch": torch.__version__, "device": generator.runtime.device.type}
    other = [f"{k} {before[k]} then, {v} now" for k, v in now.items() if k in before and before[k] != v]
    if recipe.get("fingerprint") and not generator.fingerprint.startswith(recipe["fingerprint"]):
        other.append("the model has other weights now")
    if other:
        out.remark(f"the picture may come out differently: {'; '.join(other)}")


def _tell(samples: list[Sample], written: list[Path], json: bool) -> None:
    notes = list(dict.fromkeys(note for sample in samples for note in sample.notes))
    if not json:
        for path in written:
            out.result(str(path))
        for note in notes:
            out.remark(note)
        return
    shown = ("prompt", "steps", "guidance", "scheduler")
    images = [
        {"seed": s.seed, "seconds": round(s.seconds, 3), "size": list(s.image.size), "notes": list(s.notes)}
        | {name: getattr(s.request, name) for name in shown}
        for s in samples
    ]
    first = {"model": samples[0].request.model, "fingerprint": samples[0].fingerprint} if samples else {}
    out.as_json(first | {"files": [str(path) for path in written], "images": images, "notes": notes})
