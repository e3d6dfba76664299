"""Preparation that is killed goes on as if nothing had happened, and so does one whose workers die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from drawing import Deadly, Slow, content, folder_of

from likeness.config import build
from likeness.data.crew import Crew
from likeness.data.cutting import Task
from likeness.data.prepare import Feed, prepare
from likeness.data.recipe import PrepareConfig
from likeness.data.report import Report
from likeness.data.sources import Item

CONFIG = build(PrepareConfig, {"detector": "none", "crop": {"size": 64}, "filters": {"min_size": 32}})


def finish(source: Path, output: Path) -> Report:
    return prepare([Feed("folder", str(source))], output, CONFIG, workers=0)


RUN = """
import sys
from likeness.config import build
from likeness.data.prepare import Feed, prepare
from likeness.data.recipe import PrepareConfig
config = build(PrepareConfig, {"detector": "none", "crop": {"size": 64}, "filters": {"min_size": 32}})
prepare([Feed("folder", sys.argv[1])], sys.argv[2], config, workers=int(sys.argv[3]))
"""


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(p) for p in path.read_text().split()] if path.exists() else []


def kill_and_resume(tmp_path: Path, count: int, kills: int, workers: int) -> None:
    source = folder_of(tmp_path / "in", count, 160)
    for i in range(5, count, 9):  # things to be left out lie about
        (source / f"{i:05d}.png").write_bytes(b"x" * i)
    finish(source, tmp_path / "whole")
    expected = content(tmp_path / "whole")
    random = np.random.default_rng(kills)
    killed = attempt = 0
    while killed < kills and attempt < 3 * kills + 3:  # on a busy machine a run may end before it is killed
        attempt += 1
        out = tmp_path / f"out{attempt}"
        words = [sys.executable, "-c", RUN, str(source), str(out), str(workers)]
        run = subprocess.Popen(words, preexec_fn=lambda: os.nice(5))
        journal = out / ".prepare/journal.jsonl"
        wanted = int(random.integers(1, count - 2))  # a moment of the work, not of the interpreter's start
        until = time.monotonic() + 600
        while run.poll() is None and time.monotonic() < until:
            if journal.exists() and journal.read_bytes().count(b"\n") >= wanted:
                break
            time.sleep(0.001)
        workers_left = children(run.pid)
        run.send_signal(signal.SIGKILL)
        killed += run.wait() == -signal.SIGKILL
        before = journal.read_bytes().count(b"\n") if journal.exists() else count
        report = finish(source, out)
        assert report.run["already"] in {before, before - 1, 0}
        assert content(out) == expected
        until = time.monotonic() + 120
        while any(alive(p) for p in workers_left) and time.monotonic() < until:
            time.sleep(0.05)
        assert not [p for p in workers_left if alive(p)]  # no worker outlives its parent
    assert killed == kills


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False


def test_a_killed_run_goes_on(tmp_path: Path):
    kill_and_resume(tmp_path, 60, 1, 2)


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_goes_on(tmp_path: Path):
    kill_and_resume(tmp_path, 400, 10, 2)


def test_a_picture_that_kills_its_worker_costs_only_itself(tmp_path: Path):
    """A decoder that crashes, or never returns, takes its process with it, and nothing else."""
    source = folder_of(tmp_path / "in", 9, 40)
    config = CONFIG
    tasks = [Task(i, Item(source / f"{i:05d}.png", origin=f"in {i}"), f"{i}") for i in range(9)]
    tasks[2] = Task(2, Deadly(source / "00002.png"), "2")
    tasks[5] = Task(5, Slow(source / "00005.png"), "5")
    pending = tmp_path / "pending"
    pending.mkdir()
    done = list(Crew(config, pending, 2, slowest=8).run(iter(tasks)))
    assert [t.number for t, _ in done] == list(range(9))
    assert {t.number: o.dropped[0][0] for t, o in done if not o.kept} == {2: "crashed", 5: "too slow"}
