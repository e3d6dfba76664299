"""`likeness caption plan` and `merge`; and how a folder's state is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from . import output as out
from .progress import bar

Folder = Annotated[Path, typer.Argument(help="A prepared folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def plan(
    folder: Folder,
    members: Annotated[int | None, typer.Option(min=1, help="How many share the work.")] = None,
    names: Annotated[str | None, typer.Option(help="Their names in place of a number: anna,ben,…")] = None,
    captioner: Annotated[str, typer.Option(help="Who describes; see `likeness caption list`.")] = "api",
    options: Annotated[
        str, typer.Option(help='Further words of everybody\'s command: "--model llava --prompt short".')
    ] = "",
    json_: Json = False,
) -> None:
    """Divide a folder's rows among several people: captions.plan.json, and the command of each.

    Everybody needs the same folder. They send back the files that their command writes; `merge` takes them in.
    """
    import shlex

    from ..caption import team
    from ..caption.captioner import CAPTIONERS
    from ..config import suggest

    if captioner not in CAPTIONERS:
        raise UsageError(f"no captioner {captioner!r}{suggest(captioner, list(CAPTIONERS))}")
    who = [n.strip() for n in names.split(",")] if names is not None else []
    if members is None and not who:
        raise UsageError("say how many share the work: --members 5, or --names anna,ben")
    if members is not None and who and members != len(who):
        raise UsageError(f"--members {members}, but --names has {len(who)}")
    who = who or [f"member-{i}" for i in range(1, (members or 0) + 1)]
    made = team.plan(folder, who, captioner, shlex.split(options))
    if json_:
        out.as_json(made.to_dict())
        return
    for member in made.members:
        out.result(f"{member.name}: rows {member.start:,} to {member.end:,} ({member.end - member.start:,})")
        out.result(f"    {member.command}")
    out.result(f"written to {Path(folder) / team.PLAN}; everybody's files come back with")
    out.result(f"    likeness caption merge {folder} FOLDER_OR_FILE …")


def merge(
    folder: Folder,
    members: Annotated[
        list[Path] | None, typer.Argument(help="What members sent: their folders, or captions and failures files.")
    ] = None,
    prefer: Annotated[
        str | None, typer.Option(help="Whose caption counts where several differ; default the newest, as `newest`.")
    ] = None,
    json_: Json = False,
) -> None:
    """Take in what members sent, put it into the table, and say who must redo what.

    Without members it joins what several processes wrote into this folder. Ends with 1 while rows are missing.
    """
    from ..caption import team

    with bar("merging", unit="rows") as tell:
        report = team.merge(folder, members or [], prefer, tell)
    if json_:
        out.as_json(report.to_dict())
    else:
        _merged(report)
    if not report.coverage.complete:
        raise typer.Exit(1)


def _merged(report: Any) -> None:
    for name, count in report.added.items():
        out.result(f"{count:>9,}  new lines from {shown(name)}")
    covered(report.coverage)
    for names, count in report.overlaps.items():
        out.result(f"{count:>9,}  captioned more than once, by {shown(names)}")
    if report.conflicts:
        out.result(f"{report.conflicts:>9,}  of them with different texts (--prefer NAME takes one's own)")
        for example in report.examples[:5]:
            out.result(f"           {shown(example)}")
    if report.reordered:
        out.remark("the table is not the one that was planned for: `likeness caption plan` divides it anew.")
    for redo in report.redo:
        out.result(f"{redo.name} must redo {redo.rows:,} rows of {redo.start} to {redo.end}:")
        out.result(f"    {redo.command}")


def covered(coverage: Any) -> None:
    """How far a folder is."""
    out.result(f"{coverage.captioned:>9,}  of {coverage.rows:,} rows have a caption")
    for reason, count in sorted(coverage.failed.items(), key=lambda one: -one[1]):
        out.result(f"{count:>9,}  failed for good (--retry-failed tries them): {meaning(reason)}")
    for count, what in (
        (coverage.again, "failed and are tried again by the next run"),
        (coverage.missing, "missing"),
        (coverage.own, "keep a text of their own"),
        (coverage.strangers, "captions of pictures that have no row"),
        *((n, f"{kind} lines of captions files, passed over") for kind, n in coverage.notes.items()),
    ):
        if count:
            out.result(f"{count:>9,}  {what}")
    if coverage.gaps:
        shown = ", ".join(f"{start}-{end}" for start, end in coverage.gaps[:8])
        out.result(f"           rows {shown}{', …' if len(coverage.gaps) > 8 else ''}")


def meaning(reason: str) -> str:
    """A reason with what it means."""
    from ..caption.captioner import REASONS

    return f"{reason} ({REASONS[reason]})" if reason in REASONS else shown(reason)


def shown(text: str) -> str:
    """Names and words of somebody else on one short line."""
    return " ".join(text.split())[:200]


def dollars(cost: float) -> str:
    """Small sums to the hundredth of a cent: a trial of a hundred faces costs less than one."""
    return f"${cost:,.2f}" if cost >= 1 or not cost else f"${cost:.4f}"


def lasting(seconds: float) -> str:
    """A duration for people."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
