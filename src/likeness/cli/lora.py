"""`likeness lora`: info, convert, merge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import output as out

if TYPE_CHECKING:  # it loads torch
    from ..models.lora_files import PartInfo

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False, help="Show, convert and merge LoRA files."
)

Source = Annotated[str, typer.Argument(help="A LoRA of any layout: a file, a folder, a name or a hub id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def info(file: Source, json_: Json = False) -> None:
    """Show what a LoRA holds: layout, family, ranks, alphas, the modules that it changes, what it says of itself."""
    from ..models import lora_files

    found = lora_files.info(file)
    if json_:
        out.as_json(found.to_dict())
        return
    rows: list[tuple[str, ...]] = [("layout", found.layout), ("family", found.family or "unknown")]
    rows += [(part, _describe(held)) for part, held in found.parts.items()]
    rows += [("tensors", f"{found.tensors:,}, {found.parameters:,} parameters, {found.dtype}")]
    rows += [(key, str(value)) for key, value in (found.ours | found.metadata).items()]
    out.table(rows)


def _describe(part: PartInfo) -> str:
    kinds = [name for name, is_so in (("DoRA", part.dora), ("rsLoRA", part.rslora)) if is_so]
    rank, alpha = (", ".join(f"{n:g}" for n in numbers) for numbers in (part.rank, part.alpha))
    return "; ".join([f"rank {rank}", f"alpha {alpha}", f"{part.modules:,} modules", *kinds, " ".join(part.targets)])


@app.command()
def convert(
    source: Source,
    target: Annotated[Path, typer.Argument(help="A .safetensors file; for PEFT a folder.")],
    to: Annotated[str, typer.Option(help="diffusers, kohya (A1111, Forge, ComfyUI) or peft.")],
) -> None:
    """Write a LoRA in another tool's layout. Ranks, alphas, numbers and metadata stay what they are."""
    from ..models import lora_files

    for remark in lora_files.convert(source, target, to):
        out.remark(remark)
    out.result(str(target))


@app.command()
def merge(
    model: Annotated[str, typer.Argument(help="The base: a model's name, or a folder in diffusers' format.")],
    lora: Annotated[list[str], typer.Option(help="A LoRA with its weight, as path:0.8. Several add up.")],
    output: Annotated[Path, typer.Option(help="A new folder, which --model of `likeness generate` takes.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there already.")] = False,
    json_: Json = False,
) -> None:
    """Fold LoRAs into a model's weights: a whole pipeline in diffusers' format that needs no LoRA any more."""
    from ..generate import loras
    from ..models import lora_merge

    folder = lora_merge.merge(model, loras.check(map(loras.split, lora)), output, overwrite)
    if json_:
        out.as_json({"output": str(folder)} | lora_merge.record(folder))
    else:
        out.result(str(folder))
