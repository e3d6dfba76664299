"""Several processes of this machine, really started: through accelerate, on CPUs."""

import json
import shlex
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

import lines
from likeness.cli.main import main
from likeness.launch.local import accelerate
from likeness.runs import RunFolder
from likeness.train.hooks import validation
from likeness.train.loop import train


def words(root, output, settings, *options):
    start = accelerate([], 2, threads=1)
    program = str(root / "tests" / "lines.py")
    return [*start[: start.index("-m", 2)], program, str(output), json.dumps(settings), *options]


def launched(root, output, settings, *options):
    return subprocess.run(words(root, output, settings, *options), capture_output=True, text=True, timeout=300)


def curve(folder):
    return {(r["images"], k): v for r in RunFolder(folder).metrics() for k, v in r.items() if "loss" in k}


def test_two_processes_give_the_curve_of_one(root, tmp_path):
    plan = lines.CONFIG.__class__(**vars(lines.CONFIG) | {"validate_every": 32})
    recipe, run = lines.Lines(plan), RunFolder(tmp_path / "one")
    train(recipe, plan, run, lines.CPU, [validation(recipe, run, lines.CPU, 32)])
    done = launched(root, tmp_path / "two", {"batch": 2, "validate_every": 32})
    assert done.returncode == 0 and done.stdout == "96 None\n", done.stderr  # one of them speaks
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert len(one) == 15 and one.keys() == two.keys()  # one of them writes: nothing is logged twice
    assert two == pytest.approx(one, abs=1e-5)
    single, pair = (load_file(RunFolder(tmp_path / d).checkpoints()[-1] / "state.safetensors") for d in ("one", "two"))
    for name in single:
        torch.testing.assert_close(pair[name], single[name], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_two_processes_stop_and_fail_together_and_go_on(root, tmp_path):
    settings = {"batch": 2}
    assert launched(root, tmp_path / "whole", settings).stdout == "96 None\n"
    assert launched(root, tmp_path / "run", settings, "stop=40").returncode == 0  # either may be told first
    assert RunFolder(tmp_path / "run").load_checkpoint()[1] == 40
    failed = launched(root, tmp_path / "run", settings, "poison=13")
    assert failed.returncode != 0 and "error: loss is nan at step 6 (files: " in failed.stderr
    assert launched(root, tmp_path / "run", settings).stdout == "96 None\n"
    whole, parts = (
        load_file(RunFolder(tmp_path / d).checkpoints()[-1] / "state.safetensors") for d in ("whole", "run")
    )
    assert all(torch.equal(whole[k], parts[k]) for k in whole)


@pytest.mark.slow
def test_sigterm_to_the_launcher_saves(root, tmp_path):
    settings = {"batch": 2, "images": 10**6, "log_every": 10**6}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    training = subprocess.Popen(words(root, tmp_path, settings), **quiet)
    deadline = time.monotonic() + 120
    while not RunFolder(tmp_path).checkpoints() and time.monotonic() < deadline:
        time.sleep(0.1)
    training.terminate()
    images, _, why = training.communicate(timeout=120)[0].partition(" ")
    assert why == "SIGTERM\n" and RunFolder(tmp_path).load_checkpoint()[1] == int(images) < 10**6


def test_the_command_that_is_started_can_be_seen(capsys):
    assert (
        main(["launch", "local", "lora/mini", "--processes", "3", "--threads", "2", "--print", "--", "--data", "a b"])
        == 0
    )
    words = shlex.split(capsys.readouterr().out)
    assert words[0] == sys.executable and words[words.index("--num_processes") + 1] == "3"
    assert words[-7:] == ["likeness", "train", "lora", "--preset", "lora/mini", "--data", "a b"]
