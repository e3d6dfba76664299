"""Hostile files, and memory that stays flat: preparation must neither crash, nor escape its folder, nor grow."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import hostile
import pytest
from drawing import pattern

from likeness.cli.main import main
from likeness.config import build
from likeness.data.manifest import Manifest
from likeness.data.prepare import Feed, prepare
from likeness.data.recipe import PrepareConfig
from likeness.data.report import MEANINGS, located
from likeness.data.verify import verify
from likeness.files import read_jsonl


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything below a folder with what a writer would change."""
    found = {}
    for top, folders, files in os.walk(os.fsencode(folder)):
        for name in (*folders, *files):
            about = os.lstat(os.path.join(top, name))
            if not stat.S_ISDIR(about.st_mode):
                found[os.fsdecode(os.path.join(top, name))] = (about.st_size, about.st_mtime_ns, about.st_mode)
    return found


def torture(tmp_path: Path, count: int, workers: int, detector: str) -> None:
    """Three sources: a folder of hostile files, a metadata.jsonl and a csv of hostile names."""
    made = hostile.make(tmp_path / "in/files", count)
    outside = tmp_path / "in/secret.png"
    for name in ("rows", "cells"):
        (tmp_path / "in" / name).mkdir()
        for i, picture in enumerate(("good.png", "good2.png")):
            pattern(500 + i + len(name)).save(tmp_path / "in" / name / picture)
    lines, cells = hostile.rows(outside), hostile.cells(outside)
    for name, texts in (("rows/metadata.jsonl", lines), ("cells/table.csv", cells)):
        (tmp_path / "in" / name).write_bytes("".join(f"{t}\n" for t in texts).encode("utf-8", "surrogateescape"))
    before = tree(tmp_path / "in")
    output = tmp_path / "out"
    feeds = [Feed("folder", str(tmp_path / "in/files")), Feed("folder", str(tmp_path / "in/rows"))]
    feeds.append(Feed("csv", str(tmp_path / "in/cells/table.csv")))
    config = build(PrepareConfig, {
        "detector": detector, "crop": {"size": 48, "policy_none": "center"}, "filters": {"min_size": 0, "blur": 0},
    })  # fmt: skip
    report = prepare(feeds, output, config, workers=workers)

    assert tree(tmp_path / "in") == before  # nothing was written, moved or unpacked beside the pictures
    assert {p.name for p in tmp_path.iterdir()} == {"in", "out"}
    left = read_jsonl(output / "dropped.jsonl")
    said = {row["file"] for row in left} | {p["where"] for p in report.problems}
    kept = {r.extra["origin"] for r in Manifest(output).records()}
    for path in made:
        inner = path.name.encode("utf-8", "replace").decode()
        assert located(path) in said or inner in kept, "neither kept nor told"
    assert {row["reason"] for row in left} <= set(MEANINGS) - {"failed", "crashed", "too slow"}
    assert report.dropped.get("duplicate", 0) < 20
    # of the tables, the good pictures came, and every other line is a problem
    names = [r.file_name for r in Manifest(output).records()]
    assert sum("good" in name for name in names) + sum("good" in row["file"] for row in left) >= 3
    assert report.lost >= len(lines) - 4 + len(cells) - 5
    assert all(n.startswith("images/") and n.isascii() and "/" not in n[7:] for n in names)
    assert {p.name for p in output.iterdir()} <= {
        "images", "metadata.jsonl", "report.json", "dropped.jsonl", ".report", ".metadata.lock",
    }  # fmt: skip
    assert set(verify(output).counts) <= {"empty caption"}
    assert json.loads((output / "report.json").read_text(encoding="utf-8"))["kept"] == len(names)
    assert "\x1b" not in report.text() and "\n\n" not in report.text()


def test_hostile_files(tmp_path: Path):
    torture(tmp_path, 45, 0, "none")


@pytest.mark.slow
def test_200_hostile_files_with_workers_and_a_detector(tmp_path: Path):
    torture(tmp_path, 200, 2, "mtcnn")


def test_there_are_200_of_them(tmp_path: Path):
    kinds = len([*hostile.broken(), *hostile.odd()]) + len(hostile.NAMES) + 1
    kinds += len([*hostile.strange(tmp_path)]) + len(hostile.rows(tmp_path)) + len(hostile.cells(tmp_path))
    assert kinds >= 200


MEASURE = """
import json, os, resource, sys, threading, time
import psutil
from likeness.config import build
from likeness.data.prepare import Feed, prepare
from likeness.data.recipe import PrepareConfig
source, output, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
config = build(PrepareConfig, {"detector": sys.argv[4], "crop": {"size": 32, "policy_none": "center"},
                               "filters": {"min_size": 0, "blur": 0, "duplicates": 0}, "level": 0})
most, me = [0, 0], psutil.Process()
def watch(stage, done, total):
    if done % 50 == 0:
        most[0] = max(most[0], me.memory_info().rss)
        sizes = [p.memory_info().rss for p in me.children() if "spawn_main" in " ".join(p.cmdline())]
        most[1] = max([most[1], *sizes])
report = prepare([Feed("folder", source)], output, config, workers=workers, progress=watch)
print(json.dumps({"kept": report.kept, "parent": most[0], "worker": most[1]}))
"""


def memory(tmp_path: Path, counts: tuple[int, int], workers: int, detector: str = "none") -> list[dict[str, int]]:
    """The largest resident sizes while so many tiny pictures are prepared."""
    measured = []
    tiny = pattern(1, 40)
    for count in counts:
        source = tmp_path / f"in{count}"
        source.mkdir()
        tiny.save(source / "first.png")
        for i in range(count):
            # quick to write, quick to read, all different
            data = os.urandom(24) * 8
            (source / f"{i:05d}.ppm").write_bytes(b"P6 8 8 255\n" + data)
        arguments = [str(source), str(tmp_path / f"out{count}"), str(workers), detector]
        done = subprocess.run([sys.executable, "-c", MEASURE, *arguments], capture_output=True, text=True, check=True)
        measured.append(json.loads(done.stdout))
        assert measured[-1]["kept"] > 0.95 * count
    return measured


def test_memory_is_flat(tmp_path: Path):
    few, many = memory(tmp_path, (100, 600), 0)
    assert many["parent"] < 1.1 * few["parent"]


@pytest.mark.slow
def test_memory_is_flat_to_20_000_pictures(tmp_path: Path):
    few, many = memory(tmp_path, (1000, 20_000), 2)
    sizes = [m["parent"] + 2 * m["worker"] for m in (few, many)]
    assert abs(sizes[1] - sizes[0]) < 0.1 * sizes[0]
    # names and perceptual hashes are all that is kept of a picture
    assert many["parent"] - few["parent"] < 19_000 * 800 and many["worker"] < 1.1 * few["worker"]


def test_the_command_survives_them_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made = hostile.make(tmp_path / "in/files", 12)
    line = ["data", "prepare", "folder", "in/files", "--output", "out", "--detector", "none", "--size", "48"]
    assert made and main([*line, "--set", "filters.min_size=0", "--workers", "0"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\x07" not in shown
