"""`likeness evaluate mini`, any other model's name, folder or hub id in that place, and the commands beside it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import UsageError
from . import evaluate_audit, evaluate_compare, evaluate_groups, evaluate_pairs, evaluate_prompts, evaluate_sets
from . import output as out
from .progress import bar

OUTPUT = Path("runs") / "evaluate"


class _Models(TyperGroup):
    """A word that is no command here is a model to evaluate: `likeness evaluate sd15`, `likeness evaluate my/model`."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, "mini")


app = typer.Typer(cls=_Models, no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Output = Annotated[Path | None, typer.Option(help="Folder for faces and scores.json; default runs/evaluate/<model>.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Draw a seeded sample of so many faces: a quick look.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Denoising steps; default: the model's own.")]
Guidance = Annotated[float | None, typer.Option(help="Guidance; default: the model's own.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of captions, noise and prompt sets; published scores have 0.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Faces drawn at once; default: the model's own.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps; default: the best there is.")]
Precision = Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; default as in `likeness generate`.")]
Card = Annotated[
    Path | None,
    typer.Option(help="Model card to put the scores into; default: the shipped model's own, if the run was complete."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")]


@app.callback()
def group() -> None:
    """Measure models and pictures. `likeness evaluate MODEL` is the published protocol, for any model in that place."""


@app.command("mini")
def evaluate(
    context: typer.Context, output: Output = None, limit: Limit = None, steps: Steps = None, guidance: Guidance = None,
    seed: Seed = 0, batch: Batch = None, device: Device = None, precision: Precision = None, card: Card = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Draw a face for each of the 673 test captions and score them.

    Any other model's name or folder works in place of `mini`.

    Faces that an earlier run drew with the same model and settings are taken from --output.
    """
    from ..evaluate import report
    from ..evaluate.evaluation import Settings
    from ..evaluate.evaluation import evaluate as measure

    model = context.info_name or "mini"
    settings = Settings(seed, limit, steps, guidance, batch, precision, device)
    if card:
        report.check_card(card)
    output = output or OUTPUT / Path(model).name
    with _stages() as stage:
        found = measure(model, output, settings, stage=stage)
    report.write_scores(found, output / "scores.json")
    if json_:
        out.as_json([dataclasses.asdict(score) for score in found.scores()])
    else:
        out.result(report.table(found))
    said = [report.times(found), f"Faces and scores.json are in {output}."]
    try:
        said.append(report.publish(found, card))
    except UsageError as error:
        if card:
            raise
        said.append(f"No card was written: {error}.")
    (out.remark if json_ else out.result)("\n".join(said))


@contextlib.contextmanager
def _stages() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """One progress bar after the other: a stage opens its own and closes the one before."""
    with contextlib.ExitStack() as open_:

        def stage(name: str, total: int) -> Callable[[int], None]:
            open_.close()
            tell, done = open_.enter_context(bar(name, unit="faces")), 0

            def tick(more: int) -> None:
                nonlocal done
                done += more
                tell(done, total)

            return tick

        yield stage


for _page in (
    evaluate_pairs, evaluate_sets, evaluate_prompts, evaluate_audit, evaluate_groups, evaluate_compare,
):  # fmt: skip
    _page.register(app)
