"""`likeness data`: sources, download, prepare, prepare-all, clean, verify, merge, split, shard, stats, card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError, UsageError
from . import data_prepare
from . import output as out
from .progress import bar, stages

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False,
    help="Prepare, check, merge and describe face data sets.",
)  # fmt: skip
app.command("prepare")(data_prepare.prepare)
app.command("prepare-all")(data_prepare.prepare_all)

Folder = Annotated[Path, typer.Argument(help="A prepared folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Option = Annotated[list[str] | None, typer.Option("--option", "-o", help="A setting of the source, as key=value.")]


@app.command()
def sources(json_: Json = False) -> None:
    """List the known data sets: size, licence, what it takes to get them, and the settings of their readers."""
    from ..data.sources import SOURCES, source_table

    rows = source_table()
    if json_:
        out.as_json([row | {"options": SOURCES[row["name"]].options()} for row in rows])
        return
    for row in rows:
        options = ", ".join(SOURCES[row["name"]].options())
        out.result(f"{row['name']}: {row['title']}")
        facts = (("images", row["images"]), ("size", row["size"]), ("licence", row["license"]), ("see", row["url"]),
                 ("get it", row["how"]), ("needs", row["account"]), ("options", options))  # fmt: skip
        for name, text in facts:
            if text:
                out.result(f"    {name:<8} {text}")


@app.command()
def download(
    source: Annotated[str, typer.Argument(help="A name from `likeness data sources`.")],
    output: Annotated[Path, typer.Option(help="Folder for it.")],
    print_: Annotated[bool, typer.Option("--print", help="Only print the commands, as a shell script.")] = False,
    check: Annotated[bool, typer.Option("--verify", help="Only check what is there against its checksums.")] = False,
    num_samples: Annotated[int | None, typer.Option(min=1, help="LAION-Face: draw so many rows.")] = None,
    option: Option = None,
) -> None:
    """Download a data set by its owners' own commands; goes on where it stopped, and checks published checksums.

    Where the owners want an account or an agreement, it says so and stops there.
    """
    from ..data import download as downloads

    if check:
        with bar("checking", unit="files") as tell:
            problems = downloads.verify(source, output, tell)
    else:
        options = data_prepare.source_options(option or [])
        if num_samples is not None:
            options["num_samples"] = num_samples
        plan = downloads.plan(source, output, **options)
        if print_:
            out.result(plan.text().rstrip())
            return
        with stages(unit="bytes") as tell_stage:
            problems = downloads.run(plan, tell_stage)
    for problem in problems[:20]:
        out.remark(f"{problem.where}: {problem.reason}")
    lost = sum(p.lost for p in problems)
    if lost:
        raise UsageError(f"{lost:,} files are missing or wrong" + (": download them again" if check else ""))
    out.result(f"{source} is in {output}" if not check else f"{output}: nothing wrong was found")


@app.command()
def clean(
    source: Annotated[str, typer.Argument(help="A name from `likeness data sources`, such as illinois or indian.")],
    path: Annotated[str, typer.Argument(help="Where it lies.")],
    output: Annotated[Path, typer.Option(help="The csv to write; beside or above the pictures.")],
    option: Option = None,
    minors: Annotated[bool, typer.Option("--minors", help="Keep people who are, or may be, under 18.")] = False,
) -> None:
    """Write a source's table in one standard form, which the csv source reads."""
    from ..data.sources import Problems, open_source, write_table

    reader = open_source(source, path, **data_prepare.source_options(option or []))
    left = Problems()
    count = write_table(reader.items(), output, adults=not minors, problems=left)
    problems = [p for p in [*reader.problems(), *left.all()] if p.lost]
    for problem in problems[:10]:
        out.remark(f"{problem.where}: {problem.reason}")
    out.result(f"{count:,} rows in {output}, {len(problems):,} left out")


@app.command()
def verify(
    folder: Folder,
    size: Annotated[int | None, typer.Option(help="The side that every picture must have.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Neither decode nor hash the pictures.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Move what cannot be used into .quarantine/ with its rows.")
    ] = False,
    most: Annotated[float, typer.Option(min=0, max=1, help="--repair: the largest share of rows that may go.")] = 0.2,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; default one a core.")] = None,
    json_: Json = False,
) -> None:
    """Check that every row has its picture, whole and described, and that nothing lies beside them.

    Ends with 1 when something is wrong.
    """
    from ..data import repair as repairs
    from ..data import verify as checks

    options: dict[str, Any] = {"size": size, "hashes": not quick, "decode": not quick, "workers": workers}
    with bar("checking", unit="images") as tell:
        if repair:
            done = repairs.repair(folder, lambda n: tell(n, 0), most, **options)
        else:
            report = checks.verify(folder, progress=lambda n: tell(n, 0), **options)
    if repair:
        if json_:
            out.as_json(done.to_dict())
            return
        rows, files = (", ".join(f"{n:,} {k}" for k, n in d.items()) or "none" for d in (done.rows, done.files))
        out.result(f"rows dropped: {rows}; files moved: {files}; {done.left:,} rows left")
        return
    if json_:
        out.as_json(report.to_dict())
    else:
        out.result(f"{report.rows:,} rows, {report.size or 'sizes differ'}: " + ("good" if report.ok else "not good"))
        for kind, count in report.counts.items():
            out.result(f"{count:>9,}  {kind}: {checks.KINDS[kind]}")
            for example in report.examples.get(kind, [])[:3]:
                out.result(f"           {example}")
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def merge(
    members: Annotated[list[Path], typer.Argument(help="Prepared folders; the first one's word counts most.")],
    output: Annotated[Path, typer.Option(help="A new folder; run again to go on after a stop.")],
    captions: Annotated[str, typer.Option(help="Of several captions of a picture: first, or longest.")] = "first",
    equal: Annotated[str, typer.Option(help="Equal pictures become one (fold), or stay (keep).")] = "fold",
    link: Annotated[str, typer.Option(help="auto, hard (links only) or copy.")] = "auto",
    json_: Json = False,
) -> None:
    """Make one folder of several: equal pictures once, clashing names renamed, everything that was said kept."""
    _merge(members, output, {"captions": captions, "equal": equal, "link": link}, json_)


