"""Strangers' tables: csv and json in every dress, words for values; a bad row costs only itself."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from likeness.data.sources import Problems, open_source
from likeness.data.sources.tables import json_members, json_rows, rows
from likeness.data.sources.values import COLUMNS, TABLES, read_age
from likeness.errors import RecordError, UsageError
from likeness.records import FIELDS, Age, Attributes


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def table(path: Path, data: str | bytes) -> tuple[list[dict[str, str]], list[str]]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    problems = Problems()
    found = [row for _, row in rows(path, problems)]
    return found, [f"{p.where}: {p.reason}" for p in problems.all()]


# --- csv and json


@pytest.mark.parametrize(
    "data", ["a,b\n1,2\n", "\ufeffa,b\r\n1,2\r\n", "A ; b\r1;2", '"a"\t"b"\n\n1\t"2"\n', "a|b|\n1|2|\n"]
)
def test_csv_in_every_dress(tmp_path: Path, data: str):
    assert table(tmp_path / "t.csv", data) == ([{"a": "1", "b": "2"}], [])


def test_utf16_csv(tmp_path: Path):
    assert table(tmp_path / "t.csv", "a,b\n1,é\n".encode("utf-16"))[0] == [{"a": "1", "b": "é"}]


def test_quoted_texts_may_hold_delimiters_quotes_and_lines(tmp_path: Path):
    found, lost = table(tmp_path / "t.csv", 'file,text\n1,"a, ""b""\nc"\n2,"x\u2028x"\n')
    assert [r["text"] for r in found] == ['a, "b"\nc', "x\u2028x"] and not lost


def test_a_bad_row_costs_only_itself(tmp_path: Path):
    found, lost = table(
        tmp_path / "t.csv", 'file,text,x\n1,a,\n2\n3,"open,\n4,b,\n5,c,d,e\n6,5\' 10" tall,\n7,"a"b,\n8,b,'
    )
    assert [r["file"] for r in found] == ["1", "4", "6", "7", "8"]
    assert found[2]["text"] == "5' 10\" tall"
    assert [reason.split(": ")[1].split()[0] for reason in lost] == ["torn", "a", "4"]
    assert "line 4" in lost[1]


def test_a_bomb_of_a_line_does_not_fill_the_memory(tmp_path: Path):
    found, lost = table(tmp_path / "t.csv", "a,b\n" + "x" * 3_000_000 + "\n1,2\n")
    assert found == [{"a": "1", "b": "2"}] and len(lost) == 1 and "longer than" in lost[0]


def test_empty_and_binary_tables(tmp_path: Path):
    assert table(tmp_path / "t.csv", "")[1] == ["t.csv: empty: no header row"]
    assert table(tmp_path / "t.csv", random.Random(0).randbytes(5000))[0] is not None  # no exception


@pytest.mark.parametrize("seed", range(20))
def test_no_mutilated_table_raises(tmp_path: Path, seed: int):
    draw = random.Random(seed)
    text = bytearray(b'file_name,text,age\n1.jpg,"a, b",20\n2.jpg,c,30-39\n3.jpg,"d ""e""",more than 70\n' * 5)
    for _ in range(draw.randrange(1, 20)):
        text[draw.randrange(19, len(text))] = draw.choice(b'",\n\r\0;\xff\xe2')
    put(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    (tmp_path / "t.csv").write_bytes(text)
    source = open_source("csv", tmp_path / "t.csv")
    for item in source.items():
        assert item.path.parent == tmp_path
    source.problems()


def test_json_lines(tmp_path: Path):
    (tmp_path / "m.jsonl").write_bytes(
        b'\xef\xbb\xbf{"a": 1}\r\n\n[1]\nnonsense\n' + b"[" * 100_000 + b'\n{"a": 2}\n{"a": "\xe9"}\n{"a": '
    )
    problems = Problems()
    assert [r["a"] for _, r in json_rows(tmp_path / "m.jsonl", problems)][:2] == [1, 2]
    assert [p.reason for p in problems.all()] == ["not a JSON object"] + ["not valid JSON"] * 2 + [
        "torn: the last line is not whole"
    ]


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 10_000])
def test_a_large_json_is_read_member_by_member(tmp_path: Path, chunk: int):
    value = {str(i): {"n": i, "t": 'a "quoted" \\ {text}', "x": [1.5, -2e3, None, True]} for i in range(40)}
    (tmp_path / "a.json").write_text(json.dumps(value, indent=1))
    (tmp_path / "b.json").write_text(json.dumps(list(range(100, 140))))
    problems = Problems()
    assert dict(json_members(tmp_path / "a.json", problems, chunk)) == value
    assert [v for _, v in json_members(tmp_path / "b.json", problems, chunk)] == list(range(100, 140))
    assert not problems.all()


