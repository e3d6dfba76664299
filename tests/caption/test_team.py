"""Several people caption one table: shares, what comes back, gaps, overlaps, conflicts, and who must redo what."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from folders import Told, failing, ledgers, said, table, texts

from likeness.caption.captioner import Caption
from likeness.caption.finish import finish
from likeness.caption.index import Index
from likeness.caption.labels import Labels
from likeness.caption.run import RunConfig, run
from likeness.caption.team import merge, plan, read_plan
from likeness.data.manifest import Manifest
from likeness.errors import UsageError
from likeness.files import read_jsonl

NAMES = ["anna", "ben", "chloe"]


@pytest.fixture
def set_(tmp_path: Path) -> Path:
    return table(tmp_path / "set", 20)


def copies(set_: Path, tmp_path: Path, names: list[str]) -> dict[str, Path]:
    """Each member's own copy of the folder, under a name of theirs."""
    return {name: Path(shutil.copytree(set_, tmp_path / name / "set")) for name in names}


def do(folder: Path, start: int, end: int, told: Told | None = None) -> None:
    run(folder, told or Told(), RunConfig(start, end))


def test_a_plan_is_exact(set_: Path):
    made = plan(set_, NAMES, "labels", ["--set", "style=tags and more"])
    assert [(m.name, m.start, m.end) for m in made.members] == [("anna", 0, 6), ("ben", 6, 13), ("chloe", 13, 20)]
    assert read_plan(set_) == made and json.loads((set_ / "captions.plan.json").read_text())["rows"] == 20
    words = shlex.split(made.members[1].command)
    assert words[:4] == ["likeness", "caption", "run", str(set_)] and words[-4:] == ["--start", "6", "--end", "13"]
    assert words[4:-4] == ["--captioner", "labels", "--set", "style=tags and more"]
    for names in ([], ["a", "a"], [" "], [str(i) for i in range(21)]):
        with pytest.raises(UsageError):
            plan(set_, names, "labels")
    (set_ / "captions.plan.json").write_text("{}")
    with pytest.raises(UsageError, match="likeness caption plan"):
        read_plan(set_)


def test_members_send_folders_and_files(set_: Path, tmp_path: Path):
    made = plan(set_, NAMES, "labels")
    theirs = copies(set_, tmp_path, NAMES)
    for member in made.members:
        do(theirs[member.name], member.start, member.end)
    (tmp_path / "inbox").mkdir()
    file = Path(shutil.copy(theirs["chloe"] / "captions.13-20.jsonl", tmp_path / "inbox"))
    report = merge(set_, [theirs["anna"], theirs["ben"], file])
    assert report.added == {"anna": 6, "ben": 7, "chloe": 7}  # the file is told by its range
    assert report.coverage.complete and not (report.redo or report.overlaps or report.conflicts)
    assert texts(set_) == {f"images/{i:06d}.png": said(f"{i}") for i in range(20)}
    content = (set_ / "metadata.jsonl").read_bytes()
    again = merge(set_, [theirs["anna"], file])
    assert again.added == {"anna": 0, "chloe": 0} and again.coverage.complete
    assert merge(set_).coverage.complete and (set_ / "metadata.jsonl").read_bytes() == content


def test_who_must_redo_what(set_: Path, tmp_path: Path):
    made = plan(set_, NAMES, "labels")
    theirs = copies(set_, tmp_path, NAMES)
    do(theirs["anna"], 0, 6)
    run(theirs["ben"], Told(failing("server", True, lambda i: i in (8, 10))), RunConfig(6, 13))
    with open(theirs["ben"] / "captions.6-13.jsonl", "ab") as torn:
        torn.write(b'{"file_name": "images/0000')
    run(theirs["anna"], Told(failing("refused", False, lambda i: True)), RunConfig(13, 14))
    report = merge(set_, [theirs["anna"], theirs["ben"]])
    assert not report.coverage.complete and report.coverage.failed == {"refused": 1}
    assert (report.coverage.again, report.coverage.missing, report.coverage.notes) == (2, 6, {"torn": 1})
    assert [(r.name, r.start, r.end, r.rows) for r in report.redo] == [("ben", 8, 11, 2), ("chloe", 14, 20, 6)]
    assert report.redo[1].command == made.members[2].command.replace("--start 13", "--start 14")
    for redo in report.redo:  # they do as they are told, in their own copies
        do(theirs[redo.name], redo.start, redo.end)
    assert merge(set_, [theirs["ben"], theirs["chloe"]]).coverage.complete
    assert len([t for t in texts(set_).values() if t]) == 19  # the refused one waits for --retry-failed


def test_without_a_plan_anybody_may(set_: Path):
    do(set_, 0, 5, Told(name="labels"))
    do(set_, 15, 20, Told(name="labels"))
    report = merge(set_)
    assert [(r.name, r.start, r.end, r.rows) for r in report.redo] == [("anybody", 5, 15, 10)]
    assert "--captioner labels --start 5 --end 15" in report.redo[0].command


