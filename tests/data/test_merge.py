"""Merging: equal pictures once, clashes renamed, nothing said lost, and a killed merge ends like an undisturbed one."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.data.manifest import Manifest
from likeness.data.merge import MergeConfig, merge
from likeness.data.shard import Shard
from likeness.data.verify import verify
from likeness.errors import UsageError
from likeness.files import read_jsonl
from likeness.records import Age, Attributes, FaceRecord


def member(folder: Path, *rows: tuple[int, FaceRecord]) -> Path:
    """A prepared folder; each row's picture is drawn from its number."""
    for seed, record in rows:
        path = folder / record.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    Manifest(folder).write(record for _, record in rows)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Everything visible in a folder; the report without the folder's own name."""
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    found.pop(".metadata.lock", None)
    report = json.loads(found["merge.json"])
    report.pop("output")
    found["merge.json"] = json.dumps(report).encode()
    return found


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    a = member(
        tmp_path / "a",
        (1, FaceRecord("images/1.png", "one", Attributes(gender="male"), "A", "CC0", "train")),
        (2, FaceRecord("images/2.png", "", None, "A", "CC0")),
        (3, FaceRecord("images/3.png", "three")),
        (4, FaceRecord("images/train_4.png", "four")),
    )
    b = member(
        tmp_path / "b",
        (5, FaceRecord("images/1.png", "another", extra={"score": 1})),  # same name, another picture
        (
            2,
            FaceRecord("images/2.png", "two", Attributes(age=Age(30)), "B", "CC BY 4.0", caption={"by": "B"}),
        ),  # the same
        (1, FaceRecord("images/x.png", "einer", Attributes(gender="female", glasses="none"), "B", "CC0", "test")),
        (6, FaceRecord("images/6.png", "six", extra={"score": "high"})),
    )
    return [a, b]


def test_nothing_that_was_said_is_lost(two: list[Path], tmp_path: Path):
    report = merge(two, tmp_path / "out")
    found = {r.file_name: r for r in Manifest(tmp_path / "out").records()}
    (clash,) = (n for n in found if n.startswith("images/1-"))
    assert list(found) == [f"images/{n}.png" for n in (1, 2, 3, "trainset_4")] + [clash, "images/6.png"]
    one, two_ = found["images/1.png"], found["images/2.png"]
    assert one.text == "one" and one.extra == {"other_texts": ["einer"], "other_sources": ["B"]}
    assert one.attributes == Attributes(gender="male", glasses="none")  # the first is right, the second fills gaps
    assert one.split == "test"  # what anybody held out stays held out
    assert two_.text == "two" and two_.caption == {"by": "B"} and two_.attributes == Attributes(age=Age(30))
    assert two_.extra == {"other_sources": ["B"], "other_licenses": ["CC BY 4.0"]}
    assert found[clash].text == "another"
    assert [found[n].extra["score"] for n in (clash, "images/6.png")] == ["1", "high"]  # one kind for one column
    assert report.as_text == ["score"]
    assert report.counts == {
        "equal picture": 2, "name clash": 1, "captions differ": 1, "attributes differ": 1, "splits differ": 1,
        "sources differ": 2, "licences differ": 1, "renamed: the name means a split to load_dataset": 1,
    }  # fmt: skip
    assert [(m["rows"], m["pictures"]) for m in report.members] == [(4, 4), (4, 2)] and report.pictures == 6
    checked = verify(tmp_path / "out")
    assert checked.ok, checked.examples
    left = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert left == [".metadata.lock", "images", "merge.json", "metadata.jsonl"]