def test_json_that_is_something_else(tmp_path: Path):
    for text in ("", "12", '"a"', "[1, 2", '{"a" 1}', "[" * 50_000, "{]"):
        (tmp_path / "a.json").write_text(text)
        problems = Problems()
        list(json_members(tmp_path / "a.json", problems))
        assert problems.all() or text == "{]", text


# --- values


def test_every_word_of_the_tables_means_a_value_of_ours():
    for field, words in TABLES.items():
        assert set(words.values()) <= set(FIELDS[field].values)
        assert all(w == " ".join(w.lower().split()) for w in words)
    assert set(COLUMNS.values()) <= {*FIELDS, "age"}


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("25", Age(25)),
        ("25.0", Age(25)),
        ("20-29", Age(20, 29)),
        ("(25, 32)", Age(25, 32)),
        ("more than 70", Age(70, 120)),
        ("60+", Age(60, 120)),
        ("0-2", Age(0, 2)),
        ("YOUNG", Age(12, 30)),
        ("", None),
        ("nan", None),
        ("Unknown", None),
    ],
)
def test_ages(text: str, age: Age | None):
    assert read_age(text) == age


@pytest.mark.parametrize("text", ["-1", "999", "abc", "30-20", "inf", "1e9", "20-29-30", "٣-x"])
def test_what_is_no_age_is_an_error(text: str):
    with pytest.raises(RecordError):
        read_age(text)


# --- csv source


def test_csv_guesses_its_columns(tmp_path: Path):
    put(tmp_path, "a.jpg", "images/b.jpg", "c\nd.jpg", "ünï.jpg")
    (tmp_path / "t.csv").write_text(
        "Image Path,Caption,Sex,Age,Hair Color,Split\na.jpg,A man.,M,25,Blonde,validation\n"
        "b.jpg,  two   spaces ,f,,purple,\n"
        '"c\nd.jpg",x,,,,\nünï.jpg,y,,30,,\n../x.jpg,z,,,,\n/etc/passwd,z,,,,\na.jpg,again,,,,\nno.jpg,z,,,,\nb.jpg,z,,-4,,\n,z,,,,\n'
    )
    source = open_source("csv", tmp_path / "t.csv", license="mine")
    items = list(source.items())
    assert [i.path.name for i in items] == ["a.jpg", "b.jpg", "c\nd.jpg", "ünï.jpg"]
    assert items[0].attributes == Attributes(gender="male", age=Age(25), hair_color="blond")
    assert (items[0].text, items[0].split, items[0].license) == ("A man.", "val", "mine")
    assert items[1].text == "two spaces" and items[1].attributes == Attributes(gender="female")
    lost = [p for p in source.problems() if p.lost]
    assert [
        w in p.reason
        for p, w in zip(lost, ["out of", "absolute", "twice", "no such", "not an age", "not a file"], strict=True)
    ]
    assert [p.reason for p in source.problems() if not p.lost] == ["'purple' is not known: left unsaid in 1 rows"]


def test_csv_columns_by_name(tmp_path: Path):
    put(tmp_path, "p/a.jpg")
    (tmp_path / "t.csv").write_text("text,bild,satz\nno,a.jpg,Ein Mann.\n")
    options: dict[str, Any] = {"images": tmp_path / "p", "file_column": "Bild", "text_column": "satz"}
    assert [i.text for i in open_source("csv", tmp_path / "t.csv", **options).items()] == ["Ein Mann."]
    for wrong in ({"file_column": "x"}, {}):
        with pytest.raises(UsageError, match="text, bild, satz"):
            list(open_source("csv", tmp_path / "t.csv", **wrong).items())


def test_bytes_that_are_no_utf8_still_name_their_file(tmp_path: Path):
    import os

    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(b"x")
    (tmp_path / "t.csv").write_bytes(b"file,text\ncaf\xe9.jpg,caf\xe9\n")
    items = list(open_source("csv", tmp_path / "t.csv").items())
    assert len(items) == 1 and items[0].text.encode() and items[0].path.is_file()
