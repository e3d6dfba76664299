import json

import pytest
from PIL import Image

from likeness.errors import UsageError
from likeness.generate import batch, folder
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
    assert [row.prompt for row in batch.read_rows(tmp_path / name)] == ["a man", "a woman"]


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
        ("a.csv", b"prompt,steps\na,many\n", "row 1: steps must be a whole number"),
        ("a.csv", b"prompt,size\na,big\n", "row 1: size 'big'"),
        ("a.csv", b"prompt,guidance_interval\na,late\n", "row 1: guidance_interval 'late'"),
        ("a.jsonl", b'{"prompt": "a", "guidance_interval": [0.6, 0]}\n', "row 1: a guidance interval goes from 0"),
        ("a.csv", b"prompt,file_name\na,../x.png\n", "leads out of the output folder"),
        ("a.csv", b"prompt,file_name\na,/x.png\n", "leads out of the output folder"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, says):
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=says):
        batch.read_rows(tmp_path / (name or "missing.txt"))


def test_seeds_of_prompts_do_not_overlap():
    made = batch.requests(["a", "b"], ImageRequest("", seed=10, count=3))
    assert [(r.prompt, r.seed) for r in made] == [("a", 10), ("b", 13)]
    assert [r.seed for r in batch.requests(["a"], ImageRequest(""))] == [None]


def test_columns_hold_for_their_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "caption,negative_prompt,seed,steps,guidance,scheduler,size,file_name,image,width\n"
        "a man,hat,7,3,2.5,ddim,64x96,faces/0001.jpg,source.jpg,1024\n"
        "a woman,,,,,,,,,\n"
    )
    rows = batch.read_rows(path)
    man, woman = batch.requests(rows, ImageRequest("", seed=10, steps=9, count=2))
    assert man == ImageRequest("a man", "hat", 64, 96, 3, 2.5, 7, 2, scheduler="ddim")
    assert woman == ImageRequest("a woman", seed=12, steps=9, count=2)
    assert batch.names(rows) == ["faces/0001.png", None]
    more = batch.requests(rows, ImageRequest("", seed=10), pictures=5)
    assert [(r.prompt[2:], r.seed) for r in more] == [
        ("man", 7), ("woman", 11), ("man", 8), ("woman", 13), ("man", 9)
    ]  # fmt: skip
    assert batch.names(rows, 3) == ["faces/0001.png", None, "faces/0001-round2.png"]
    with pytest.raises(UsageError, match="two rows"):
        batch.names(rows[:1] * 2)


def test_an_interval_is_written_as_on_the_command_line_or_as_a_list(tmp_path):
    rows = [{"prompt": "a", "guidance_interval": value} for value in ("0, 0.6", [0, 0.6], None)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = batch.requests(batch.read_rows(tmp_path / "a.jsonl"), ImageRequest("", guidance_interval=(0.2, 1.0)))
    assert [request.guidance_interval for request in made] == [(0.0, 0.6), (0.0, 0.6), (0.2, 1.0)]


def test_a_plan_names_every_picture_and_what_is_missing(tmp_path):
    asked = [ImageRequest("a", seed=1, count=2), ImageRequest("b", seed=1), ImageRequest("b", seed=1)]
    planned = folder.plan(asked, "f" * 64, ["x.png", None, None])
    assert [(one.request.prompt, one.request.seed, one.name) for one in planned] == [
        ("a", 1, "x-1.png"), ("a", 2, "x-2.png"), ("b", 1, None), ("b", 1, None),
    ]  # fmt: skip
    assert len({one.key for one in planned}) == 4  # what is asked for twice is drawn twice
    assert folder.plan(asked, "f" * 64, ["x.png", None, None]) == planned
    assert not {p.key for p in folder.plan(asked, "0" * 64)} & {p.key for p in planned}  # another model's pictures
    folder.save_folder(tmp_path, _samples(1, 2), planned=planned, base_seed=1)
    assert folder.missing(tmp_path, planned) == planned[2:] and folder.seed_of(tmp_path) == 1
    (tmp_path / "x-2.png").unlink()
    assert folder.missing(tmp_path, planned) == planned[1:]
    # A kill in the middle of a row, and a picture without its row: both are drawn again, under the same names.
    folder.save_folder(tmp_path, _samples(2, 1), planned=planned[1:], base_seed=1)
    (tmp_path / "metadata.jsonl").write_text((tmp_path / "metadata.jsonl").read_text()[:-20])
    assert folder.missing(tmp_path, planned) == planned[2:]
    folder.save_folder(tmp_path, _samples(1, 1), planned=planned[2:], base_seed=1)
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["00003-1.png", "00004-1.png", "x-1.png", "x-2.png"]
    assert not folder.missing(tmp_path, planned) and len(folder._index(tmp_path)) == 4


def _samples(*seeds):
    for seed in seeds:
        yield Sample(Image.new("RGB", (8, 8)), ImageRequest("é man", width=8, height=8, seed=seed), seed, 0.1, "f" * 64)


def test_a_folder_lists_its_pictures_and_is_added_to(tmp_path):
    first = folder.save_folder(tmp_path / "out", _samples(5, 6))
    second = folder.save_folder(tmp_path / "out", _samples(5))
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
        folder.save_folder(tmp_path, broken())
    assert (tmp_path / "metadata.jsonl").read_text().count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00001-1.png", "metadata.jsonl"]
