"""Each public set in its own layout, as its owners publish it; the bad rows beside the good ones."""

from __future__ import annotations

import inspect
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from layouts import put, read, write

from likeness.data.sources import SOURCES, Reader, open_source, source_table
from likeness.data.sources.base import Source
from likeness.errors import ConfigError, UsageError


def test_the_table_names_every_source_and_what_it_needs():
    table = source_table()
    wanted = {"ffhq", "easyportrait", "laion-face", "text2face", "celeba", "celeba-hq", "utkface", "fairface",
              "illinois",
              "indian", "prefixes", "folder", "csv", "huggingface"}  # fmt: skip
    assert {row["name"] for row in table} == wanted == set(SOURCES)
    for row in table:
        assert all(row[k] for k in ("title", "images", "size", "license", "how")), row


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_source_takes_a_path_and_named_options_with_defaults(name: str):
    parameters = list(inspect.signature(SOURCES[name].read).parameters.values())
    assert [p.name for p in parameters[:2]] == ["path", "problems"]
    assert all(p.default is not p.empty for p in parameters[2:])
    assert set(SOURCES[name].options()) == {p.name for p in parameters[2:]}
    with pytest.raises(ConfigError, match="no option 'colour'"):
        open_source(name, ".", colour=1)
    source: Source = open_source(name, "not there")
    with pytest.raises(UsageError):
        list(source.items())


def test_an_unknown_source_is_suggested():
    with pytest.raises(UsageError, match="did you mean 'fairface'"):
        open_source("fairfaces", ".")


# --- FFHQ


def ffhq_row(number: int, **image: Any) -> dict[str, Any]:
    points = [[float(i), 2.0 * i] for i in range(68)]
    spec = {"file_path": f"images1024x1024/00000/{number:05d}.png", "face_landmarks": points, **image}
    facts = {"author": "Jeremy", "license": "Attribution License", "photo_url": "https://www.flickr.com/photos/1"}
    return {"category": "training" if number < 2 else "validation", "metadata": facts, "image": spec}


def test_ffhq_with_its_json(tmp_path: Path):
    put(tmp_path, *(f"images1024x1024/00000/{n:05d}.png" for n in range(3)))
    rows: dict[str, Any] = {str(n): ffhq_row(n) for n in range(4)}
    rows["4"] = ffhq_row(4, file_path="../../etc/passwd")
    rows["5"] = {"image": None}
    write(tmp_path, "ffhq-dataset-v2.json", json.dumps(rows))
    items, lost = read("ffhq", tmp_path)
    assert [i.split for i in items.values()] == ["train", "train", "val"]
    item = items["00000.png"]
    assert (
        item.origin == "FFHQ 00000" and item.license == "Attribution License; Jeremy; https://www.flickr.com/photos/1"
    )
    assert item.eyes == ((38.5, 77.0), (44.5, 89.0))  # means of points 36-41 and 42-47
    assert len(lost) == 3 and "no such file" in lost[0] and "leads out" in lost[1] and "not a row" in lost[2]


def test_ffhq_flat_and_without_json(tmp_path: Path):
    put(tmp_path, "images1024x1024/00007.png", "images1024x1024/65000.png", "images1024x1024/LICENSE.txt")
    items, lost = read("ffhq", tmp_path / "images1024x1024")
    assert {n: i.split for n, i in items.items()} == {"00007.png": "train", "65000.png": "val"} and not lost


def test_a_torn_ffhq_json_gives_what_it_has(tmp_path: Path):
    put(tmp_path, *(f"images1024x1024/00000/{n:05d}.png" for n in range(3)))
    text = json.dumps({str(n): ffhq_row(n) for n in range(3)})
    write(tmp_path, "ffhq-dataset-v2.json", text[:-300])
    items, lost = read("ffhq", tmp_path)
    assert len(items) == 2 and len(lost) == 1 and "torn" in lost[0]


# --- EasyPortrait


def test_easyportrait_with_people_from_the_zip(tmp_path: Path):
    put(tmp_path, "images/train/a1.jpg", "images/val/b2.jpg", "images/test/c3.jpg")
    with zipfile.ZipFile(put(tmp_path, "annotations/x.png") / "annotations" / "meta.zip", "w") as archive:
        archive.writestr("meta.csv", "\tattachment_id\tuser_id\twidth\n0\ta1\tu1\t10\n1\tb2\tu2\t10\n")
    items, lost = read("easyportrait", tmp_path)
    assert {n: (i.split, i.group) for n, i in items.items()} == {
        "a1.jpg": ("train", "easyportrait:u1"), "b2.jpg": ("val", "easyportrait:u2"), "c3.jpg": ("test", None),
    }  # fmt: skip
    assert not lost and list(read("easyportrait", tmp_path, split="val")[0]) == ["b2.jpg"]
    with pytest.raises(UsageError, match=r"unpack images\.zip"):
        read("easyportrait", tmp_path / "images" / "train")


# --- LAION-Face


