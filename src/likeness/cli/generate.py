"""`likeness generate "a smiling woman in her thirties"`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from ..records import ImageRequest, Sample
from . import output as out
from .destination import Destination, choose
from .progress import bar


def generate(
    prompt: Annotated[str | None, typer.Argument(help="Who to draw, in plain English.", show_default=False)] = None,
    prompts: Annotated[Path | None, typer.Option(help="File of prompts: .txt (one a line), .csv or .jsonl.")] = None,
    negative: Annotated[str | None, typer.Option(help="What to keep out of the picture.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Number that the picture grows from; drawn at random if not given.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Denoising steps; the model's default: 30 for mini, 50 for SD.")
    ] = None,
    guidance: Annotated[float | None, typer.Option(help="How closely to follow the words.")] = None,
    size: Annotated[
        str | None, typer.Option(help="Pixels, as 128 or 128x160 (width x height); multiples of 8.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Pictures for each prompt; seeds count up from --seed.")] = None,
    model: Annotated[str | None, typer.Option(help="mini, sd15, sd21, or a folder in diffusers' format.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="dpm++2m, ddim, euler, euler-a, pndm, unipc, heun, lms, …")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="Start from this picture instead of from noise.")] = None,
    strength: Annotated[float | None, typer.Option(help="How far to leave the start picture, 0 to 1.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A .png file, or a folder.")] = None,
    grid: Annotated[bool, typer.Option("--grid", help="One sheet with all pictures.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON; no progress bar.")] = False,
    like: Annotated[
        Path | None, typer.Option(help="Draw this picture again, from the recipe inside; options change it.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures drawn at once at most.")] = None,
) -> None:
    """Draw faces. Prints the path of every file that it wrote."""
    recipe = _recipe(like)
    asked = {
        "prompt": prompt, "negative_prompt": negative, "seed": seed, "steps": steps, "guidance": guidance,
        "count": count, "model": model, "scheduler": scheduler, "image": str(image) if image else None,
        "strength": strength, **_size(size),
    }  # fmt: skip
    changes = {k: v for k, v in asked.items() if v is not None}
    requests = _requests(recipe, changes, prompts)
    grid = grid or (bool(recipe.get("grid")) and prompts is None and "count" not in changes)
    machine = {"device": device, "precision": precision, "batch_size": batch_size}
    _draw(requests, recipe, changes, choose(output, grid, requests), machine, json)


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
        _compare(recipe, generator, changes)
    with bar("drawing", show=not json) as progress:
        if again and not recipe.get("grid"):
            samples = [generator.redraw(requests[0], row, size, progress)]
            written = destination.save(iter(samples))
        else:
            samples = []
            written = destination.save(_keep(generator.stream(requests, progress), samples))
    _tell(samples, written, json)


def _recipe(like: Path | None) -> dict[str, Any]:
    if like is None:
        return {}
    from ..provenance import read

    recipe = read(like)
    if len((recipe.get("grid") or {}).get("prompts", ())) > 1:
        raise UsageError(f"{like} is a sheet of several prompts: draw its prompts file again instead")
    return recipe


def _requests(recipe: dict[str, Any], changes: dict[str, Any], file: Path | None) -> list[ImageRequest]:
    """What to draw, with nothing left open: recipe, then what the command line says."""
    from ..generate import batch
    from ..generate.resolve import resolve
    from ..models.registry import find

    if file is not None and "prompt" in changes:
        raise UsageError("give a prompt or --prompts, not both")
    if recipe:
        from ..provenance import request_of, verify_start

        if "image" not in changes:
            verify_start(recipe)
        count = (recipe.get("grid") or {}).get("count", 1)
        request = dataclasses.replace(request_of(recipe), count=count)
    elif file is None and "prompt" not in changes:
        raise UsageError("nothing to draw: give a prompt in quotes, --prompts FILE, or --like PICTURE")
    else:
        request = ImageRequest("")
    request = dataclasses.replace(request, **changes)
    many = batch.requests(batch.read_prompts(file), request) if file is not None else [request]
    spec = find(request.model)
    return [resolve(one, spec) for one in many]


def _size(text: str | None) -> dict[str, int]:
    if text is None:
        return {}
    found = re.fullmatch(r"\s*(\d{1,6})(?:\s*[xX×*]\s*(\d{1,6}))?\s*", text)
    if not found:
        raise UsageError(f"--size {text!r}: write 128 or 128x160 (width x height)")
    return {"width": int(found[1]), "height": int(found[2] or found[1])}


def _keep(samples: Any, kept: list[Sample]) -> Any:
    for sample in samples:
        kept.append(sample)
        yield sample


def _compare(recipe: dict[str, Any], generator: Any, changes: dict[str, Any]) -> None:
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
    files, first = [str(path) for path in written], samples[0]
    model = {"model": first.request.model, "fingerprint": first.fingerprint}
    out.as_json(model | {"files": files, "images": images, "notes": notes})