def test_members_are_left_alone_and_pictures_linked_or_copied(two: list[Path], tmp_path: Path):
    before = [{p: p.read_bytes() for p in (m / "images").rglob("*.*")} for m in two]
    merge(two, tmp_path / "linked")
    merge(two, tmp_path / "copied", MergeConfig(link="copy"))
    assert [{p: p.read_bytes() for p in (m / "images").rglob("*.*")} for m in two] == before
    same = "images/3.png"
    assert (tmp_path / "linked" / same).samefile(two[0] / same)
    assert not (tmp_path / "copied" / same).samefile(two[0] / same)
    tables = [(tmp_path / name / "metadata.jsonl").read_bytes() for name in ("copied", "linked")]
    assert tables[0] == tables[1]


def test_choices(two: list[Path], tmp_path: Path):
    merge(two, tmp_path / "longest", MergeConfig(captions="longest"))
    found = {r.file_name: r for r in Manifest(tmp_path / "longest").records()}
    assert found["images/1.png"].text == "einer" and found["images/1.png"].extra["other_texts"] == ["one"]
    assert merge(two, tmp_path / "keep", MergeConfig(equal="keep")).pictures == 7  # 1.png and x.png stay two
    assert merge(two, tmp_path / "part", MergeConfig(split="train")).pictures == 1
    names = []
    for i in (1, 2, 3):
        merge(two, tmp_path / f"shard{i}", MergeConfig(shard=f"{i}/3"))
        names += [r.file_name for r in Manifest(tmp_path / f"shard{i}").records()]
    merge(two, tmp_path / "all")
    assert names == [r.file_name for r in Manifest(tmp_path / "all").records()]
    for wrong in ({"captions": "best"}, {"link": "soft"}, {"shard": "0/3"}):
        with pytest.raises(UsageError):
            MergeConfig(**wrong)  # type: ignore[arg-type]


def test_names_that_differ_in_case_only_are_one_name(tmp_path: Path):
    a = member(tmp_path / "a", (1, FaceRecord("images/A.png")), (2, FaceRecord("images/é.png")))
    b = member(tmp_path / "b", (3, FaceRecord("images/a.png")), (4, FaceRecord("images/e\u0301.png")))
    assert merge([a, b], tmp_path / "out").counts == {"name clash": 2}


def test_a_merge_of_merges_is_the_merge(two: list[Path], tmp_path: Path):
    merge(two, tmp_path / "one")
    merge([tmp_path / "one", two[0]], tmp_path / "again")
    again, one = (list(Manifest(tmp_path / name).records()) for name in ("again", "one"))
    assert {r.text for r in again} == {r.text for r in one} and len(again) == 6


def test_unusable_rows_are_counted(two: list[Path], tmp_path: Path):
    (two[0] / "images/3.png").unlink()
    (tmp_path / "secret.png").write_bytes(b"secret")
    (two[1] / "images/6.png").unlink()
    (two[1] / "images/6.png").symlink_to(tmp_path / "secret.png")
    with open(two[0] / "metadata.jsonl", "a") as file:
        file.write('nonsense\n{"file_name": "../secret.png"}\n{"torn')
    report = merge(two, tmp_path / "out")
    assert report.counts["missing picture"] == 2 and report.counts["bad row"] == 2 and report.counts["torn row"] == 1
    assert verify(tmp_path / "out").ok and report.pictures == 4


def test_finished_unfinished_and_foreign_outputs(two: list[Path], tmp_path: Path):
    out = tmp_path / "out"
    report = merge(two, out)
    stamp = (out / "metadata.jsonl").stat().st_mtime_ns
    assert merge(two, out) == report and (out / "metadata.jsonl").stat().st_mtime_ns == stamp  # nothing to do
    with pytest.raises(UsageError, match="not empty"):
        merge(two[:1], out)
    for wrong in (two[0], two[0] / "images", tmp_path):
        with pytest.raises(UsageError):
            merge(two, wrong)
    with pytest.raises(UsageError, match="twice"):
        merge([two[0], two[0]], tmp_path / "new")
    with pytest.raises(UsageError, match="no metadata.jsonl"):
        merge([tmp_path / "new"], tmp_path / "other")
    assert not (two[0] / "merge.json").exists()


