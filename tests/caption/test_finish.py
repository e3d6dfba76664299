"""Captions are folded into the table once, all or nothing; labels win; memory does not grow with the table."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from folders import Told, failing, said, table, texts

from likeness.caption.captioner import Caption
from likeness.caption.finish import finish, folded, status
from likeness.caption.run import RunConfig, run
from likeness.data.manifest import Manifest
from likeness.errors import UsageError
from likeness.files import read_jsonl
from likeness.records import Age, Attributes, FaceRecord


def test_a_row_for_each_picture_and_nothing_else_is_lost(tmp_path: Path):
    folder = table(tmp_path / "set", 30)
    before = {r.file_name: r for r in Manifest(folder).records()}
    for shard in ("2/3", "1/3"):
        run(folder, Told(), RunConfig(shard=shard))
    coverage = status(folder)
    assert (coverage.captioned, coverage.missing, coverage.unfolded, coverage.gaps) == (20, 10, 20, [(20, 30)])
    coverage = finish(folder)
    assert (coverage.captioned, coverage.missing, coverage.unfolded, coverage.complete) == (20, 10, 0, False)
    rows = list(Manifest(folder).records())
    assert [r.file_name for r in rows] == list(before)
    for i, row in enumerate(rows):
        assert row.text == (said(row.file_name) if i < 20 else "")
        assert (row.attributes, row.source) == (before[row.file_name].attributes, "made")
        assert (row.caption or {}).get("captioner") == ("told" if i < 20 else None)
    run(folder, Told())
    assert finish(folder).complete and len(texts(folder)) == 30


def test_a_second_finish_changes_nothing(tmp_path: Path):
    folder = table(tmp_path / "set", 30)
    run(folder, Told(failing("refused", False, lambda i: i % 7 == 0)))
    first = finish(folder)
    content, stamp = (folder / "metadata.jsonl").read_bytes(), (folder / "metadata.jsonl").stat().st_mtime_ns
    assert finish(folder) == first and first.failed == {"refused": 5}
    assert (folder / "metadata.jsonl").read_bytes() == content
    assert (folder / "metadata.jsonl").stat().st_mtime_ns == stamp  # not even written again
    for path in folder.glob("captions.*"):
        path.unlink()  # the files are no longer needed then
    assert finish(folder).captioned == 25 and (folder / "metadata.jsonl").read_bytes() == content


def test_labels_win_over_what_a_model_saw(tmp_path: Path):
    folder = table(tmp_path / "set", 1)

    def seen(**values: object):
        return lambda face: Caption(face.name, said(face.name), Attributes(**values))  # type: ignore[arg-type]

    run(folder, Told(seen(gender="female", hair_length="short", eye_color="blue")))
    finish(folder)
    row = next(Manifest(folder).records())
    assert row.attributes == Attributes(
        gender="male", age=Age(30, 39), hair_color="black", hair_length="short", eye_color="blue"
    )
    assert row.caption and sorted(row.caption["filled"]) == ["eye_color", "hair_length"]
    run(folder, Told(seen(gender="female", hair_length="long")), RunConfig(overwrite=True))
    finish(folder)  # what an earlier model saw gives way; the labels do not
    row = next(Manifest(folder).records())
    assert row.attributes == Attributes(gender="male", age=Age(30, 39), hair_color="black", hair_length="long")
    assert row.caption and row.caption["filled"] == ["hair_length"]


def test_what_is_newer_than_a_caption_stays():
    record = FaceRecord("images/a.png", "By hand.", caption={"captioner": "told", "time": "2026-02-01T00:00:00Z"})
    row = {"file_name": "images/a.png", "text": "By a model.", "caption": {"time": "2026-01-01T00:00:00Z"}}
    assert folded(record, row) is record
    assert folded(record, row | {"caption": {"time": "2026-02-01T00:00:00Z"}}) is record
    assert folded(record, row | {"caption": {"time": "2026-03-01T00:00:00Z"}}).text == "By a model."
    assert folded(record, row, preferred=True).text == "By a model."
    timeless = {"file_name": "images/a.png", "text": "From elsewhere."}  # a file that another tool wrote
    once = folded(FaceRecord("images/a.png"), timeless)
    assert once.text == "From elsewhere." and folded(once, timeless) is once


def test_captions_of_unknown_pictures_are_counted(tmp_path: Path):
    folder = table(tmp_path / "set", 3)
    run(folder, Told())
    lines = (folder / "captions.0-3.jsonl").read_text()
    (folder / "captions.0-3.jsonl").write_text(lines + lines.splitlines()[0].replace("000000", "999999") + "\n{bad}\n")
    coverage = finish(folder)
    assert (coverage.captioned, coverage.strangers, coverage.notes) == (3, 1, {"bad": 1})
    assert len(texts(folder)) == 3


def test_a_disk_that_is_full_leaves_the_table(tmp_path: Path):
    folder = table(tmp_path / "set", 50)
    run(folder, Told())
    before = (folder / "metadata.jsonl").read_bytes()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
        with pytest.raises(UsageError, match="cannot write"):
            finish(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert (folder / "metadata.jsonl").read_bytes() == before
    assert sorted(p.name for p in folder.iterdir() if p.name.startswith(".metadata.")) == [".metadata.lock"]
    assert finish(folder).complete


def test_no_table_is_one_line(tmp_path: Path):
    for what in (finish, status):
        with pytest.raises(UsageError, match="likeness data prepare"):
            what(tmp_path)


MEMORY = r"""
import re, sys
from likeness.caption.finish import finish
from likeness.caption.labels import Labels
from likeness.caption.run import RunConfig, run
run(sys.argv[1], Labels(), RunConfig(start=int(sys.argv[2])))
finish(sys.argv[1])
print(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1])  # ru_maxrss would be the parent's
"""


LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")


def peak(folder: Path, start: int) -> float:
    """Megabytes that captioning the rows from `start` on, and folding, takes."""
    done = subprocess.run([sys.executable, "-c", MEMORY, str(folder), str(start)], capture_output=True, check=True)
    return int(done.stdout) / 1024


def grow(tmp_path: Path, rows: int, pad: int) -> float:
    small, large = table(tmp_path / "small", 100, pad), table(tmp_path / "large", rows, pad)
    growth = peak(large, rows - 100) - peak(small, 0)
    assert len(json.loads((large / "metadata.jsonl").open().readlines()[-1])["text"]) > 20
    return growth


@LINUX
def test_memory_stays_flat(tmp_path: Path):
    assert grow(tmp_path, 1_500, 16_000) < 8  # MB, of a table of 24


@LINUX
@pytest.mark.slow
def test_memory_stays_flat_with_a_table_of_a_gigabyte(tmp_path: Path):
    assert grow(tmp_path, 250_000, 4_000) < 40


def test_the_folder_still_loads_as_a_data_set(tmp_path: Path):
    """Files of outcomes beside the table must not be taken for a part of it."""
    datasets = pytest.importorskip("datasets")
    from folders import pictures

    folder = pictures(tmp_path / "set", 4)
    run(folder, Told(failing("refused", False, lambda i: i == 3)))
    finish(folder)
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(folder), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == 4 and loaded[0]["text"] == said("images/000000.png")
    assert len(read_jsonl(folder / "metadata.jsonl")) == 4
