"""Commands as documents and deployment files write them, read by the command line itself."""

from typing import Any

import typer


def parse(words: list[str]) -> None:
    """As the command line does, down to the last option, without running anything. Raises what it raises."""
    from likeness.cli.main import app

    command: Any = typer.main.get_command(app)
    context = command.make_context("likeness", list(words))
    while hasattr(command, "resolve_command"):
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, list(rest), parent=context)
