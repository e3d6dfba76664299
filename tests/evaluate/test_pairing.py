from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from likeness.errors import UsageError
from likeness.evaluate.pairs.pairing import epochs, match, with_texts
from likeness.provenance import save_png
from likeness.records import ImageRequest


def put(*paths: str) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(path)


def test_names_match_without_their_suffix():
    put("drawn/b.png", "drawn/a.png", "drawn/lost.png", "real/a.jpg", "real/deep/b.webp", "real/c.png")
    Path("drawn/notes.txt").write_text("not a picture")
    found = match("drawn", "real")
    assert [(p.name, p.generated.name, p.real.name) for p in found.pairs] == [
        ("a", "a.png", "a.jpg"),
        ("b", "b.png", "b.webp"),
    ]
    assert found.only_generated == ("lost",) and found.only_real == ("c",)


def test_where_a_name_comes_twice_the_folder_counts():
    put("drawn/anna/1.png", "drawn/ben/1.png", "real/anna/1.jpg", "real/ben/1.jpg")
    found = match("drawn", "real")
    assert [(p.name, p.generated.parent.name, p.real.parent.name) for p in found.pairs] == [
        ("anna/1", "anna", "anna"), ("ben/1", "ben", "ben"),
    ]  # fmt: skip
    put("real/ben/1.png")
    with pytest.raises(UsageError, match="have one name"):
        match("drawn", "real")


def test_folders_without_pairs():
    put("drawn/a.png", "real/b.png")
    Path("empty").mkdir()
    with pytest.raises(UsageError, match=r"'a' there, 'b' here"):
        match("drawn", "real")
    for one, other in (("drawn", "empty"), ("empty", "real")):
        with pytest.raises(UsageError, match="no pictures in empty"):
            match(one, other)
    with pytest.raises(UsageError, match="no folder none"):
        match("drawn", "none")


def test_epochs_come_in_the_order_of_their_numbers():
    for name in ("epoch_10", "epoch_2", "Epoch-001", "samples"):
        put(f"runs/{name}/a.png")
    assert [*epochs("runs")] == [1, 2, 10] and epochs("runs")[10] == Path("runs/epoch_10")
    assert epochs("runs/samples") == {None: Path("runs/samples")}
    put("runs/epoch_02/a.png")
    with pytest.raises(UsageError, match="both number 2"):
        epochs("runs")


def test_words_come_from_the_nearest_place():
    """A table that is asked for; else the drawn folder's list, the picture's own recipe, the real folder's list."""
    put("drawn/a.png", "drawn/b.png", "drawn/d.png", *(f"real/{n}.png" for n in "abcd"))
    save_png("drawn/c.png", Image.new("RGB", (8, 8)), ImageRequest("by recipe"), 1, "")
    Path("drawn/metadata.jsonl").write_text(json.dumps({"file_name": "a.png", "text": "by list"}) + "\n")
    rows = [{"file_name": f"{n}.png", "text": f"real {n}"} for n in "abc"]
    Path("real/metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs = match("drawn", "real").pairs
    assert [p.text for p in with_texts(pairs, "drawn", "real")] == ["by list", "real b", "by recipe", ""]

    Path("prompts.csv").write_text("file_name,prompt\nb.png,of the table\n")
    assert [p.text for p in with_texts(pairs, "drawn", "real", "prompts.csv")] == ["", "of the table", "", ""]
    Path("prompts.csv").write_text("prompt\nof nobody\n")
    with pytest.raises(UsageError, match="no column file_name"):
        with_texts(pairs, "drawn", "real", "prompts.csv")


def test_words_do_not_go_to_another_picture_of_that_name():
    put("drawn/anna/1.png", "drawn/ben/1.png", "real/anna/1.png", "real/ben/1.png")
    Path("drawn/metadata.jsonl").write_text(json.dumps({"file_name": "anna/1.png", "text": "Anna"}) + "\n")
    assert [p.text for p in with_texts(match("drawn", "real").pairs, "drawn", "real")] == ["Anna", ""]
