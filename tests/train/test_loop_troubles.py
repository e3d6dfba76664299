"""What goes wrong in long runs, each thing really done: kills, signals, no memory, no disk."""

import dataclasses
import json
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch

import lines
from likeness.errors import EngineError, TrainingError
from likeness.runs import RunFolder
from likeness.train import loop

GIB = 2**30


@contextmanager
def limited(what: int, value: int):
    """The kernel refuses this process more than `value` within the block."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


def kept(run):
    """The newest checkpoint, without the numbers of the optimizer's own settings."""
    tensors = run.load_checkpoint()[0]
    return {k: v for k, v in tensors.items() if k.startswith(("weight/", "ema/", "optimizer/"))}


def finished(folder, **options):
    run, recipe = RunFolder(folder), lines.Lines(lines.CONFIG, **options)
    loop.train(recipe, lines.CONFIG, run, lines.CPU)
    run.close()
    return kept(run)


def test_a_kill_loses_less_than_an_interval_and_the_run_ends_in_the_same_bits(root, tmp_path):
    program = [sys.executable, str(root / "tests" / "lines.py")]
    killed = subprocess.run([*program, str(tmp_path / "killed"), "{}", "dropout=0.3", "die=56"], timeout=600)
    assert killed.returncode == -signal.SIGKILL
    assert [p.name for p in RunFolder(tmp_path / "killed").checkpoints()] == ["checkpoint-00000032"]
    whole, parts = (finished(tmp_path / name, dropout=0.3) for name in ("whole", "killed"))
    assert len(whole) > 8 and all(torch.equal(whole[k], parts[k]) for k in whole)


@pytest.mark.slow
def test_as_a_program_it_ends_with_one_line_and_goes_on(root, tmp_path):
    """Kill, SIGTERM, no memory and no disk as a user meets them: in a process, by what it prints and returns."""

    def run(*options, what=None, value=0):
        limit = what and (lambda: resource.setrlimit(what, (value, value)))
        command = [sys.executable, str(root / "tests" / "lines.py"), str(tmp_path / "run"), json.dumps({}), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, preexec_fn=limit)
        return done.returncode, done.stdout, done.stderr

    code, _, said = run(f"weight={4 * GIB}", what=resource.RLIMIT_AS, value=6 * GIB)
    assert (
        code == 1 and said.startswith("error: out of memory at step 0 (batch 4, fp32): use ") and said.count("\n") == 1
    )
    assert run("width=64", "die=56")[0] == -signal.SIGKILL
    code, told, _ = run("width=64", "stop=72")
    assert (code, told) == (0, "72 SIGTERM\n")
    size = (tmp_path / "run" / "checkpoint-00000072" / "state.safetensors").stat().st_size
    code, _, said = run("width=64", what=resource.RLIMIT_FSIZE, value=size - 1000)
    assert code == 1 and "checkpoint-00000072 is whole: make room" in said and said.count("\n") == 1
    assert run("width=64")[:2] == (0, "96 None\n")
    whole, parts = finished(tmp_path / "whole", width=64), kept(RunFolder(tmp_path / "run"))
    assert all(torch.equal(whole[k], parts[k]) for k in whole)


def test_out_of_memory_says_which_flags_to_change(tmp_path):
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    recipe = lines.Lines(lines.CONFIG, weight=4 * GIB)  # numbers of 4 bytes: no batch of it fits
    with limited(resource.RLIMIT_AS, used + GIB), pytest.raises(EngineError) as told:
        loop.train(recipe, lines.CONFIG, RunFolder(tmp_path), lines.CPU)
    assert str(told.value) == (
        "out of memory at step 0 (batch 4, fp32): use --set loop.batch=2 --set loop.accumulation=4, or --precision bf16"
    )


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), RuntimeError("std::bad_alloc")],
)
def test_every_librarys_word_for_it_is_known(error):
    class Recipe:
        lighter = "--gradient-checkpointing"

    state = loop.State(images=24, step_images=8)
    with pytest.raises(EngineError, match="at step 3 .*use --gradient-checkpointing"):
        with loop.memory_advice(Recipe(), loop.LoopConfig(), loop.Runtime(torch.device("cpu")), state):
            raise error
    with pytest.raises(RuntimeError, match="shapes"):
        with loop.memory_advice(Recipe(), loop.LoopConfig(), loop.Runtime(torch.device("cpu")), state):
            raise RuntimeError("shapes do not match")


def test_a_full_disk_leaves_the_checkpoint_before_and_the_run_can_go_on(tmp_path):
    run = RunFolder(tmp_path / "full")
    loop.train(lines.Lines(lines.CONFIG, width=64), dataclasses.replace(lines.CONFIG, images=40), run, lines.CPU)
    whole_ones = {p.name for p in run.path.glob("*checkpoint-*")}
    size = (run.checkpoints()[-1] / "state.safetensors").stat().st_size
    with limited(resource.RLIMIT_FSIZE, size - 1000), pytest.raises(TrainingError) as told:
        loop.train(lines.Lines(lines.CONFIG, width=64), lines.CONFIG, run, lines.CPU)
    assert f"cannot write {run.path}/checkpoint-00000064: " in str(told.value)
    assert str(told.value).endswith("checkpoint-00000040 is whole: make room and run the same command again to go on")
    assert {p.name for p in run.path.glob("*checkpoint-*")} == whole_ones  # nothing half written is left
    run.close()
    whole, full = finished(tmp_path / "whole", width=64), finished(tmp_path / "full", width=64)
    assert all(torch.equal(whole[k], full[k]) for k in whole)
