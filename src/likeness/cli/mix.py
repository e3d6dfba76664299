"""`likeness mix groups | prompts | film`: faces between groups or prompts, and films from face to face."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from . import mixing as its
from .mix_film import film
from .mixing import option

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False,
    help="Draw faces between groups or prompts, and films from face to face.",
)  # fmt: skip


@app.command()
def groups(
    model: Annotated[str, typer.Argument(help="A folder of `likeness train ddpm`, or a hub id.", show_default=False)],
    combinations: Annotated[
        list[str] | None, option("OI, Indian+White, Indian:0.7+White:0.3, Indian or any. Repeatable, or by commas.")
    ] = None,
    pure: Annotated[bool, option("Draw each group by itself too.", "--pure")] = False,
    shares: Annotated[str | None, option("Of the groups in each combination, as 0.7,0.3.")] = None,
    count: Annotated[int, option("Pictures of each combination; seeds count up from --seed.")] = 10,
    method: its.Method = "blend",
    seed: its.Seed = None,
    steps: its.Steps = None,
    guidance: its.Guidance = None,
    interval: its.Interval = None,
    scheduler: its.Scheduler = None,
    output: its.Output = Path("mix"),
    device: its.Device = None,
    precision: its.Precision = None,
    batch_size: its.Batch = None,
    json: its.Json = False,
) -> None:
    """Draw faces between the groups of a model: a folder for each combination, and a labelled sheet.

    Without --combinations, all of up to four groups, and every pair of more.
    """
    from ..generate import gallery, hybrids, mixture
    from ..generate.guidance import read_interval

    mixture.check_method(method)
    its.check_output(output)
    studio = hybrids.open_model(model, device, precision, batch_size)
    texts = [text for listed in combinations or () for text in listed.split(",")]
    chosen = hybrids.combinations(studio.model.groups, texts, its.numbers(shares, "--shares"), pure)
    size = studio.model.size
    asked = hybrids.request(
        studio.name, width=size, height=size, steps=steps, guidance=guidance, scheduler=scheduler, count=count,
        seed=its.seed_or(seed, output), guidance_interval=read_interval(interval),
    )  # fmt: skip
    rows = [gallery.Row(one.name, one.title, its.saying(asked, one.parts, method), one.parts) for one in chosen]
    its.show(rows, studio.fingerprint, its.artist(studio, method), output, json)


@app.command()
def prompts(
    prompts: Annotated[list[str], typer.Argument(help="Two or more, perhaps as 'a man:0.7'.", show_default=False)],
    weight: Annotated[list[float] | None, option("Of each prompt, in their order, instead of `:0.7`.")] = None,
    pure: Annotated[bool, option("Draw each prompt by itself too.", "--pure")] = False,
    count: Annotated[int, option("Pictures of each mixture; seeds count up from --seed.")] = 4,
    method: its.Method = "blend",
    negative: its.Negative = None,
    seed: its.Seed = None,
    steps: its.Steps = None,
    guidance: its.Guidance = None,
    interval: its.Interval = None,
    size: its.Size = None,
    model: Annotated[str, option("mini, sd15, sd21, sdxl, a hub id, a folder, or a .safetensors file.")] = "mini",
    lora: its.Lora = None,
    scheduler: its.Scheduler = None,
    output: its.Output = Path("mix"),
    device: its.Device = None,
    precision: its.Precision = None,
    batch_size: its.Batch = None,
    json: its.Json = False,
) -> None:
    """Draw faces between prompts, from the same seeds: a folder, and a labelled sheet."""
    from ..generate import blends, gallery, mixture
    from ..generate.guidance import read_interval

    mixture.check_method(method)
    wanted = mixture.read(prompts, weight or ())
    if len(wanted) < 2:
        raise UsageError("a mixture needs two prompts or more: `likeness generate` draws one")
    its.check_output(output)
    asked = its.text_request(
        size, lora, negative_prompt=negative, steps=steps, guidance=guidance, scheduler=scheduler, model=model,
        count=count, seed=its.seed_or(seed, output), guidance_interval=read_interval(interval),
    )  # fmt: skip
    studio = blends.open_model(asked, [text for text, _ in wanted], device, precision, batch_size)
    parts = tuple(zip(studio.texts, (share for _, share in wanted), strict=True))
    alone = [((text, 1.0),) for text in studio.texts if pure]
    named = {f"prompt-{number}": one for number, one in enumerate(alone, 1)} | {"mix": parts}
    rows = [gallery.Row(name, mixture.title(p), its.saying(studio.request, p, method), p) for name, p in named.items()]
    its.show(rows, studio.fingerprint, its.artist(studio, method), output, json)


app.command()(film)
