import json

import pytest
from PIL import Image

from likeness.errors import UsageError
from likeness.generate import batch
from likeness.provenance import read
from likeness.records import ImageRequest, Sample


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "a man\n\n  a woman \n"),
        ("a.csv", 'id,caption\n1,a man\n2,"a woman"\n3,\n'),
        ("b.csv", "\ufeffprompt\na man\na woman\n"),
        ("a.jsonl", '{"text": "a man"}\n{"text": "a woman", "file_name": "x.png"}\n'),
    ],
)
def test_prompts_are_read(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert batch.read_prompts(tmp_path / name) == ["a man", "a woman"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", b"\n", "no prompts"),
        ("a.txt", b"\xff\xfe\x00", "UTF-8"),
        ("a.csv", b"name\nx\n", "no column"),
        ("a.jsonl", b"[1]\n", "JSON object"),
        ("a.jsonl", b"{bad\n{}\n", "line 1"),
        ("a.pdf", b"", "txt, .csv or .jsonl"),
        (None, b"", "no prompts file"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, says):
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=says):
        batch.read_prompts(tmp_path / (name or "missing.txt"))


def test_seeds_of_prompts_do_not_overlap():
    made = batch.requests(["a", "b"], ImageRequest("", seed=10, count=3))
    assert [(r.prompt, r.seed) for r in made] == [("a", 10), ("b", 13)]
    assert [r.seed for r in batch.requests(["a"], ImageRequest(""))] == [None]


def _samples(*seeds):
    for seed in seeds:
        yield Sample(Image.new("RGB", (8, 8)), ImageRequest("é man", width=8, height=8, seed=seed), seed, 0.1, "f" * 64)


def test_a_folder_lists_its_pictures_and_is_added_to(tmp_path):
    first = batch.save_folder(tmp_path / "out", _samples(5, 6))
    second = batch.save_folder(tmp_path / "out", _samples(5))
    rows = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (
        [row["file_name"] for row in rows]
        == [path.name for path in first + second]
        == ["00001-5.png", "00002-6.png", "00003-5.png"]
    )
    assert rows[0]["text"] == "é man" and read(first[1])["request"]["seed"] == 6


def test_a_stop_keeps_what_was_drawn(tmp_path):
    def broken():
        yield from _samples(1)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        batch.save_folder(tmp_path, broken())
    assert (tmp_path / "metadata.jsonl").read_text().count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00001-1.png", "metadata.jsonl"]