def test_members_that_change_before_a_merge_is_resumed(two: list[Path], tmp_path: Path):
    """The plan is made anew, and links that the old plan made go."""

    class Stop(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "linking" and done == 3:
            raise Stop

    with pytest.raises(Stop):
        merge(two, tmp_path / "out", progress=stop)
    assert (tmp_path / "out/images/3.png").exists() and not (tmp_path / "out/metadata.jsonl").exists()
    Manifest(two[0]).fold(lambda r: None if r.file_name == "images/3.png" else r)
    merge(two, tmp_path / "out")
    merge(two, tmp_path / "fresh")
    assert content(tmp_path / "out") == content(tmp_path / "fresh")
    assert not (tmp_path / "out/images/3.png").exists()


def test_a_picture_that_changes_meanwhile_is_noticed(two: list[Path], tmp_path: Path):
    def touch(stage: str, done: int, total: int) -> None:
        if stage == "linking" and done == 1:
            (two[1] / "images/6.png").write_bytes((two[0] / "images/3.png").read_bytes() + b" ")

    with pytest.raises(UsageError, match="has changed"):
        merge(two, tmp_path / "out", progress=touch)
    merge(two, tmp_path / "out")
    assert verify(tmp_path / "out").ok


def many(folder: Path, count: int, first: int) -> Path:
    random_ = random.Random(first)
    return member(
        folder,
        *(
            (first + i, FaceRecord(f"images/{i}.png", f"face {random_.random()}", source=folder.name))
            for i in range(count)
        ),
    )


MERGE = """
import sys
from likeness.data.merge import MergeConfig, merge
merge(sys.argv[2:], sys.argv[1], MergeConfig(link="copy"))
"""


def kill_and_resume(tmp_path: Path, count: int, kills: int) -> None:
    firsts = {"a": 0, "b": count // 2, "c": 10_000}
    members = [many(tmp_path / name, count, first) for name, first in firsts.items()]
    names = [str(m) for m in members]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", MERGE, str(tmp_path / "whole"), *names], check=True)
    took = time.perf_counter() - start
    expected = content(tmp_path / "whole")
    random_ = random.Random(kills)
    for attempt in range(kills):
        out = tmp_path / f"out{attempt}"
        died, longest = 0, took
        while died < 2:
            worker = subprocess.Popen([sys.executable, "-c", MERGE, str(out), *names])
            # the interpreter's start is not what is to be killed: wait for the first trace
            while worker.poll() is None and not (out / ".merge").exists():
                time.sleep(0.002)
            time.sleep(random_.uniform(0, longest))
            worker.send_signal(signal.SIGKILL)
            if worker.wait() == 0:  # it had ended: sooner, from the beginning
                shutil.rmtree(out)
                longest /= 2
                continue
            died += 1
            if (out / "metadata.jsonl").exists():
                assert len(list((out / "images").iterdir())) == len(read_jsonl(out / "metadata.jsonl"))
        subprocess.run([sys.executable, "-c", MERGE, str(out), *names], check=True)
        assert content(out) == expected


def test_a_killed_merge_goes_on(tmp_path: Path):
    kill_and_resume(tmp_path, 120, 1)


@pytest.mark.slow
def test_a_merge_that_is_killed_ten_times_goes_on(tmp_path: Path):
    kill_and_resume(tmp_path, 600, 10)


def test_shards_are_the_whole():
    for total in (0, 1, 7, 100):
        for count in (1, 2, 3, 8):
            parts = [list(Shard(i, count).take(range(total), total)) for i in range(1, count + 1)]
            assert sum(parts, []) == list(range(total))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert Shard.parse(" 3/8 ") == Shard(3, 8) and str(Shard(3, 8)) == "3/8"
    for wrong in ("0/3", "4/3", "1/0", "3", "a/b", "-1/3", "1/3/2"):
        with pytest.raises(UsageError):
            Shard.parse(wrong)
