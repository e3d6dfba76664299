"""Files of outcomes: appended line by line, read whatever happened to them, one writer to a range."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
from folders import said, table

from likeness.caption.captioner import Caption, Failure, Usage
from likeness.caption.index import Index
from likeness.caption.ledger import Ledger, Range, claimed, found, now, sources, when
from likeness.data.manifest import Note
from likeness.errors import UsageError
from likeness.files import read_jsonl
from likeness.records import Attributes

NAMES = [f"images/{i:06d}.png" for i in range(6)]


def line(name: str, text: str = "", time: str = "2026-01-01T00:00:00Z", **facts: Any) -> bytes:
    row = {"file_name": name, "text": text or said(name), "caption": {"captioner": "told", "time": time}}
    return json.dumps(row | facts).encode() + b"\n"


def lost(name: str, reason: str, time: str, again: bool = True) -> bytes:
    row = {"file_name": name, "reason": reason, "detail": "", "again": again, "tries": 1, "time": time}
    return json.dumps(row).encode() + b"\n"


def test_what_is_written_is_read(tmp_path: Path):
    ledger = Ledger(tmp_path, Range(0, 6))
    seen = Attributes(hair_color="red")
    ledger.caption(
        Caption(
            NAMES[0], said(NAMES[0]), seen, {"hair_color": 0.9}, {"prompt": "p.v1"}, Usage(10, 5, 1, 0.25), 1.23456
        ),
        {"captioner": "told", "prompt": "older"},
    )
    ledger.failure(Failure(NAMES[1], "server", "500", again=True), 3)
    ledger.close()
    row = read_jsonl(tmp_path / "captions.0-6.jsonl")[0]
    assert when(row["caption"].pop("time")) > 1.7e9
    assert row == {
        "file_name": NAMES[0], "text": said(NAMES[0]), "attributes": {"hair_color": "red"},
        "caption": {"captioner": "told", "prompt": "p.v1"}, "confidence": {"hair_color": 0.9},
        "usage": {"tokens_in": 10, "tokens_out": 5, "requests": 1, "cost": 0.25}, "seconds": 1.235,
    }  # fmt: skip
    row = read_jsonl(tmp_path / "failures.0-6.jsonl")[0]
    assert (row["file_name"], row["reason"], row["detail"], row["again"], row["tries"]) == (
        NAMES[1], "server", "500", True, 3,
    )  # fmt: skip
    with Index.read(tmp_path) as index:
        assert [index.state(n) for n in NAMES[:3]] == ["captioned", "again", "missing"]
        assert index.row(NAMES[0])["text"] == said(NAMES[0]) and index.row(NAMES[2]) is None


def test_files_that_were_mistreated_are_read(tmp_path: Path):
    """A mark at the start, Windows line ends, repeated and blank lines, a bad one, and a torn one at the end."""
    table(tmp_path / "set", 6)
    crlf = line(NAMES[1]).replace(b"\n", b"\r\n")
    windows = line(NAMES[2].replace("/", "\\"))
    content = b"\xef\xbb\xbf" + line(NAMES[0]) + crlf + b"\r\n" + crlf + b"{not json}\n" + windows + line(NAMES[3])[:40]
    (tmp_path / "set/captions.0-6.jsonl").write_bytes(content)
    notes: list[Note] = []
    with Index.read(tmp_path / "set", notes.append) as index:
        assert [index.state(n) == "captioned" for n in NAMES] == [True, True, True, False, False, False]
        assert [index.row(n)["text"] for n in NAMES[:3]] == [said(n) for n in NAMES[:3]]
        assert index.captioned() == 3
    assert [n.kind for n in notes] == ["bad", "torn"]
    # the next writer cuts the torn line off, and keeps the rest
    ledger = Ledger(tmp_path / "set", Range(0, 6))
    ledger.caption(Caption(NAMES[3], said(NAMES[3])), {})
    ledger.close()
    with Index.read(tmp_path / "set") as index:
        assert index.captioned() == 4 and index.row(NAMES[3])["text"] == said(NAMES[3])
    assert (tmp_path / "set/captions.0-6.jsonl").read_bytes().startswith(content[: -len(line(NAMES[3])[:40])])


@pytest.mark.parametrize("bad", [
    b'{"file_name": "../../etc/passwd", "text": "x"}\n', b'{"file_name": 5, "text": "x"}\n', b"[]\n",
    b'{"file_name": "images/000000.png", "text": "  "}\n', b'{"file_name": "images/000000.png"}\n', b"\xff\xfe\n",
    b'{"file_name": "images/000000.png", "text": "x", "attributes": {"gender": "robot"}}\n',
])  # fmt: skip
def test_lines_that_say_nothing_of_a_picture_are_told(tmp_path: Path, bad: bytes):
    (tmp_path / "captions.0-1.jsonl").write_bytes(bad + line(NAMES[1]))
    notes: list[Note] = []
    with Index.read(tmp_path, notes.append) as index:
        assert index.state(NAMES[0]) == "missing" and index.state(NAMES[1]) == "captioned"
    assert [n.kind for n in notes] == ["bad"] and "line 1" in notes[0].where


def test_which_line_counts(tmp_path: Path):
    early, middle, late = (f"2026-01-01T00:00:0{i}Z" for i in (1, 2, 3))
    (tmp_path / "captions.0-3.jsonl").write_bytes(
        line(NAMES[0], "A new text.", late) + line(NAMES[0], "An old text.", early) + line(NAMES[1], "Kept.", early)
        + line(NAMES[2], "Taken back.", early) + line(NAMES[3], "Written after that.", late)
    )  # fmt: skip
    (tmp_path / "failures.0-3.jsonl").write_bytes(
        lost(NAMES[1], "server", late) + lost(NAMES[2], "rejected", middle) + lost(NAMES[3], "rejected", middle)
        + lost(NAMES[4], "refused", late, again=False) + lost(NAMES[4], "server", early)
    )  # fmt: skip
    with Index.read(tmp_path) as index:
        assert [index.state(n) for n in NAMES] == [
            "captioned", "captioned", "again", "captioned", "failed", "missing",
        ]  # fmt: skip
        assert index.row(NAMES[0])["text"] == "A new text." and index.row(NAMES[2])["reason"] == "rejected"
        assert index.captioned() == 3
    with Index.read(tmp_path, since=when(late)) as index:
        assert [index.state(n) for n in NAMES[:3]] == ["captioned", "again", "missing"]


def test_other_files_are_left_alone(tmp_path: Path):
    for name in ("captions.plan.json", "captions.1-2.jsonl.bak", "captions.a-b.jsonl", "mycaptions.0-1.jsonl"):
        (tmp_path / name).write_bytes(line(NAMES[0]))
    assert sources(tmp_path) == [] and found(tmp_path / "captions.a-b.jsonl") == []


def test_ranges():
    assert Range.of(10) == Range(0, 10) and Range.of(10, 3) == Range(3, 10) and Range.of(10, 0, 99) == Range(0, 10)
    assert [Range.of(10, shard=f"{i}/3") for i in (1, 2, 3)] == [Range(0, 3), Range(3, 6), Range(6, 10)]
    assert len(Range.of(0)) == 0 and len(Range.of(3, shard="1/5")) == 0
    for wrong in (
        {"start": 5, "end": 3}, {"start": 5, "end": 5}, {"start": -1}, {"start": 10}, {"shard": "6/5"},
        {"shard": "x"}, {"shard": "1/2", "start": 0},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            Range.of(10, **wrong)  # type: ignore[arg-type]


def test_a_range_has_one_writer_and_so_have_ranges_that_overlap(tmp_path: Path):
    with claimed(tmp_path, Range(0, 50)), claimed(tmp_path, Range(50, 100)):
        for taken in (Range(0, 50), Range(20, 70), Range(49, 50), Range(0, 1000)):
            with pytest.raises(UsageError, match=f"rows {taken} cannot be captioned now: another process"):
                with claimed(tmp_path, taken):
                    raise AssertionError("two writers")
        with claimed(tmp_path, Range(100, 101)):
            pass
    with claimed(tmp_path, Range(20, 70)):
        pass


def test_a_full_disk_leaves_whole_lines(tmp_path: Path):
    ledger = Ledger(tmp_path, Range(0, 6))
    ledger.caption(Caption(NAMES[0], said(NAMES[0])), {})
    before = (tmp_path / "captions.0-6.jsonl").read_bytes()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
        with pytest.raises(UsageError, match="Make room and run it again"):
            ledger.caption(Caption(NAMES[1], said(NAMES[1])), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert (tmp_path / "captions.0-6.jsonl").read_bytes() == before


def test_times_sort_as_texts():
    first, second = now(), now()
    assert first <= second and when(first) <= when(second) and when(first) > 1.7e9
    assert when("2026-01-01T00:00:00") == when("2026-01-01T00:00:00Z") == when("2026-01-01T01:00:00+01:00")
    assert when(None) == when("yesterday") == when(5) == 0