def test_texts_of_their_own_are_no_gaps_where_the_plan_says_so(set_: Path):
    Manifest(set_).fold(lambda r: r if r.file_name > "images/000005" else type(r)(r.file_name, "Somebody wrote this."))
    plan(set_, NAMES, "labels", ["--only-missing"])
    run(set_, Told(), RunConfig(only_missing=True))
    report = merge(set_)
    assert report.coverage.complete and (report.coverage.own, report.coverage.captioned) == (5, 15)
    plan(set_, NAMES, "labels")
    report = merge(set_)
    assert [(r.name, r.start, r.end) for r in report.redo] == [("anna", 0, 5)] and report.coverage.missing == 5


def test_a_table_that_changed_since_the_plan(set_: Path):
    plan(set_, NAMES, "labels")
    Manifest(set_).write([r for r in Manifest(set_).records() if r.file_name != "images/000000.png"])
    do(set_, 0, 4)
    report = merge(set_)
    assert report.reordered and [(r.name, r.start, r.end) for r in report.redo][0] == ("anna", 0, 6)  # whole shares


def test_conflicts_keep_the_newest_or_the_preferred(set_: Path, tmp_path: Path):
    theirs = copies(set_, tmp_path, NAMES)
    do(theirs["anna"], 0, 12)
    do(theirs["ben"], 8, 20, Told(lambda f: Caption(f.name, said(f.name, "young with long hair and green eyes"))))
    do(theirs["chloe"], 10, 11)
    report = merge(set_, list(theirs.values()))
    assert report.coverage.complete and sum(report.overlaps.values()) == 4 and report.conflicts == 4
    assert report.overlaps["anna and ben"] == 3 and report.overlaps["anna and ben and chloe"] == 1
    assert any("images/000009.png: anna and ben, kept ben" in e for e in report.examples)

    def young() -> list[int]:
        return [i for i, text in enumerate(texts(set_).values()) if "young" in text]

    assert young() == [8, 9, 11, *range(12, 20)]  # ben's are newer than anna's, and chloe's one is the newest
    merge(set_, prefer="anna")
    assert young() == list(range(12, 20))
    finish(set_)  # stays so
    assert young() == list(range(12, 20))
    merge(set_, prefer="newest")
    assert young() == [8, 9, 11, *range(12, 20)]
    with pytest.raises(UsageError, match="anna"):
        merge(set_, prefer="ana")


def test_two_members_with_the_same_range_stay_apart(set_: Path, tmp_path: Path):
    plan(set_, NAMES, "labels")
    theirs = copies(set_, tmp_path, NAMES)
    do(theirs["anna"], 0, 6)
    do(theirs["ben"], 0, 6, Told(lambda f: Caption(f.name, said(f.name, "young with long hair and green eyes"))))
    report = merge(set_, [theirs[n] / "captions.0-6.jsonl" for n in ("anna", "ben")])
    assert report.conflicts == 6 and set(report.added) == {"anna", "ben"}


def test_bad_members(set_: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nowhere", set_, set_ / "captions.0-5.jsonl"):
        with pytest.raises(UsageError):
            merge(set_, [path])
    with pytest.raises(UsageError, match="likeness data prepare"):
        merge(tmp_path / "empty")
    assert not list(set_.rglob("members/*/*"))


def test_what_members_send_may_be_damaged(set_: Path, tmp_path: Path):
    do(set_, 0, 20)
    good = (set_ / "captions.0-20.jsonl").read_bytes().splitlines()
    (set_ / "captions.0-20.jsonl").unlink()
    sent = tmp_path / "sent"
    sent.mkdir()
    crlf = b"\xef\xbb\xbf" + b"\r\n".join([*good, good[0], b"{", b""]) + good[5][:30]
    (sent / "captions.0-20.jsonl").write_bytes(crlf)
    report = merge(set_, [sent])
    assert report.coverage.complete and report.coverage.notes == {"bad": 1, "torn": 1}
    kept = read_jsonl(set_ / ".captions/members/sent/captions.0-20.jsonl")
    assert len(kept) == 21 and set(texts(set_)) == {row["file_name"] for row in kept}


def test_five_shards_side_by_side_are_the_whole(tmp_path: Path):
    """Real processes, the command as a user types it, one folder; the same as one run alone."""
    folder, alone = table(tmp_path / "set", 503), table(tmp_path / "alone", 503)
    arguments = [sys.executable, "-m", "likeness", "caption", "run", str(folder), "--captioner", "labels", "--json"]
    started = [subprocess.Popen([*arguments, "--shard", f"{i}/5"], stdout=subprocess.PIPE) for i in range(1, 6)]
    reports = [json.loads(process.communicate()[0]) for process in started]
    assert [r["captioned"] for r in reports] == [100, 101, 100, 101, 101] and not any(p.returncode for p in started)
    assert set(Counter(row["file_name"] for row in ledgers(folder)).values()) == {1}
    report = merge(folder)
    assert report.coverage.complete and report.coverage.captioned == 503 and not report.overlaps
    run(alone, Labels())
    finish(alone)
    assert texts(folder) == texts(alone) and all(texts(folder).values())
    with Index.read(folder) as index:
        assert index.captioned() == len(index) == 503
