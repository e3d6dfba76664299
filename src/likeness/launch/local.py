"""Several processes of this machine train together: the command line of `accelerate launch`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def accelerate(words: Sequence[str], processes: int, threads: int | None = None) -> list[str]:
    """The command that starts `likeness <words>` as so many processes; `threads` of each: its share of the cores.

    `--multi_gpu` is what starts several processes at all: on a CPU too, where `--cpu` would start one.
    """
    share = threads or max(1, (os.cpu_count() or 1) // processes)
    return [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu",
        "--num_processes", str(processes), "--num_machines", "1", "--main_process_port", "0",  # 0: any free one
        "--num_cpu_threads_per_process", str(share), "--mixed_precision", "no", "--dynamo_backend", "no",
        "-m", "likeness", *words,
    ]  # fmt: skip
