"""`likeness caption`: run, finish, status, plan, merge, export, review, check, expand, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import overlay, pairs
from . import caption_team, caption_texts
from . import output as out
from .progress import bar, stages

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False,
    help="Describe every face: by a model, from labels, or by a team.",
)  # fmt: skip
app.command("plan")(caption_team.plan)
app.command("merge")(caption_team.merge)
app.command("review")(caption_texts.review)
app.command("check")(caption_texts.check)
app.command("expand")(caption_texts.expand)

Folder = Annotated[Path, typer.Argument(help="A prepared folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Named = Annotated[str, typer.Option(help="Who describes; see `likeness caption list`.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Any setting of the captioner, as key=value.")]
Model = Annotated[str | None, typer.Option(help="The model's name at the server, or a model folder.")]
Server = Annotated[str | None, typer.Option(help="groq, openai, ollama, vllm, or a base URL.")]


@app.command()
def run(
    folder: Folder, captioner: Named,
    start: Annotated[int | None, typer.Option(help="First row, counted from 0 in the table's order.")] = None,
    end: Annotated[int | None, typer.Option(help="The row to stop before.")] = None,
    shard: Annotated[str | None, typer.Option(help="Number/count in place of them: 2/5 is the second fifth.")] = None,
    endpoint: Server = None, model: Model = None,
    prompt: Annotated[str | None, typer.Option(help="paragraph, forensic, short, or a file.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Requests under way at once.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="The server's limit of requests.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(min=1, help="The server's limit of tokens.")] = None,
    set_: Set = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Also what failed for good.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Also rows that have a caption: anew.")] = False,
    only_missing: Annotated[bool, typer.Option("--only-missing", help="Only rows without a text.")] = False,
    min_words: Annotated[int, typer.Option(min=0, help="Shorter answers of a model are failures.")] = 8,
    language: Annotated[
        str | None, typer.Option(help="What another language makes a failure: english, or any; default as asked for.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would take.")] = False,
    json_: Json = False,
) -> None:  # fmt: skip
    """Caption rows that have no caption yet; run again, it goes on. `likeness caption finish` puts them in the table.

    Captions are kept as they come, in captions.<start>-<end>.jsonl; what failed is in failures.<start>-<end>.jsonl with
    its reason. Ctrl-C ends once what is under way has come back.
    """
    from ..caption.captioner import make
    from ..caption.run import RunConfig, estimate
    from ..caption.run import run as caption
    from .stopping import gently

    flags = {
        "endpoint": endpoint, "model": model, "prompt": prompt, "concurrency": concurrency,
        "requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute,
    }  # fmt: skip
    given = {k: v for k, v in flags.items() if v is not None}
    maker = make(captioner, overlay(given, pairs(set_ or [])))
    config = RunConfig(start, end, shard, retry_failed, overwrite, only_missing, min_words, language)
    if dry_run:
        _estimated(*estimate(folder, maker, config), json_)
        return
    with stages() as tell, gently("stopping: waiting for what is under way (once more: at once)") as signalled:
        report = caption(folder, maker, config, tell, lambda: bool(signalled()))
    out.as_json(report.to_dict()) if json_ else _ran(report)
    if signalled() == "SIGINT":
        raise KeyboardInterrupt
    if report.failed and not report.captioned:
        raise typer.Exit(1)


@app.command()
def finish(folder: Folder, json_: Json = False) -> None:
    """Put every caption that came into metadata.jsonl, one row a picture, at once; say what is still missing.

    The row's own labels stay; what a model saw is added where they are silent. Running it again changes nothing.
    """
    from ..caption.finish import finish as fold

    with bar("folding", unit="rows") as tell:
        coverage = fold(folder, tell)
    out.as_json(coverage.to_dict()) if json_ else caption_team.covered(coverage)


@app.command()
def status(folder: Folder, json_: Json = False) -> None:
    """Say how many rows have a caption, and which are missing or failed; changes nothing."""
    from ..caption.finish import status as look

    with bar("counting", unit="rows") as tell:
        coverage = look(folder, tell)
    if json_:
        out.as_json(coverage.to_dict())
        return
    caption_team.covered(coverage)
    if coverage.unfolded:
        out.result(f"{coverage.unfolded:>9,}  not in the table yet: likeness caption finish {folder}")


@app.command()
def export(
    folder: Folder,
    csv: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Write the table as csv: file_name, text, attributes and how each caption was made."""
    from ..data.manifest_csv import to_csv

    out.result(f"{to_csv(folder, csv):,} rows in {csv}")


@app.command("import")
def import_(
    folder: Folder,
    csv: Annotated[Path, typer.Option(help="A file that `caption export` wrote, whoever edited it since.")],
    drop: Annotated[bool, typer.Option("--drop", help="Rows that the file does not have leave the table.")] = False,
) -> None:
    """Put the rows of a csv in the place of the table; a bad row changes nothing."""
    from ..data.manifest_csv import from_csv

    out.result(f"{from_csv(csv, folder, drop=drop):,} rows from {csv}")


@app.command("list")
def list_(json_: Json = False) -> None:
    """List the captioners, with the prompts that `--prompt` takes."""
    from ..caption import prompts
    from ..caption.captioner import CAPTIONERS

    told = {name: line for name, (*_, line) in CAPTIONERS.items()}
    if json_:
        out.as_json({"captioners": told, "prompts": prompts.names()})
        return
    out.table([(name, line) for name, line in told.items()])
    out.result("prompts: " + ", ".join(f"{name}.v{found[-1]}" for name, found in prompts.names().items()))


def _estimated(span: Any, found: Any, json_: bool) -> None:
    if json_:
        import dataclasses

        out.as_json({"range": str(span)} | dataclasses.asdict(found))
        return
    unknown = "not known"
    rows: list[tuple[str, ...]] = [
        ("rows", f"{span}"),
        ("to caption", f"{found.faces:,}"),
        ("time", unknown if found.seconds is None else caption_team.lasting(found.seconds)),
    ]
    if found.tokens_in or found.cost:
        rows.append(("tokens", f"{found.tokens_in:,} in, {found.tokens_out:,} out"))
        rows.append(("cost", unknown if found.cost is None else caption_team.dollars(found.cost)))
    out.table(rows)
    for note in found.notes:
        out.remark(note)


def _ran(report: Any) -> None:
    rate = f", {report.captioned / report.seconds:,.1f}/s" if report.captioned and report.seconds else ""
    cost = "" if report.cost is None else f", {caption_team.dollars(report.cost)}"
    took = caption_team.lasting(report.seconds)
    out.result(f"{report.captioned:,} captions in {took}{rate}{cost}, in {report.captions}")
    for reason, count in report.failed.items():
        out.result(f"{count:>9,}  failed: {caption_team.meaning(reason)}")
    for count, what in (
        (report.before, "had a caption (--overwrite: anew)"),
        (report.skipped, "had a text of their own"),
        (report.waiting, "failed for good earlier (--retry-failed tries them)"),
        (report.again, "of the failures are tried again by the next run"),
        (report.unanswered, "were under way and got no answer: the next run asks again"),
    ):
        if count:
            out.result(f"{count:>9,}  {what}")
    if "no labels" in report.failed:
        out.remark("rows without labels want a captioner that looks at the picture: eye (offline), llava or api.")
