"""Tables: what is read from other people's, what is left of a killed writer's, and what comes back from csv."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from collections import Counter

import pytest

from likeness.data.labels import read_faces
from likeness.data.manifest import Manifest, line, tally
from likeness.data.manifest_csv import from_csv, to_csv
from likeness.data.names import misleading, normal, portable
from likeness.errors import RecordError, UsageError
from likeness.files import read_jsonl
from likeness.records import Age, Attributes, FaceRecord

FULL = FaceRecord(
    "images/a.png",
    'A man, "old";\nwith a scar\r\non his chin \u2028 é', Attributes(Age(30, 39), marks=("scar", "mole")),
    "set", "CC0", "train", "ab" * 32, (1, 2.5, 3, 4), ((1.0, 2.0), (3.5, 4.0)), {"captioner": "x", "at": 1.5},
    {"group": "17", "score": 0.25, "odd": [1, {"b": None}], "digits": "5", "yes": True, "none": None, "like": "[1]"},
)  # fmt: skip


def folder(tmp_path, *rows, images=("a.png",), end="\n"):
    (tmp_path / "images").mkdir(exist_ok=True)
    for name in images:
        (tmp_path / "images" / name).write_bytes(b"x")
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (tmp_path / "metadata.jsonl").write_bytes((end.join(texts) + end).encode())
    return Manifest(tmp_path)


def test_a_record_comes_back_from_a_table_and_from_csv(tmp_path):
    manifest = Manifest(tmp_path / "a")
    other = FaceRecord("images/b.png")
    assert manifest.write([FULL, other]) == 2
    assert list(manifest.records()) == [FULL, other]
    assert to_csv(tmp_path / "a", tmp_path / "out.csv") == 2
    assert from_csv(tmp_path / "out.csv", tmp_path / "b") == 2
    found = list(Manifest(tmp_path / "b").records())
    # an empty cell says nothing: a null is not told from an absent key
    extra = {k: v for k, v in FULL.extra.items() if v is not None}
    assert [f.to_dict() for f in found] == [{**FULL.to_dict(), **extra} | {"none": None}, other.to_dict()]


def test_values_of_another_kind_and_unknown_keys_are_kept():
    row = {"file_name": "a", "text": "t", "caption": "not a record", "box": [1, 2], "source": 5, "x": {"y": [1]}}
    record = FaceRecord.from_dict(row)
    assert record.caption is None and record.box is None and record.source is None
    assert record.to_dict() == row
    assert FaceRecord.from_dict({"file_name": "a", "text": None}).text == ""


@pytest.mark.parametrize("row", [{}, {"file_name": 3}, {"file_name": " "}, {"file_name": "a", "text": ["b"]},
                                 {"file_name": "a", "attributes": {"hair": "red"}}])  # fmt: skip
def test_rows_that_are_no_records_are_refused(row):
    with pytest.raises(RecordError):
        FaceRecord.from_dict(row)


def test_foreign_habits_are_read(tmp_path):
    """A BOM, CRLF, blank lines, bare names, backslashes, NaN, repeated rows in other spellings."""
    rows = [
        '\ufeff{"file_name": "a.png", "text": "first"}', "",
        '{"text": "b", "file_name": "images\\\\b.png", "score": NaN}',
        '{"file_name": "./images//a.png", "text": "last"}',
    ]  # fmt: skip
    manifest = folder(tmp_path, *rows, end="\r\n")
    notes: Counter[str] = Counter()
    found = list(manifest.records(tally(notes)))
    assert [(r.file_name, r.text) for r in found] == [("images/b.png", "b"), ("images/a.png", "last")]
    assert found[0].extra == {"score": None}
    assert notes == {"repeated": 1}
    assert manifest.count() == 2 and manifest.names() == {"images/a.png", "images/b.png"}


def test_pictures_beside_the_table_stay_there(tmp_path):
    (tmp_path / "c.png").write_bytes(b"x")
    assert [r.file_name for r in folder(tmp_path, {"file_name": "c.png"}).records()] == ["c.png"]


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "images/../../a", "C:\\a.png", "\\\\host\\a", "http://x/a.png",
                                  "a\0.png", "", " ", ".", "x" * 300, "\ud800.png", None, 5])  # fmt: skip
def test_no_name_leads_outside(tmp_path, name):
    with pytest.raises(RecordError):
        normal(name, tmp_path)
    manifest = folder(tmp_path, {"file_name": name}, {"file_name": "images/a.png"})
    with pytest.raises(UsageError, match="line 1"):
        list(manifest.records())
    notes: Counter[str] = Counter()
    assert [r.file_name for r in manifest.records(tally(notes))] == ["images/a.png"] and notes == {"bad": 1}


@pytest.mark.parametrize("bad", ["nonsense", "[1]", "{", '{"file_name": "a.png", "attributes": {"cheeks": [{}]}}',
                                 "[" * 100_000, '{"file_name": "' + "x" * 17_000_000 + '"}', "\x00\x00"])  # fmt: skip
def test_a_bad_row_costs_only_itself(tmp_path, bad):
    manifest = folder(tmp_path, {"file_name": "a.png", "text": "a"}, bad, {"file_name": "b.png"})
    with pytest.raises(UsageError, match="line 2"):
        list(manifest.records())
    notes: Counter[str] = Counter()
    names = [r.file_name for r in manifest.records(tally(notes))]
    assert "images/b.png" in names and notes["bad"] == 1


def test_a_torn_last_line_is_dropped_and_mended_by_the_next_writer(tmp_path):
    whole = line(FaceRecord("images/a.png", "é")) + line(FaceRecord("images/b.png", "b" * 70_000))
    new = FaceRecord("images/c.png")
    for cut in (1, 5, len(whole) // 2, len(whole) - 70_000, len(whole) - 1, len(whole)):
        manifest = Manifest(tmp_path / str(cut))
        manifest.folder.mkdir()
        manifest.path.write_bytes(whole[:cut])
        before = list(manifest.records())
        assert len(before) == (2 if cut >= len(whole) - 1 else 1 if cut > 50 else 0)
        manifest.append([new])
        assert list(manifest.records()) == [*before, new]
        assert len(read_jsonl(manifest.path)) == len(before) + 1 and manifest.path.read_bytes().endswith(b"\n")


def test_one_writer_at_a_time(tmp_path):
    with Manifest(tmp_path).appending() as rows:
        rows.append(FaceRecord("images/a.png"))
        with pytest.raises(UsageError, match=f"another process .{os.getpid()}. is writing"):
            Manifest(tmp_path).write([], wait=0.1)
        with pytest.raises(UsageError), Manifest(tmp_path).appending(wait=0.1):
            pass
        assert [r.file_name for r in Manifest(tmp_path).records()] == ["images/a.png"]  # readers need no lock
    Manifest(tmp_path).append([FaceRecord("images/b.png")])
    assert Manifest(tmp_path).count() == 2


def _writer(path, number, start):
    start.wait()
    for i in range(20):
        Manifest(path).append([FaceRecord(f"images/{number}-{i}.png", "x" * 5000) for _ in range(3)])


def test_writers_that_wait_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    start = context.Barrier(3)
    workers = [context.Process(target=_writer, args=(tmp_path, n, start)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(read_jsonl(tmp_path / "metadata.jsonl")) == 180 and Manifest(tmp_path).count() == 60


APPEND = """
import sys
from likeness.data.manifest import Manifest
from likeness.records import FaceRecord
with Manifest(sys.argv[1]).appending() as rows:
    for i in range(1_000_000):
        rows.append(FaceRecord(f"images/{i}.png", "x" * 1000))
        if i == 20:
            print("going", flush=True)
