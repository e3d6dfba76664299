import errno
import json
import os
import stat
import threading

import pytest

from likeness.errors import UsageError
from likeness.files import atomic_path, read_jsonl, write_json, write_text


def left(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_clean_exit_leaves_the_file_and_nothing_else(tmp_path):
    with atomic_path(tmp_path / "new" / "face.png") as temporary:
        assert temporary.suffix == ".png"  # Pillow chooses the format by it
        assert temporary.parent == tmp_path / "new"  # a rename works only within one file system
        temporary.write_bytes(b"whole")
        assert not (tmp_path / "new" / "face.png").exists()
    assert left(tmp_path / "new") == ["face.png"]
    assert (tmp_path / "new" / "face.png").read_bytes() == b"whole"


@pytest.mark.parametrize("trouble", [RuntimeError("mid-way"), KeyboardInterrupt(), SystemExit(1)])
def test_an_exception_leaves_the_old_file(tmp_path, trouble):
    target = tmp_path / "scores.json"
    target.write_text("old")
    with pytest.raises(type(trouble)), atomic_path(target) as temporary:
        temporary.write_text("half of the n")
        raise trouble
    assert target.read_text() == "old" and left(tmp_path) == ["scores.json"]


def test_a_full_disk_while_writing_is_one_line_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "face.png"
    target.write_text("old")
    with pytest.raises(UsageError, match="No space left.*another output path"), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_text() == "old" and left(tmp_path) == ["face.png"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_at_the_end_leaves_the_old_file(tmp_path, monkeypatch, call):
    target = tmp_path / "face.png"
    target.write_text("old")

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(UsageError, match="cannot write .*face.png"):
        write_text(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old" and left(tmp_path) == ["face.png"]


def test_a_file_too_large_for_the_process_leaves_the_old_file(tmp_path):
    """A real refusal by the kernel, not a simulated one: the limit on file sizes."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    target = tmp_path / "face.png"
    target.write_text("old")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UsageError, match="File too large"):
            write_text(target, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert target.read_text() == "old" and left(tmp_path) == ["face.png"]


def test_the_blocks_own_trouble_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), atomic_path(tmp_path / "a.txt"):
        (tmp_path / "elsewhere").read_text()
    assert left(tmp_path) == []


def test_a_writer_that_removes_the_temporary_file_gives_an_error(tmp_path):
    with pytest.raises(UsageError, match="cannot write"), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.unlink()
    assert left(tmp_path) == []


def test_unwritable_outputs_are_usage_errors(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="Not a directory|File exists"):
        write_text(tmp_path / "file" / "face.png", "x")
    with pytest.raises(UsageError, match="Is a directory"):
        write_text(tmp_path / "folder", "x")
    with pytest.raises(UsageError, match="cannot write"):
        write_text(tmp_path / ("long" * 100), "x")
    with pytest.raises(UsageError, match="cannot write"):
        write_text("/proc/nobody/may/write/here.txt", "x")
    assert left(tmp_path / "folder") == []


def test_a_name_of_the_longest_length_can_be_written(tmp_path):
    write_text(tmp_path / ("n" * 250 + ".txt"), "x")
    assert left(tmp_path) == ["n" * 250 + ".txt"]


def test_permissions_are_what_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_many_writers_of_one_file_leave_one_of_their_texts(tmp_path):
    target = tmp_path / "a"
    texts = [str(i) * 10_000 for i in range(8)]
    threads = [threading.Thread(target=write_text, args=(target, t)) for t in texts]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert target.read_text() in texts and left(tmp_path) == ["a"]


def test_json_round_trip(tmp_path):
    value = {"text": "señora \u2028 one line still", "n": [1, 2.5, None, True]}
    write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == value
    (tmp_path / "rows.jsonl").write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
    assert read_jsonl(tmp_path / "rows.jsonl") == [value]  # U+2028 ends no line of JSON


LAST = '{"name": "José 雪"}\n'.encode()


@pytest.mark.parametrize("cut", range(1, len(LAST) - 1))
def test_a_last_line_torn_anywhere_is_dropped(tmp_path, cut):
    """Also inside a character: these take two and three bytes."""
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n' + LAST[:cut])
    assert read_jsonl(tmp_path / "a.jsonl") == [{"a": 1}]


def test_blank_lines_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r\n')
    assert read_jsonl(tmp_path / "a.jsonl") == [{"a": 1}, {"a": 2}]
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert read_jsonl(tmp_path / "a.jsonl") == []


@pytest.mark.parametrize("bad", ['{"a": 1', '{"a" 1}', "5", "[1]", "\xff"])
def test_a_bad_line_that_is_not_torn_names_its_number(tmp_path, bad):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n' + bad.encode("latin-1") + b"\n")
    with pytest.raises(UsageError, match="line 2"):
        read_jsonl(tmp_path / "a.jsonl")


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot read .*No such file"):
        read_jsonl(tmp_path / "none.jsonl")
