import json
import resource
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
import safetensors.torch
import torch
import yaml
from PIL import Image

from likeness import runs
from likeness.errors import MissingExtra, TrainingError, UsageError
from likeness.runs import RunFolder


@dataclass(frozen=True)
class Settings:
    steps: int = 3
    widths: tuple[int, ...] = (1, 2)
    inner: dict = field(default_factory=lambda: {"a": None})


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "mini")
    yield folder
    folder.close()


def test_the_configuration_is_written_with_what_identifies_the_run(run):
    run.write_config(Settings(), seed=7)
    written = yaml.safe_load((run.path / "config.yaml").read_text())
    assert written["config"] == {"steps": 3, "widths": [1, 2], "inner": {"a": None}}
    assert written["seed"] == 7 and written["commit"] == runs.commit()


def test_metrics_and_tensorboard_tell_the_same(run):
    for images in (8, 16, 24):
        run.log(images, loss=1 / images, rate=2.0)
    run.sample("grid", Image.new("RGB", (8, 8), "red"), 24)
    run.close()
    assert run.metrics() == [{"images": n, "loss": 1 / n, "rate": 2.0} for n in (8, 16, 24)]
    assert Image.open(run.path / "samples" / "grid-0000024.png").getpixel((0, 0)) == (255, 0, 0)

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path))
    events.Reload()
    told = [(e.step, e.value) for e in events.Scalars("loss")]
    assert told == [(n, pytest.approx(1 / n)) for n in (8, 16, 24)]
    assert [e.step for e in events.Images("grid")] == [24]


def test_no_tensorboard_is_told_before_step_0(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match=r"pip install 'likeness\[train\]'"):
        run.write_config(Settings())
    assert not (run.path / "config.yaml").exists()


def test_a_resumed_run_counts_nothing_twice(run):
    for images in (8, 16, 24, 32):
        run.log(images, loss=1.0)
    run.forget_after(16)
    assert [row["images"] for row in run.metrics()] == [8, 16]
    run.log(24, loss=0.5)
    assert [(row["images"], row["loss"]) for row in run.metrics()] == [(8, 1.0), (16, 1.0), (24, 0.5)]


def test_a_line_torn_by_a_kill_does_not_spoil_the_next_one(run):
    run.log(8, loss=1.0)
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"images": 16, "lo')
    run.forget_after(8)
    run.log(16, loss=0.5)
    assert run.metrics() == [{"images": 8, "loss": 1.0}, {"images": 16, "loss": 0.5}]


def test_forgetting_nothing_touches_nothing(run):
    run.forget_after(0)
    assert not (run.path / "metrics.jsonl").exists()
    run.log(8, loss=1.0)
    before = (run.path / "metrics.jsonl").stat().st_ino  # a rewrite would be a new file
    run.forget_after(8)
    assert (run.path / "metrics.jsonl").stat().st_ino == before


def test_checkpoints_round_trip_to_the_bit_and_old_ones_go(run):
    assert run.load_checkpoint() is None
    generator = torch.Generator().manual_seed(0)
    for images in (8, 16, 100_000_000):  # the last has more digits than the names are padded to
        tensors = {
            "a": torch.randn(3, 4, generator=generator).T,
            "n": torch.tensor(images),
            "b": torch.ones(2).bfloat16(),
        }
        run.save_checkpoint(tensors, images, keep=2)
    assert [p.name for p in run.checkpoints()] == ["checkpoint-00000016", "checkpoint-100000000"]
    loaded, images = run.load_checkpoint()
    assert images == 100_000_000 and set(loaded) == set(tensors)
    assert all(torch.equal(loaded[k], v) and loaded[k].dtype == v.dtype for k, v in tensors.items())


def test_a_checkpoint_can_be_read_by_whom_the_run_folder_can(run):
    run.path.chmod(0o755)
    mode = run.save_checkpoint({"a": torch.ones(1)}, 8).stat().st_mode
    assert stat.S_IMODE(mode) == 0o755


