"""Folders of strangers: ImageFolder, telling names, mug shots, Indian faces, Hugging Face sets; and the cleaned csv."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from likeness.data.sources import Problems, open_source, write_table
from likeness.data.sources.illinois import clean_table, height, weight
from likeness.data.sources.prefixes import read_name
from likeness.data.sources.values import ETHNICITY
from likeness.errors import RecordError, UsageError
from likeness.records import Age, Attributes


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


# --- folder


def test_folder_without_metadata(tmp_path: Path):
    put(tmp_path, "train/indian/1.jpg", "train/martian/2.jpg", "validation/white/3.PNG", "4.webp", "5.exe")
    (tmp_path / "4.txt").write_text("a  caption\n")
    source = open_source("folder", tmp_path, classes="ethnicity")
    items = {i.path.name: i for i in source.items()}
    assert {n: (i.split, i.attributes.ethnicity if i.attributes else None) for n, i in items.items()} == {
        "4.webp": (None, None),
        "1.jpg": ("train", ("Indian",)),
        "2.jpg": ("train", None),
        "3.PNG": ("val", ("White",)),
    }
    assert items["4.webp"].text == "a caption"
    assert sorted(p.reason for p in source.problems()) == [
        "'martian' is not known: left unsaid in 1 rows",
        "not a picture by its name (.exe)",
    ]
    assert all(i.attributes is None for i in open_source("folder", tmp_path).items())
    mapped = open_source("folder", tmp_path, classes="ethnicity", class_map="martian=Latino").items()
    assert {"Latino"} < {e for i in mapped if i.attributes for e in i.attributes.ethnicity}


def test_folder_with_metadata(tmp_path: Path):
    put(tmp_path, *(f"images/{n}.png" for n in range(6)), "train/images/7.png")
    lines: list[dict[str, Any]] = [
        {
            "file_name": "images/0.png",
            "text": "A man.",
            "attributes": {"age": "20-29", "gender": "male"},
            "license": "CC0",
            "source": "me",
            "split": "test",
            "eyes": [[1, 2], [3, 4]],
        },
        {"file_name": "1.png", "text": "bare name"},
        {"file_name": "images/2.png", "attributes": {"hair_color": "pink"}},
        {"file_name": "../../x.png"},
        {"file_name": 5},
        {"text": "none"},
        {"file_name": "images/0.png", "text": "again"},
        {"file_name": "images/3.png", "age": "kid"},
    ]
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lines) + '{"file_name": "images/4')
    (tmp_path / "train" / "metadata.csv").write_text("file_name,caption,age\nimages/7.png,seven,44\n")
    source = open_source("folder", tmp_path)
    items = {i.path.name: i for i in source.items()}
    assert list(items) == ["0.png", "1.png", "7.png"]
    zero = items["0.png"]
    assert (zero.text, zero.license, zero.origin, zero.split, zero.eyes) == (
        "A man.",
        "CC0",
        "me",
        "test",
        ((1, 2), (3, 4)),
    )
    assert zero.attributes == Attributes(age=Age(20, 29), gender="male")
    assert items["7.png"].attributes == Attributes(age=Age(44)) and items["7.png"].split == "train"
    reasons = [p.reason for p in source.problems()]
    assert reasons.count("no row in the metadata") == 4 and len(reasons) == 7 + 4


# --- prefixes


@pytest.mark.parametrize(
    ("stem", "said"),
    [
        ("indian_001", ("Indian", None)),
        ("white-22", ("White", None)),
        ("Asian 3", ("Asian", None)),
        ("middle_eastern_7", ("Middle Eastern", None)),
        ("black_female_12", ("Black", "female")),
        ("latino001", ("Latino", None)),
        ("southeast_asian_male_1", ("Southeast Asian", "male")),
        ("martian_001", None),
        ("0001", None),
        ("w_1", None),
        ("indianapolis_1", None),
    ],
)
def test_prefixes(stem: str, said: tuple[str, str | None] | None):
    found = read_name(stem, ETHNICITY)
    assert (found and (found["ethnicity"][0], found.get("gender"))) == said


def test_prefix_folder_with_a_map_of_its_own(tmp_path: Path):
    put(tmp_path, "desi_1.jpg", "indian_1.jpg", "martian_1.jpg", "martian_2.jpg")
    source = open_source("prefixes", tmp_path, prefixes="desi=Indian")
    assert [i.attributes and i.attributes.ethnicity for i in source.items()] == [("Indian",), ("Indian",)]
    reasons = [p.reason for p in source.problems()]
    assert sum("unknown prefix 'martian'" in r for r in reasons) == 2 and "2 pictures left out" in reasons[-1]
    with pytest.raises(RecordError, match="Indain"):
        list(open_source("prefixes", tmp_path, prefixes={"desi": "Indain"}).items())


# --- Illinois and Indian faces

PERSONS = """id;name;date_of_birth;weight;hair;sex;height;race;eyes;admission_date;offense;
A1;DOE, JOHN;1980-05-02;180;Brown;Male;5' 10";White;Blue;2010-05-01;x;
A2;ROE, JANE;05/02/1999;140 lbs;Gray or Partially Gray;Female;65 in;Hispanic;Hazel;2016-06-01;x;
A3;X;1990-01-01;;Bald;Male;;Black;Brown;2020-01-01;x;
A3;X;1990-01-01;;Bald;Male;;Black;Brown;2020-01-01;x;
A4;X;2030-01-01;;Black;Male;;Black;Brown;2020-01-01;x;
../A5;X;1990-01-01;;Black;Male;;Black;Brown;2020-01-01;x;
A6;X;1990-01-01;;Black;Male;;Black;Brown;;x;
;X;1990-01-01;;Black;Male;;Black;Brown;2020-01-01;x;
A7;X;;;Green;M;;Unknown;;N/A;x;
"""


@pytest.fixture
def illinois(tmp_path: Path) -> Path:
    put(tmp_path, *(f"front/front/A{n}.jpg" for n in (1, 2, 3, 4, 7)), "A5.jpg")
    (tmp_path / "person.csv").write_text(PERSONS)
    (tmp_path / "marks.csv").write_text("id;mark\nA1;TATTOO, ARM LEFT\nA1;SCAR - FACE\nA3;Scar, Chest\n")
    return tmp_path


def test_illinois_is_cleaned_and_standardised(illinois: Path):
    source = open_source("illinois", illinois)
    items = {i.path.stem: i for i in source.items()}
    assert items["A1"].attributes == Attributes(
        age=Age(29), gender="male", ethnicity=("White",), hair_color="brown", eye_color="blue", marks=("scar",)
    )
    assert items["A2"].attributes == Attributes(
        age=Age(17), gender="female", ethnicity=("Latino",), hair_color="gray", eye_color="hazel"
    )
    assert (
        items["A3"].attributes and items["A3"].attributes.hair_length == "bald" and items["A3"].group == "illinois:A3"
    )
    assert items["A7"].attributes == Attributes(gender="male")
    assert not any("DOE" in repr(i) for i in items.values())
    lost = [p.reason for p in source.problems() if p.lost]
    assert [w in r for r, w in zip(lost, ["twice", "cannot be right", "leads out", "no such", "no id"], strict=True)]


def test_the_cleaned_table_has_no_names_no_minors_and_reads_back(illinois: Path):
    problems = clean_table(illinois, illinois / "cleaned.csv")
    with open(illinois / "cleaned.csv", newline="") as file:
        written = {r["file_name"]: r for r in csv.DictReader(file)}
    assert set(written) == {f"front/front/{n}.jpg" for n in ("A1", "A3", "A7")}
    assert written["front/front/A1.jpg"]["height_cm"] == "178" and written["front/front/A1.jpg"]["weight_kg"] == "82"
    assert "DOE" not in (illinois / "cleaned.csv").read_text()
    assert any("under 18" in p.reason for p in problems)
    first = {i.path.stem: i for i in open_source("illinois", illinois).items()}
    again = {i.path.stem: i for i in open_source("csv", illinois / "cleaned.csv").items()}
    for name, item in again.items():
        assert item.attributes == first[name].attributes and item.origin == first[name].origin
        assert item.group == first[name].group


def test_several_sources_in_one_table(illinois: Path):
    put(illinois, "mine/indian_1.jpg")
    both = [*open_source("illinois", illinois).items(), *open_source("prefixes", illinois / "mine").items()]
    problems = Problems()
    assert write_table(both, illinois / "all.csv", adults=False, problems=problems) == 5 and not problems.all()
    assert len(list(open_source("csv", illinois / "all.csv").items())) == 5
    assert write_table(both, illinois / "mine" / "b.csv", adults=False, problems=problems) == 1
    assert all("not below" in p.reason for p in problems.all()) and len(problems.all()) == 4


@pytest.mark.parametrize(
    ("text", "cm"),
    [
        ("70", 178),
        ("5'10\"", 178),
        ("5' 10", 178),
        ("5 ft. 10 in.", 178),
        ("510", 178),
        ("178 cm", 178),
        ("178", 178),
        ("6'", 183),
        ("", None),
        ("tall", None),
        ("999", None),
    ],
)
def test_heights(text: str, cm: int | None):
    assert height(text) == cm


def test_weights():
    assert [weight(t) for t in ("180", "180 lbs", "82 kg", "", "x", "12")] == [82, 82, 82, None, None, None]


def test_indian_faces_by_label(tmp_path: Path):
    put(tmp_path, "Train/377.jpg", "Train/2.jpg", "Train/3.jpg", "Train/4.jpg")
    (tmp_path / "train.csv").write_text("ID,Class\n377.jpg,MIDDLE\n2.jpg,YOUNG\n3.jpg,male\n4.jpg,hero\n5.jpg,OLD\n")
    source = open_source("indian", tmp_path)
    items = {i.path.stem: i.attributes for i in source.items()}
    assert items["377"] == Attributes(age=Age(30, 50), ethnicity=("Indian",))
    assert items["2"] == Attributes(age=Age(12, 30), ethnicity=("Indian",))
    assert items["3"] == Attributes(gender="male", ethnicity=("Indian",)) and items["4"] == Attributes(
        ethnicity=("Indian",)
    )
    assert len([p for p in source.problems() if p.lost]) == 1


# --- Hugging Face


def test_huggingface_sets_on_disk(tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    from PIL import Image

    features = datasets.Features(
        {
            "photo": datasets.Image(),
            "prompt": datasets.Value("string"),
            "Age": datasets.Value("int64"),
            "gender": datasets.ClassLabel(names=["female", "male"]),
        }
    )
    picture = Image.new("RGB", (4, 4), "red")
    made = datasets.Dataset.from_dict(
        {
            "photo": [picture, picture, None, picture],
            "prompt": ["A man.", "B", "C", "D"],
            "Age": [30, 7, 20, -3],
            "gender": [1, 0, 1, 1],
        },
        features=features,
    )
    made.save_to_disk(str(tmp_path / "set"))
    source = open_source("huggingface", tmp_path / "set")
    items = list(source.items())
    assert [i.text for i in items] == ["A man.", "B"] and all(i.data and i.data.startswith(b"\x89PNG") for i in items)
    assert items[0].attributes == Attributes(age=Age(30), gender="male") and items[0].split == "train"
    assert [p.reason for p in source.problems()] == ["no picture", "'-3' is not an age"]
    with pytest.raises(UsageError, match="no column of pictures 'x'"):
        list(open_source("huggingface", tmp_path / "set", image_column="x").items())


def test_huggingface_folders_and_paths_that_lead_out(tmp_path: Path):
    datasets, pa, pq = (pytest.importorskip(m) for m in ("datasets", "pyarrow", "pyarrow.parquet"))
    from PIL import Image

    (tmp_path / "set" / "train").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "set" / "train" / "a.png")
    (tmp_path / "set" / "train" / "metadata.csv").write_text("file_name,text\na.png,hello\n")
    items = list(open_source("huggingface", tmp_path / "set", streaming=False).items())
    assert [(i.text, i.path.name) for i in items] == [("hello", "a.png")] and (items[0].data or items[0].path.is_file())

    (tmp_path / "secret.png").write_bytes(b"x")
    names = [str(tmp_path / "secret.png"), "../secret.png", "/etc/passwd"]
    schema = datasets.Features({"image": datasets.Image()}).arrow_schema
    evil = pa.table({"image": [{"bytes": None, "path": n} for n in names]}, schema=schema)
    (tmp_path / "evil").mkdir()
    pq.write_table(evil, tmp_path / "evil" / "train.parquet")
    source = open_source("huggingface", tmp_path / "evil")
    assert list(source.items()) == []
    assert [p.reason.split(" ", 1)[1] for p in source.problems()][::2] == ["leads out of the set's folder"] * 2


def test_a_huggingface_set_that_is_not_there(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="cannot load"):
        list(open_source("huggingface", tmp_path / "empty").items())