"""


def test_a_killed_writer_leaves_whole_rows_and_no_lock(tmp_path):
    worker = subprocess.Popen([sys.executable, "-c", APPEND, str(tmp_path)], stdout=subprocess.PIPE)
    assert worker.stdout and worker.stdout.readline()
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    names = [r.file_name for r in Manifest(tmp_path).records()]
    assert len(names) > 20 and names == [f"images/{i}.png" for i in range(len(names))]
    Manifest(tmp_path).append([FaceRecord("images/last.png")])
    assert Manifest(tmp_path).count() == len(names) + 1


def test_a_full_disk_leaves_the_table_as_it_was(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.append([FaceRecord("images/a.png")])
    before = manifest.path.read_bytes()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with manifest.appending() as rows:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 1000, hard))
            with pytest.raises(UsageError, match="Make room"):
                rows.append(FaceRecord("images/b.png", "x" * 5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert manifest.path.read_bytes() == before


def test_folding_leaves_one_row_a_picture(tmp_path):
    rows = [{"file_name": "a.png", "text": "1"}, {"file_name": "b.png"}, {"file_name": "images/a.png", "text": "2"}]
    manifest = folder(tmp_path, *rows)
    assert manifest.fold(lambda r: None if r.file_name == "images/b.png" else r) == 1
    assert read_jsonl(manifest.path) == [{"file_name": "images/a.png", "text": "2"}]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".metadata.lock", "images", "metadata.jsonl"]


def test_a_table_that_cannot_be_written_stays(tmp_path):
    manifest = folder(tmp_path, {"file_name": "a.png", "text": "1"})
    before = manifest.path.read_bytes()
    with pytest.raises(RecordError):
        manifest.write([FaceRecord("images/a.png"), FaceRecord("images/b.png", extra={"x": float("inf")})])
    assert manifest.path.read_bytes() == before


def test_columns_that_show_late_come_first(tmp_path, monkeypatch):
    from likeness.data import manifest as module

    monkeypatch.setattr(module, "GUESSED", 1000)
    rows = [FaceRecord(f"images/{i}.png", "x" * 200, extra={"late": 1} if i in (90, 95) else {}) for i in range(100)]
    manifest = Manifest(tmp_path)
    manifest.write(rows)
    manifest.fold()
    found = list(manifest.records())
    assert found[0].file_name == "images/90.png" and found[1:] == [r for r in rows if r.file_name != "images/90.png"]
    before = manifest.path.read_bytes()
    manifest.fold()
    assert manifest.path.read_bytes() == before


COUNT = """
import resource, sys
from likeness.data.manifest import Manifest
count = sum(1 for _ in Manifest(sys.argv[1]).records())
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_table(tmp_path):
    """Two tables, one ten times as long, each read in a fresh process: the same peak but for 8 bytes a row."""
    peaks = []
    for rows in (3_000, 30_000):
        path = tmp_path / str(rows)
        path.mkdir()
        text = "x" * 1000
        with open(path / "metadata.jsonl", "w") as file:
            file.writelines(f'{{"file_name": "images/{i}.png", "text": "{text}"}}\n' for i in range(rows))
        done = subprocess.run([sys.executable, "-c", COUNT, str(path)], capture_output=True, text=True, check=True)
        count, peak = map(int, done.stdout.split())
        assert count == rows
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 4_000  # kB; the long table has 30 MB