@app.command()
def shard(
    folder: Folder,
    share: Annotated[str, typer.Argument(help="Number/count: 1/4 is the first of four.")],
    output: Annotated[Path, typer.Option(help="A new folder.")],
    link: Annotated[str, typer.Option(help="auto, hard (links only) or copy.")] = "auto",
    json_: Json = False,
) -> None:
    """Make a folder of a share of another one, for one of several machines. The shares together are the whole."""
    _merge([folder], output, {"shard": share, "equal": "keep", "link": link}, json_)


@app.command()
def split(
    folder: Folder,
    share: Annotated[
        list[str] | None, typer.Argument(help="Shares: train=0.9 val=0.05 test=0.05, which is the default.")
    ] = None,
    by: Annotated[str, typer.Option(help="Attributes that every split shows alike.")] = "gender,age,ethnicity",
    seed: Annotated[int, typer.Option(help="Another seed, another division.")] = 0,
    radius: Annotated[int, typer.Option(help="Bits in which near-duplicates may differ; -1: only equal ones.")] = 44,
    again: Annotated[bool, typer.Option("--again", help="Divide anew, whatever split the rows have.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
    json_: Json = False,
) -> None:
    """Divide a folder's rows into train, val and test; near-duplicates and one person's pictures stay together."""
    from ..data import split as splits

    shares: dict[str, float] = {}
    for text in share or []:
        name, equals, value = text.partition("=")
        try:
            shares[name] = float(value)
        except ValueError:
            raise ConfigError(f"share {text!r}: write name=number, such as train=0.9") from None
    config = splits.SplitConfig(
        shares or dict(splits.SHARES), tuple(b.strip() for b in by.split(",") if b.strip()), seed,
        radius if radius >= 0 else None, again,
    )  # fmt: skip
    with stages() as tell:
        report = splits.split(folder, config, not dry_run, tell)
    if json_:
        out.as_json(report.to_dict())
        return
    out.table([(name, f"{count:,}") for name, count in report.pictures.items()])
    out.result(f"{report.groups:,} groups stay together, the largest has {report.largest_group:,}")
    if report.kept or report.moved:
        out.result(f"{report.kept:,} kept the split that they had, {report.moved:,} moved (--again divides anew)")
    if report.uneven:
        out.result(f"furthest from the whole: {report.uneven}")


@app.command()
def stats(
    folder: Folder,
    tokenizer: Annotated[str, typer.Option(help="A model's name, or a folder or file with a tokenizer.json.")] = "mini",
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the numbers into this PNG too.")] = None,
    json_: Json = False,
) -> None:
    """Count pictures, attributes, and the lengths of captions in words and tokens."""
    from ..data import charts
    from ..data import stats as counting

    with bar("counting", unit="rows") as tell:
        found = counting.measure(folder, tokenizer, lambda n: tell(n, 0), split)
    if picture is not None:
        charts.save(found, picture)
    out.as_json(found.to_dict()) if json_ else out.result(counting.as_text(found))
    if found.minors:
        out.remark(f"{found.minors:,} pictures may show somebody under 18: leave them out before training.")


@app.command()
def card(
    folder: Folder,
    title: Annotated[str | None, typer.Option(help="The set's name; default the folder's.")] = None,
    license_: Annotated[str | None, typer.Option("--license", help="The licence of the whole, in words.")] = None,
    origin: Annotated[str | None, typer.Option(help="Where it comes from, in words.")] = None,
    notes: Annotated[str | None, typer.Option(help="Further words at the end.")] = None,
    tokenizer: Annotated[str, typer.Option(help="Whose tokens captions are counted in.")] = "mini",
    print_: Annotated[bool, typer.Option("--print", help="Print it instead of writing README.md.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a README.md that somebody wrote.")] = False,
) -> None:
    """Write a data card: what is in the folder, under which licence, whom it shows too rarely, what it is not for."""
    from ..data import card as cards
    from ..data.stats import measure

    text = cards.card(measure(folder, tokenizer), title, license_, origin, notes)
    out.result(text if print_ else str(cards.write(folder, text, overwrite)))


def _merge(members: list[Path], output: Path, options: dict[str, Any], json_: bool) -> None:
    from ..data.merge import MergeConfig
    from ..data.merge import merge as join

    with stages() as tell:
        report = join(members, output, MergeConfig(**options), tell)
    if json_:
        out.as_json(report.to_dict())
        return
    for row in report.members:
        out.result(f"{row['rows']:>9,}  rows of {row['folder']}, {row['pictures']:,} pictures taken")
    out.result(f"{report.pictures:>9,}  pictures in {report.output}")
    for kind, count in report.counts.items():
        out.result(f"{count:>9,}  {kind}")
