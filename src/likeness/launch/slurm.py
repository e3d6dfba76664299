"""Slurm job files: one task a GPU on any number of nodes; before the time is up the run saves, ends, and queues again.

The tasks are started by srun itself, with the variables that accelerate (and torch) read: so a signal reaches the
training directly, and one node and many are the same.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError


@dataclass(frozen=True)
class Job:
    """What to run (`train lora …`) and what to ask for; `gpus` and `tasks` are a node's, `cpus` a task's.

    `{task}` in a word stands for the number of the array's task.
    """

    words: tuple[str, ...]
    name: str = "likeness"
    partition: str | None = None
    account: str | None = None
    time: str = "24:00:00"
    nodes: int = 1
    gpus: int = 1
    tasks: int | None = None
    cpus: int = 8
    mem: str = "32G"
    array: str | None = None
    env_file: str | None = None
    venv: str | None = None
    grace: int = 120


# what Slurm takes; also keeps a line break out of the file's head, where it would begin a directive of its own
PATTERNS = {
    "name": r"[\w.+-]+",
    "partition": r"[\w.,-]+",
    "account": r"[\w.@-]+",
    "time": r"\d+(:\d\d){0,2}|\d+-\d{1,2}(:\d\d){0,2}",
    "mem": r"\d+[KMGT]?",
    "array": r"\d+([,:-]\d+)*(%\d+)?",
}


def script(job: Job) -> str:
    """The job file. Raises `UsageError` for a value that Slurm would not take."""
    for key, pattern in PATTERNS.items():
        value = getattr(job, key)
        if value is not None and not re.fullmatch(pattern, value):
            raise UsageError(f"--{key} {value!r} is not what Slurm takes")
    if job.array is None and any("{task}" in word for word in job.words):
        raise UsageError("{task} is the number of an array's task: give --array, for example 0-3")
    asked = {
        "job-name": job.name, "partition": job.partition, "account": job.account, "time": job.time,
        "nodes": job.nodes, "ntasks-per-node": job.tasks or max(1, job.gpus), "gpus-per-node": job.gpus or None,
        "cpus-per-task": job.cpus, "mem": job.mem, "array": job.array,
        "output": "%x-%A_%a.out" if job.array else "%x-%j.out", "open-mode": "append",
        "signal": f"B:USR1@{job.grace}",
    }  # fmt: skip
    directives = "\n".join(f"#SBATCH --{k}={v}" for k, v in asked.items() if v is not None)
    sources = [f"set -a; source {shlex.quote(job.env_file)}; set +a"] if job.env_file else []
    sources += [f"source {shlex.quote(str(Path(job.venv) / 'bin' / 'activate'))}"] if job.venv else []
    return TEMPLATE.format(
        directives=directives, sources="\n".join([*sources, ""]), grace=job.grace, command=_quoted(job.words)
    )


def _quoted(words: Sequence[str]) -> str:
    number = '"$SLURM_ARRAY_TASK_ID"'
    return " ".join(number.join(shlex.quote(p) if p else "" for p in word.split("{task}")) or "''" for word in words)


TEMPLATE = """#!/bin/bash
{directives}
#SBATCH --requeue

set -e
{sources}
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))
export MASTER_ADDR MASTER_PORT OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"

train() {{
  export RANK="$SLURM_PROCID" LOCAL_RANK="$SLURM_LOCALID" WORLD_SIZE="$SLURM_NTASKS"
  exec python -m likeness {command}
}}
export -f train

# {grace} s before the time limit the training is told to save and end, and the job queues again: it goes on from there.
again=no
trap 'again=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

srun --kill-on-bad-exit=1 bash -c train &
step=$!
while
  status=0
  wait "$step" || status=$?
  kill -0 "$step" 2>/dev/null  # a signal ends the waiting, not the step
do :; done

if [ "$again" = yes ]; then
  scontrol requeue "$SLURM_JOB_ID"
else
  exit "$status"
fi
"""