def test_csv_of_other_people(tmp_path):
    source = tmp_path / "in.csv"
    lines = [
        "\ufefffile_name,text,attributes.gender,attributes.marks,age", 'a.png,"x, y",male,scar; mole,5',
        "../b.png,z,,,", "c.png,too,many,,,cells", "d.png,,neither,,", "",
    ]  # fmt: skip
    source.write_bytes("\r\n".join(lines).encode())
    notes: Counter[str] = Counter()
    assert from_csv(source, tmp_path / "out", tally(notes)) == 1 and notes["bad"] == 3
    (found,) = Manifest(tmp_path / "out").records()
    assert found == FaceRecord(
        "images/a.png", "x, y", Attributes(gender="male", marks=("scar", "mole")), extra={"age": 5}
    )
    with pytest.raises(UsageError, match="line 3"):
        from_csv(source, tmp_path / "other")
    assert not (tmp_path / "other" / "metadata.jsonl").exists()


def test_a_folder_with_only_a_csv_is_read(tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,1\nb.png,2\na.png,3\n")
    assert [(r.file_name, r.text) for r in read_faces(tmp_path)] == [("images/b.png", "2"), ("images/a.png", "3")]


@pytest.mark.parametrize(
    ("name", "good"),
    [("images/train_95.webp", "images/trainset_95.webp"), ("images/my-test.png", "images/my-testset.png"),
     ("images/val/1.png", "images/valset/1.png"), ("images/latest.png", None),
     ("images/training day.jpg", "images/trainingset day.jpg"),
     ("images/contest_1.png", None), ("images/1.png", None), ("images/test_val_1.png", "images/testset_valset_1.png")],
)  # fmt: skip
def test_names_that_mislead_datasets(name, good):
    assert misleading(name) == (good is not None)
    assert portable(name) == (good or name) and not misleading(portable(name))
