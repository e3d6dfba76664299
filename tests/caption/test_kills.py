"""Runs that are killed, interrupted or told to end: in the end each picture has its caption once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from folders import ledgers, pictures, table, texts
from unruly import TORTURE, Server, serve

from likeness.caption.captioner import make
from likeness.caption.finish import finish, status
from likeness.caption.labels import Labels
from likeness.caption.ledger import Range, claimed
from likeness.caption.run import RunConfig, run
from likeness.errors import UsageError


def begin(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Without haste, so that who looks on is not late: a test kills it in the middle of its work."""
    command = [sys.executable, "-m", "likeness", "caption", "run", str(folder), "--json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=lambda: os.nice(5))


def lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("captions.*.jsonl"))


def wait_for(process: subprocess.Popen[bytes], folder: Path, count: int) -> None:
    """Until there are so many captions; a moment of the work, not of the interpreter's start."""
    until = time.monotonic() + 600
    while process.poll() is None and lines(folder) < count and time.monotonic() < until:
        time.sleep(0.001)


def killed(folder: Path, total: int, kills: int, *options: str) -> int:
    """Kill runs in the middle, at moments drawn from what is left; how many died of it."""
    random_, died = random.Random(kills), 0
    for left in range(kills, 0, -1):
        before = lines(folder)
        process = begin(folder, *options)
        wait_for(process, folder, before + random_.randint(1, max(1, (total - before) // (left + 1))))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        died += process.returncode == -signal.SIGKILL
    return died


def once_each(folder: Path, total: int) -> None:
    counts = Counter(row["file_name"] for row in ledgers(folder))
    assert len(counts) == total and set(counts.values()) == {1}


def test_killed_twice(tmp_path: Path):
    folder, whole = table(tmp_path / "set", 900), table(tmp_path / "whole", 900)
    assert killed(folder, 900, 2, "--captioner", "labels") >= 1
    assert 2 <= lines(folder) < 900
    with claimed(folder, Range(0, 900)):  # a killed run holds nothing
        pass
    before = lines(folder)
    report = run(folder, Labels())
    # the last line may be torn: then it is done again
    assert report.before in {before, before - 1} and report.captioned == 900 - report.before
    once_each(folder, 900)
    run(whole, Labels())
    assert finish(folder).complete and finish(whole).complete
    assert texts(folder) == texts(whole) and all(texts(whole).values())


def through_the_unruly_server(tmp_path: Path, count: int, kills: int, **settings: float) -> None:
    """Captions by `api` from a server that misbehaves, with kills; against what it would say to everybody at once."""
    folder, whole = pictures(tmp_path / "set", count), pictures(tmp_path / "whole", count)
    options = {"timeout": 1.0, "retries": 8, "concurrency": 16}
    with serve(rates=TORTURE, slow=0.3, latency=0.02, **settings) as server:
        words = [w for k, v in options.items() for w in ("--set", f"{k}={v}")]
        command = ["--captioner", "api", "--endpoint", server.url, "--model", "face-vision", *words]
        assert killed(folder, count, kills, *command) >= 0.7 * kills
        api = make("api", {"endpoint": server.url, "model": "face-vision"} | options)
        for _ in range(20):
            run(folder, api, RunConfig(retry_failed=True))
            if status(folder).captioned == count:
                break
    with serve(latency=0.0) as calm:
        run(whole, make("api", {"endpoint": calm.url, "model": "face-vision", "concurrency": 16}))
    once_each(folder, count)
    assert finish(folder).complete and finish(whole).complete
    assert texts(folder) == texts(whole) and all(texts(whole).values())


def test_killed_while_a_server_misbehaves(tmp_path: Path):
    through_the_unruly_server(tmp_path, 40, 1)


@pytest.mark.slow
def test_two_thousand_pictures_killed_ten_times(tmp_path: Path):
    through_the_unruly_server(tmp_path, 2000, 10)


def answers(server: Server) -> int:
    return server.stats()["answers"]


def test_interrupted_it_keeps_what_is_under_way(tmp_path: Path):
    """And nobody else captions the same rows meanwhile."""
    folder = pictures(tmp_path / "set", 60)
    with serve(latency=0.4) as server:
        words = ["--captioner", "api", "--endpoint", server.url, "--model", "face-vision", "--concurrency", "4"]
        process = begin(folder, *words, "--end", "50")
        wait_for(process, folder, 1)
        for config in (RunConfig(end=50), RunConfig(start=49), RunConfig()):
            with pytest.raises(UsageError, match=rf"cannot be captioned now: another process \({process.pid}\)"):
                run(folder, Labels(), config)
        assert run(folder, Labels(), RunConfig(start=50)).captioned == 10  # beside it there is room
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=300)
        assert process.returncode == 130 and b"Traceback" not in told and b"stopping" in told
        report = json.loads(out)
        assert report["stopped"] and 1 <= report["captioned"] < 50 and report["unanswered"] == 0
        assert lines(folder) - 10 == report["captioned"] == answers(server)  # nothing that was paid for is lost
    once_each(folder, report["captioned"] + 10)


def test_told_to_end_it_is_done_with_0(tmp_path: Path):
    folder = table(tmp_path / "set", 3000)
    process = begin(folder, "--captioner", "labels")
    wait_for(process, folder, 1)
    process.send_signal(signal.SIGTERM)
    out, told = process.communicate(timeout=300)
    assert process.returncode == 0 and b"stopping" in told
    assert json.loads(out)["stopped"] and 1 <= lines(folder) == json.loads(out)["captioned"] < 3000


def test_told_twice_it_ends_at_once(tmp_path: Path):
    folder = pictures(tmp_path / "set", 20)
    with serve(latency=0.0, rates={"hang": 0.5}) as server:
        command = ["--captioner", "api", "--endpoint", server.url, "--model", "face-vision", "--set", "timeout=300"]
        process = begin(folder, *command)
        wait_for(process, folder, 1)
        process.send_signal(signal.SIGINT)
        assert process.stderr and any(b"stopping" in line for line in iter(process.stderr.readline, b""))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
        assert process.returncode == 130
        assert 1 <= lines(folder) <= answers(server)
