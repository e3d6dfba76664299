"""`likeness`: one row a command, imported only when it is called; and the one place that turns errors into words."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from ..config import suggest
from ..errors import LikenessError, UsageError
from .output import tame

# command -> ("module:function or Typer app", its line in the help)
COMMANDS: dict[str, tuple[str, str]] = {
    "generate": ("likeness.cli.generate:generate", "Draw faces from a sentence, or from a file of them."),
    "mix": ("likeness.cli.mix:app", "Draw faces between groups or prompts, and films from face to face."),
    "inspect": ("likeness.cli.inspect:inspect", "Show how a picture was drawn."),
    "verify": ("likeness.cli.verify:verify", "Look for the marks of a picture: recipe, signature, watermark."),
    "models": ("likeness.cli.models:app", "List, fetch, publish and remove models."),
    "train": ("likeness.cli.train:app", "Train a model, or go on training it."),
    "lora": ("likeness.cli.lora:app", "Show, convert and merge LoRA files."),
    "launch": ("likeness.cli.launch:app", "Run training on several processes or a cluster."),
    "evaluate": ("likeness.cli.evaluate:app", "Measure a model and print the table with intervals."),
    "data": ("likeness.cli.data:app", "Prepare, check, merge and describe face data sets."),
    "caption": ("likeness.cli.caption:app", "Describe every face: by a model, from labels, or by a team."),
    "serve": ("likeness.cli.serve:serve", "Serve faces over HTTP."),
    "keys": ("likeness.cli.keys:app", "Make, list and remove API keys of the service."),
    "ui": ("likeness.cli.ui:ui", "Open the web page for a service that runs."),
    "up": ("likeness.cli.ui:up", "Start the service and the web page together."),
    "doctor": ("likeness.cli.doctor:doctor", "Check this machine, and say what to do about what is missing."),
}
DEBUG = "--debug"


class Lazy(TyperGroup):
    """Lists commands from the table and imports the one that is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise UsageError(f"unknown command {args[0]!r}{suggest(args[0], list(COMMANDS))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


app = typer.Typer(cls=Lazy, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", help="Print the version and end."),
    debug: bool = typer.Option(False, DEBUG, help="Show the traceback of an error. Works anywhere on the line."),
) -> None:
    """likeness turns a description of a person into a picture of a face."""


def load(name: str) -> Any:
    """The click command of a row of `COMMANDS`."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(rich_markup_mode=None, add_completion=False)
        found.command(name)(function)
    command = typer.main.get_command(found)
    command.name = name
    return command


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 the caller can mend it, 130 interrupted."""
    args = list(sys.argv[1:] if argv is None else argv)
    options = args[: args.index("--")] if "--" in args else args
    debug = DEBUG in options or os.environ.get("LIKENESS_DEBUG", "") not in {"", "0"}
    if DEBUG in options:
        args.remove(DEBUG)
    if options == ["--version"]:
        from ..provenance import version

        print(f"likeness {version()}")
        return 0
    if not debug:
        import warnings

        warnings.simplefilter("ignore")
    try:
        code = typer.main.get_command(app)(args, prog_name="likeness", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BaseException as error:
        if debug and isinstance(error, Exception) and not hasattr(error, "format_message"):
            raise
        return report(error)


def report(error: BaseException) -> int:
    """Print an error as one line on stderr; its exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return _say("interrupted", 130)
    if isinstance(error, BrokenPipeError):  # the reader of our output has left: there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, LikenessError):
        return _say(f"error: {error}", error.exit_code)
    if hasattr(error, "format_message"):  # click's usage errors; typer carries its own copy of click in new versions
        ctx = getattr(error, "ctx", None)
        where = f" See `{ctx.command_path} --help`." if ctx is not None else ""
        text = error.format_message()
        return _say(f"error: {text}{where}" if text else "", 2)
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        return _say(f"error: {what}{error.strerror or error}", 1)
    return _say(f"error: {type(error).__name__}: {error} (run again with {DEBUG} for the traceback, and report it)", 1)


def _say(text: str, code: int) -> int:
    if text:
        print(tame(" ".join(text.split())), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