def test_laion_face_files_of_img2dataset(tmp_path: Path):
    facts = {
        "key": "000000000",
        "caption": "alt",
        "status": "success",
        "SAMPLE_ID": 77,
        "LICENSE": "?",
        "NSFW": "UNLIKELY",
    }
    put(tmp_path, *(f"00000/00000000{n}.jpg" for n in range(5)))
    write(tmp_path, "00000/000000000.json", json.dumps(facts))
    write(tmp_path, "00000/000000000.txt", "a \n woman\r\n")
    write(tmp_path, "00000/000000001.json", json.dumps(facts | {"NSFW": "NSFW"}))
    write(
        tmp_path, "00000/000000002.json", json.dumps(facts | {"status": "failed_to_download", "error_message": "404"})
    )
    write(tmp_path, "00000/000000003.json", '{"key": ')
    write(tmp_path, "00000_stats.json", "{}")
    items, lost = read("laion-face", tmp_path)
    assert list(items) == ["000000000.jpg", "000000003.jpg", "000000004.jpg"]
    first = items["000000000.jpg"]
    assert (first.text, first.origin, first.license) == ("a woman", "LAION-Face 77", "unknown (the picture's own)")
    assert len(lost) == 2 and "NSFW" in lost[0] and "404" in lost[1]
    assert "000000001.jpg" in read("laion-face", tmp_path, nsfw=True)[0]


def test_laion_face_tars_of_the_official_script(tmp_path: Path):
    with tarfile.open(put(tmp_path, "split_00000/x.txt") / "split_00000" / "00000.tar", "w") as tar:
        for name, data in {"000000000.jpg": b"J", "000000000.json": b'{"SAMPLE_ID": 5}', "000000000.txt": b"a man",
                           "../../evil.png": b"E", "000000002.json": b"{}"}.items():  # fmt: skip
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("000000003.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    (tmp_path / "torn.tar").write_bytes((tmp_path / "split_00000" / "00000.tar").read_bytes()[:700])
    source = open_source("laion-face", tmp_path)
    found = list(source.items())
    assert [(i.path.name, i.data, i.text) for i in found][:2] == [
        ("000000000.jpg", b"J", "a man"),
        ("evil.png", b"E", ""),
    ]
    assert all(i.path.is_relative_to(tmp_path) and ".." not in i.path.parts for i in found)
    reasons = " | ".join(p.reason for p in source.problems())
    assert "regular file" in reasons and "no picture" in reasons and "torn archive" in reasons


def test_laion_metadata_is_sampled_evenly_and_the_same_each_time(tmp_path: Path):
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    from likeness.data.sources.laion_face import sample_metadata

    for part in range(2):
        table = pa.table(
            {"SAMPLE_ID": list(range(part * 500, part * 500 + 500)), "URL": [f"http://x/{i}" for i in range(500)]}
        )
        pq.write_table(table, tmp_path / f"laion_face_part_{part:05d}.parquet", row_group_size=100)
    (tmp_path / "out").mkdir()
    assert sample_metadata(tmp_path, tmp_path / "out" / "a.parquet", 60, seed=1) == 1000
    sample_metadata(tmp_path, tmp_path / "out" / "b.parquet", 60, seed=1)
    a, b = (pq.read_table(tmp_path / "out" / f"{n}.parquet")["SAMPLE_ID"].to_pylist() for n in "ab")
    assert a == b and len(set(a)) == 60 and 15 < sum(i < 500 for i in a) < 45
    assert sample_metadata(tmp_path, tmp_path / "out" / "c.parquet", 10**6) == 1000
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.parquet").write_bytes(b"nonsense")
    with pytest.raises(UsageError):
        sample_metadata(tmp_path / "bad", tmp_path / "d.parquet", 1)
    assert not (tmp_path / "d.parquet").exists()


# --- Text2Face captions


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.csv", "image,caption\r\n00000.png,A woman.\r\n1,A man.\r\n9.png,Nobody.\r\n"),
        ("c.json", json.dumps({"00000.png": ["A woman.", "other"], "images1024x1024/00001.png": "A man.", "9": "N"})),
        ("c.json", json.dumps([{"file_name": "00000.png", "text": "A woman."}, {"file_name": "00001", "text": "A man."},
                               {"file_name": "9", "text": "N"}])),
        ("c.jsonl", '\ufeff{"image": "00000.png", "caption": "A woman."}\n{"image": "1.png", "caption": "A man."}\n'
                    '{"image": "9", "caption": "N"}\n{"image": "00'),
        ("c.txt", "00000.png\tA woman.|Other.\n1.png A man.\n9.png x\n"),
    ],
)  # fmt: skip
def test_captions_are_joined_by_name_in_any_form(tmp_path: Path, name: str, text: str):
    put(tmp_path, "p/images1024x1024/00000.png", "p/images1024x1024/00001.png", "p/images1024x1024/1.png")
    captions = write(tmp_path, name, text)
    source = open_source("text2face", tmp_path / "p", captions=str(captions), images="ffhq")
    found = {i.path.name: i.text for i in source.items()}
    assert found.pop("00000.png") == "A woman." and list(found.values()) == ["A man."]
    assert any("no picture" in p.reason and not p.lost for p in source.problems())
    assert sum(p.reason == "no caption" for p in source.problems()) == 1
    assert (
        len(
            list(
                open_source("text2face", tmp_path / "p", captions=str(captions), images="ffhq", all_images=True).items()
            )
        )
        == 3
    )


def test_a_short_name_that_two_captions_claim_joins_nothing(tmp_path: Path):
    put(tmp_path, "p/train/1.jpg", "p/val/1.jpg")
    captions = write(tmp_path, "c.csv", "image,caption\ntrain/1.jpg,one\nval/1.jpg,two\n")
    items = open_source("text2face", tmp_path / "p", captions=str(captions), images="folder").items()
    assert {i.path.parent.name: i.text for i in items} == {"train": "one", "val": "two"}


def test_a_reader_is_a_source_and_forgets_old_problems(tmp_path: Path):
    put(tmp_path, "bad.jpg")
    source = open_source("utkface", tmp_path)
    assert isinstance(source, Reader) and source.problems() == []
    for _ in range(2):
        assert not list(source.items()) and len(source.problems()) == 1
