"""`likeness caption review`, `check` and `expand`: texts seen by people, held against labels, written out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from . import output as out
from .caption_team import shown
from .progress import bar

Folder = Annotated[Path, typer.Argument(help="A prepared folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def review(
    folder: Folder,
    output: Annotated[Path | None, typer.Option(help="The page to write; default review.html in the folder.")] = None,
    only: Annotated[str, typer.Option(help="all, conflicts, problems, or sample.")] = "all",
    limit: Annotated[int | None, typer.Option(min=1, help="So many captions at most.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another sample.")] = 0,
    apply: Annotated[
        Path | None, typer.Option(help="Put the decisions of this file, which a page gave, into the table.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve the page here: decisions are written at once.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="--serve: the port; 0 is any.")] = 8765,
    by: Annotated[str, typer.Option(help="Who decides; noted beside each decision.")] = "",
    json_: Json = False,
) -> None:
    """Write a page to look through captions: accept, edit or reject them by keyboard.

    What is rejected loses its text and is captioned again by the next run.
    """
    from ..caption import review as reviews

    if apply is not None and serve:
        raise UsageError("give --apply or --serve, not both")
    if apply is not None:
        done = reviews.apply(folder, apply, by)
    elif serve:
        done = reviews.serve(
            folder, port=port, only=only, limit=limit, seed=seed, by=by,
            tell=lambda address: out.remark(f"{address} (Ctrl-C ends it)"),
        )  # fmt: skip
    else:
        with bar("writing", unit="captions") as tell:
            page = reviews.write(folder, output, only, limit, seed, progress=lambda n: tell(n, 0))
        out.as_json({"page": str(page)}) if json_ else out.result(str(page))
        return
    if json_:
        out.as_json(done.to_dict())
        return
    told = ", ".join(f"{count:,} {what}" for what, count in done.to_dict().items() if count)
    out.result(told or "no decisions")


def check(
    folder: Folder,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many rows.")] = None,
    show: Annotated[int, typer.Option(min=0, help="Conflicts to print.")] = 20,
    json_: Json = False,
) -> None:
    """Compare captions with the labels of their rows, and list where they contradict: "woman" of a man."""
    from ..caption import agreement

    with bar("comparing", unit="rows") as tell:
        found = agreement.measure(folder, limit, progress=lambda n: tell(n, 0))
    if json_:
        out.as_json(found.to_dict())
        return
    heading, rows = found.table()
    if rows:
        out.table([heading, *rows])
    out.result(f"{found.disagreeing:,} of {found.compared:,} captions contradict their labels")
    for conflict in found.conflicts[:show]:
        out.result(shown(f"{conflict.file_name}: {conflict}"))


def expand(
    text: Annotated[str, typer.Argument(help="A short description, such as: Indian male, 30s.")],
    style: Annotated[str, typer.Option(help="paragraph, sentence or tags.")] = "paragraph",
    seed: Annotated[int, typer.Option(help="Another seed, other details.")] = 0,
    translate: Annotated[bool, typer.Option("--translate", help="From another language, by a server.")] = False,
    endpoint: Annotated[str | None, typer.Option(help="groq, openai, ollama, vllm, or a base URL.")] = None,
    model: Annotated[str | None, typer.Option(help="The model's name there.")] = None,
    json_: Json = False,
) -> None:
    """Write a short description out in detail; what was said stays. By the grammar, or by a server if one is set."""
    from ..caption import expand as expansion
    from ..caption.endpoint import Endpoint, configured

    server = Endpoint(endpoint or "", model or "") if endpoint or model or configured() else None
    if translate:
        text = expansion.translate(text, server)
    made = expansion.expand(text, server, style, seed)
    if json_:
        out.as_json(vars(made) | {"said": made.said.to_dict(), "added": made.added.to_dict()})
        return
    out.result(made.text)
    for note in made.notes:
        out.remark(note)
