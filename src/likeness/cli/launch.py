"""`likeness launch local | slurm`: training as several processes of this machine, or as a job of a cluster."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Run training on several processes or a cluster.",
)

Words = Annotated[
    list[str],
    typer.Argument(metavar="PRESET -- OPTIONS", help="A preset and its options, or a whole command: likeness train …"),
]
Print = Annotated[bool, typer.Option("--print", help="Print what would be started or written, and end.")]


@app.command()
def local(
    words: Words,
    processes: Annotated[int, typer.Option(help="How many: one for each GPU is usual.", min=1)] = 2,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of each; default: an equal share of the cores.", min=1)
    ] = None,
    print_: Print = False,
) -> None:
    """Train as several processes of this machine, through accelerate.

    Each takes --batch images a step: with N processes a step sees N times as many as with one.
    """
    from ..launch import local as launcher
    from ..launch import training

    command = launcher.accelerate(training.command(words), processes, threads)
    if print_:
        typer.echo(shlex.join(command))
        return
    os.execv(command[0], command)  # signals then reach it without a process between


@app.command()
def slurm(
    words: Words,
    output: Annotated[Path | None, typer.Option(help="Job file; default <name>.sh here.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the job; default: the preset's.")] = None,
    partition: Annotated[str | None, typer.Option(help="Partition to ask for.")] = None,
    account: Annotated[str | None, typer.Option(help="Account to charge.")] = None,
    time: Annotated[str, typer.Option(help="Time limit, as hours:minutes:seconds or days-hours.")] = "24:00:00",
    nodes: Annotated[int, typer.Option(help="Machines.", min=1)] = 1,
    gpus: Annotated[int, typer.Option(help="GPUs of each machine; 0 trains on CPUs.", min=0)] = 1,
    tasks: Annotated[int | None, typer.Option(help="Processes of each machine; default: one a GPU.", min=1)] = None,
    cpus: Annotated[int, typer.Option(help="Cores of each process.", min=1)] = 8,
    mem: Annotated[str, typer.Option(help="Memory of each machine.")] = "32G",
    array: Annotated[
        str | None, typer.Option(help="Task numbers of an array, such as 0-3%2; {task} in a word is the number.")
    ] = None,
    env_file: Annotated[str | None, typer.Option(help="A file of variables to read before anything runs.")] = None,
    venv: Annotated[str | None, typer.Option(help="The virtual environment on the cluster.")] = None,
    grace: Annotated[int, typer.Option(help="Seconds before the limit at which the run saves and ends.", min=1)] = 120,
    print_: Print = False,
) -> None:
    """Write a Slurm job file: it saves before its time is up, queues again, and goes on from there."""
    from ..files import write_text
    from ..launch import training
    from ..launch.slurm import Job, script

    command = training.command(words)
    chosen = name or training.title(command)
    text = script(
        Job(
            tuple(command),
            chosen,
            partition,
            account,
            time,
            nodes,
            gpus,
            tasks,
            cpus,
            mem,
            array,
            env_file,
            venv,
            grace,
        )
    )
    if print_:
        typer.echo(text, nl=False)
        return
    target = output or Path(f"{chosen}.sh")
    write_text(target, text)
    typer.echo(f"{target}\nsubmit it with: sbatch {shlex.quote(str(target))}")
