"""`likeness models card | push`: a model's card, and the model with its card on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import output as out

What = Annotated[
    str, typer.Argument(help="A LoRA (folder or file), a pipeline's folder, or a run's folder.", show_default=False)
]
Scores = Annotated[
    list[Path] | None,
    typer.Option(help="A JSON report of `likeness evaluate …` or `evaluate compare`. Repeatable.", show_default=False),
]
Audit = Annotated[Path | None, typer.Option(help="The audit.json of `likeness evaluate audit`.", show_default=False)]
Examples = Annotated[
    Path | None, typer.Option(help="Pictures that `likeness generate` drew; 12 at most are taken.", show_default=False)
]
License = Annotated[
    str | None,
    typer.Option(
        help="Of the model, such as cc-by-4.0. Default: that of what it was fine-tuned from.", show_default=False
    ),
]
Data = Annotated[str | None, typer.Option(help="What to say of the training data, in a sentence.", show_default=False)]
Title = Annotated[str | None, typer.Option(help="Of the card. Default: the folder's name.", show_default=False)]


def card(
    what: What, scores: Scores = None, audit: Audit = None, examples: Examples = None, license: License = None,
    data: Data = None, title: Title = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it here, with its pictures beside it. Default: print.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a card that somebody wrote.")] = False,
) -> None:  # fmt: skip
    """Write a model's card: data, licences, recipe, scores, audit, limits, and code that draws with it.

    What is not known is said as not known.
    """
    from ..errors import UsageError
    from ..files import write_text
    from ..models import card as cards
    from ..models import card_examples
    from ..models.subject import find

    found, extra = find(what), _extra(scores, audit, examples, license, data, title)
    text = cards.card(found, extra)
    if output is None:
        out.result(text.rstrip("\n"))
        return
    target = output / "README.md" if output.is_dir() else output
    if target.exists() and not overwrite and cards.MARK not in target.read_text(encoding="utf-8", errors="replace"):
        raise UsageError(f"{target} was written by somebody: choose another --output, or add --overwrite")
    card_examples.write(extra.examples, target.parent)
    write_text(target, text)
    out.result(str(target))


def push(
    what: What,
    repository: Annotated[str, typer.Argument(metavar="REPO_ID", help="OWNER/NAME on the hub.", show_default=False)],
    private: Annotated[
        bool, typer.Option("--private/--public", help="Of a repository that is made; one that is there stays as it is.")
    ] = True,
    revision: Annotated[str | None, typer.Option("--revision", "--branch", help="A branch; made if need be.")] = None,
    message: Annotated[str | None, typer.Option(help="Of the commit.")] = None,
    scores: Scores = None, audit: Audit = None, examples: Examples = None, license: License = None,
    data: Data = None, title: Title = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be uploaded, and its size.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:  # fmt: skip
    """Upload a model with its card: weights as safetensors, settings, example pictures, reports; no training data.

    Log in first (`hf auth login`, or HF_TOKEN). After an interruption the same command sends only what is missing.
    """
    from ..models import publish
    from ..models.subject import find

    publish.check_id(repository)
    found, extra = find(what), _extra(scores, audit, examples, license, data, title)
    publish.check_licence(found, extra, private)
    with publish.staged(found, repository, extra) as folder:
        rows = publish.contents(folder)
        facts: dict[str, Any] = {"repository": repository, "private": private, "files": dict(rows)}
        if dry_run:
            out.as_json(facts | {"card": (folder / publish.README).read_text(encoding="utf-8")}) if json else _list(
                rows
            )
            out.remark(
                f"Nothing was uploaded: {repository} would be {'private' if private else 'public'} if it is new."
            )
            return
        url = publish.push(folder, repository, private, revision, message or publish.MESSAGE)
    out.as_json(facts | {"url": url}) if json else out.result(url)


def _list(rows: list[tuple[str, int]]) -> None:
    out.table([("file", "size"), *((name, size(count)) for name, count in rows)])
    out.result(f"{len(rows)} files, {size(sum(count for _, count in rows))}")


def _extra(
    scores: list[Path] | None, audit: Path | None, examples: Path | None, license: str | None, data: str | None,
    title: str | None,
) -> Any:  # fmt: skip
    from ..models import card_examples, card_scores
    from ..models.card import Extra

    return Extra(
        [card_scores.read(path) for path in scores or ()], card_scores.read(audit) if audit else None,
        card_examples.find(examples) if examples else (), license, data, title,
    )  # fmt: skip


def size(count: float) -> str:
    """1234567 -> `1.2 MB`."""
    if not count:
        return "-"
    units = iter(("B", "KB", "MB", "GB"))
    unit = next(units)
    while count >= 1000 and unit != "GB":
        count, unit = count / 1000, next(units)
    return f"{count:.0f} {unit}" if count >= 10 else f"{count:.1f} {unit}"