def test_a_full_disk_leaves_the_checkpoint_before(run, monkeypatch):
    run.save_checkpoint({"a": torch.ones(1)}, 8)

    def half(tensors, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", half)
    with pytest.raises(TrainingError, match="No space left on device. checkpoint-00000008 is whole: make room"):
        run.save_checkpoint({"a": torch.zeros(1)}, 16)
    monkeypatch.undo()
    assert [p.name for p in run.path.iterdir()] == ["checkpoint-00000008"]
    assert run.load_checkpoint()[1] == 8


def test_metrics_on_a_full_disk_are_one_clear_line_and_the_torn_one_is_mended(run):
    run.log(8, loss=1.0)
    run.save_checkpoint({"a": torch.ones(1)}, 8)
    run.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((run.path / "metrics.jsonl").stat().st_size + 9, hard))
    try:
        with pytest.raises(TrainingError, match=r"cannot write .*metrics.jsonl: .*checkpoint-00000008 is whole"):
            run.log(16, loss=1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run.forget_after(8)
    assert run.metrics() == [{"images": 8, "loss": 1.0}]


def test_a_process_that_does_not_write_leaves_no_trace(tmp_path):
    run = RunFolder(tmp_path, writes=False)
    run.write_config(Settings())
    run.log(8, loss=1.0)
    run.save_checkpoint({"a": torch.ones(1)}, 8)
    run.sample("grid", Image.new("RGB", (8, 8)), 8)
    run.forget_after(0)
    assert list(tmp_path.iterdir()) == []


def test_going_back_drops_the_checkpoints_that_come_after(run):
    for images in (8, 16, 24):
        run.save_checkpoint({"a": torch.full((1,), float(images))}, images, keep=3)
    tensors, images = run.load_checkpoint("checkpoint-00000016")
    assert (float(tensors["a"]), images) == (16, 16)
    run.forget_after(images)
    assert [p.name for p in run.checkpoints()] == ["checkpoint-00000008", "checkpoint-00000016"]


def test_what_a_whole_checkpoint_needs_is_written_before_it_has_its_name(run):
    def export(folder):
        assert not run.checkpoints()
        (folder / "adapter.bin").write_text("x")

    target = run.save_checkpoint({"a": torch.ones(1)}, 8, export=export)
    assert {p.name for p in target.iterdir()} == {"adapter.bin", "state.json", "state.safetensors"}


def test_what_a_killed_writer_left_is_no_checkpoint_and_goes_with_the_next(run):
    left = run.path / ".checkpoint-abc"
    left.mkdir()
    (left / "state.safetensors").write_bytes(b"half")
    (run.path / "checkpoint-00000099").mkdir()  # no state.json: not whole
    (run.path / "checkpoint-best").mkdir()
    (run.path / "checkpoint-best" / "state.json").write_text("{}")
    assert run.load_checkpoint() is None
    run.save_checkpoint({"a": torch.ones(1)}, 8)
    assert not left.exists() and run.load_checkpoint()[1] == 8


@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_named(run, file):
    run.save_checkpoint({"a": torch.ones(100)}, 8)
    path = run.path / "checkpoint-00000008" / file
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TrainingError, match="checkpoint-00000008 is damaged"):
        run.load_checkpoint()


def test_a_run_folder_that_cannot_be_made_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "mini"):
        with pytest.raises(UsageError, match="another --output"):
            RunFolder(path)


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_the_commit_is_that_of_our_code_and_of_nobody_elses(tmp_path, monkeypatch):
    """Installed into a folder that lies in another project's checkout, that project's commit says nothing of us."""
    package = tmp_path / "site-packages" / "likeness"
    package.mkdir(parents=True)
    (package / "runs.py").write_text("")
    monkeypatch.setattr(runs, "__file__", str(package / "runs.py"))
    assert runs.commit() is None

    def git(*words):
        names = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", str(tmp_path), *names, *words], check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "-m", "theirs")
    assert runs.commit() is None
    git("add", ".")
    git("commit", "-m", "ours")
    commit = runs.commit()
    assert commit and len(commit) == 12
    (package / "runs.py").write_text("# changed")
    assert runs.commit() == f"{commit}-dirty"


def test_metrics_are_plain_json_lines(run):
    run.log(8, loss=0.25)
    assert json.loads((run.path / "metrics.jsonl").read_text()) == {"images": 8, "loss": 0.25}
