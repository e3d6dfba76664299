"""Preparation: what comes out, why things are left out, and that neither workers nor kills change it."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawing import content, folder_of, pattern
from PIL import Image

from likeness.config import build
from likeness.data import prepare as module
from likeness.data.crew import Crew
from likeness.data.crop import Square
from likeness.data.cutting import Cutter, Task, placed
from likeness.data.filters import phash
from likeness.data.manifest import Manifest
from likeness.data.prepare import SHEET, Feed, prepare
from likeness.data.recipe import FAIRFACE, PrepareConfig
from likeness.data.report import MEANINGS
from likeness.data.sources import Item
from likeness.data.stems import Stems, split_origin
from likeness.data.verify import verify
from likeness.errors import ConfigError, UsageError
from likeness.files import read_jsonl

FIXTURES = Path(__file__).parent / "fixtures"


def plain(**more: Any) -> PrepareConfig:
    """Centre crops of 48 px: no detector to wait for."""
    values = {"detector": "none", "crop": {"size": 48}, "filters": {"min_size": 32}} | more
    return build(PrepareConfig, values)


def go(source: Path, output: Path, config: PrepareConfig | None = None, **options: Any) -> Any:
    return prepare([Feed("folder", str(source))], output, config or plain(), **{"workers": 0, **options})


def test_a_folder_becomes_a_set(tmp_path: Path):
    source = folder_of(tmp_path / "in", 5, 128)
    pattern(0, 128).resize((120, 120)).save(source / "again.png")  # comes last by its name
    (source / "00001.txt").write_text("a face\n")
    report = go(source, tmp_path / "out")
    assert (report.read, report.kept, report.dropped) == (6, 5, {"duplicate": 1})
    rows = list(Manifest(tmp_path / "out").records())
    assert [r.file_name for r in rows] == [f"images/0000{i}.png" for i in range(5)]
    assert rows[1].text == "a face" and rows[1].source == "in" and rows[1].extra["origin"] == "00001.png"
    for row in rows:
        with Image.open(tmp_path / "out" / row.file_name) as image:
            assert image.size == (48, 48)
            assert row.extra["phash"] == f"{phash(image.convert('RGB')):064x}"
    assert verify(tmp_path / "out").counts == {"empty caption": 4}
    assert Image.open(tmp_path / "out" / SHEET).width > 500
    assert read_jsonl(tmp_path / "out/dropped.jsonl")[0]["reason"] == "duplicate"
    assert not (tmp_path / "out/.prepare").exists()
    assert "duplicate" in report.text() and json.loads((tmp_path / "out/report.json").read_text())["kept"] == 5
    assert set(report.dropped) <= set(MEANINGS)


def test_the_number_of_workers_changes_nothing(tmp_path: Path):
    source = folder_of(tmp_path / "in", 14)
    (source / "00003.png").write_bytes(b"no picture")
    pattern(1).save(source / "00009.png")  # as 00001.png
    go(source, tmp_path / "here")
    report = go(source, tmp_path / "two", workers=2)
    assert content(tmp_path / "here") == content(tmp_path / "two")
    assert report.quarantined == [{"file": str(source / "00003.png"), "reason": "not an image", "detail": ""}]
    assert report.dropped == {"not an image": 1, "duplicate": 1}


def test_reasons(tmp_path: Path):
    source = tmp_path / "in"
    source.mkdir()
    pattern(1, 20).save(source / "small.png")
    Image.new("RGB", (64, 64), (5, 5, 5)).save(source / "dark.png")
    Image.new("RGB", (64, 64), (250, 250, 250)).save(source / "bright.png")
    Image.new("RGB", (64, 64), (120, 130, 110)).save(source / "flat.png")
    rows = [{"file_name": "kid.png", "attributes": {"age": "10-19"}}, {"file_name": "told.png", "text": "a boy of 9"}]
    rows += [{"file_name": p.name} for p in sorted(source.iterdir())]
    rows += [{"file_name": "eyes.png", "eyes": [[10, 10], [float("nan"), 10]]}, {"file_name": "../secret.png"}]
    for name in ("kid", "told", "eyes"):
        pattern(len(name), 64).save(source / f"{name}.png")
    (source / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    report = go(source, tmp_path / "out")
    assert report.dropped == {
        "minor": 2, "bright": 1, "dark": 1, "blurred": 1, "too small": 1, "wrong eyes": 1,
    }  # fmt: skip
    assert report.kept == 0 and report.lost == 1 and "leads out" in report.problems[0]["reason"]
    kept = go(source, tmp_path / "all", plain(minors=True))
    assert kept.kept == 2


def test_found_faces_land_where_they_are_said_to(tmp_path: Path):
    from likeness.data.detect import make_detector

    config = build(PrepareConfig, {"detector": "haar", "crop": {"size": 160, "upscale": True}})
    report = go(FIXTURES / "portraits", tmp_path / "out", config, limit=3)
    assert report.kept >= 2
    detector, checked = make_detector("haar"), 0
    for row in Manifest(tmp_path / "out").records():
        image = Image.open(tmp_path / "out" / row.file_name)
        assert image.size == (160, 160)
        if row.landmarks and (found := detector.detect(image)) and found[0].eyes:
            assert np.abs(np.array(found[0].eyes) - np.array(row.landmarks[:2])).max() < 8
            checked += 1
    assert checked


def test_points_are_placed_as_the_crop_is_turned():
    square = Square(100, 100, 80, np.pi / 2)
    # the upper edge runs downwards in the picture: what is to the right of the centre comes out above it
    assert placed([(100, 100), (140, 100)], square, 40) == ((19.5, 19.5), (19.5, -0.5))


def test_all_faces_of_a_picture(tmp_path: Path):
    source = tmp_path / "in"
    source.mkdir()
    pair = Image.new("RGB", (960, 480))
    for i, name in enumerate(("synthetic_female_34.jpg", "synthetic_male_21.jpg")):
        pair.paste(Image.open(FIXTURES / "portraits" / name).resize((480, 480)), (480 * i, 0))
    pair.save(source / "pair.jpg", quality=95)
    values: dict[str, Any] = {"detector": "mtcnn", "crop": {"size": 96, "policy_many": "all"}}
    report = go(source, tmp_path / "all", build(PrepareConfig, values))
    assert report.read == 1 and report.kept == 2
    assert {r.file_name for r in Manifest(tmp_path / "all").records()} == {"images/pair-1.png", "images/pair-2.png"}
    values["crop"]["policy_many"] = "drop"
    assert go(source, tmp_path / "none", build(PrepareConfig, values)).dropped == {"several faces": 1}


def test_fairface_is_rebuilt_from_its_files(tmp_path: Path):
    table = tmp_path / "labels.csv.gz"
    packed = FIXTURES.parents[2] / "src/likeness/assets/fairface/labels.csv.gz"
    lines = gzip.decompress(packed.read_bytes()).decode().split("\n")
    wanted = next(line for line in lines if line.startswith("train/13900.jpg"))
    table.write_bytes(gzip.compress(f"{lines[0]}\n{wanted}\n".encode()))
    (tmp_path / "raw/train").mkdir(parents=True)
    (tmp_path / "raw/train/13900.jpg").write_bytes((FIXTURES / "portraits/fairface_train_13900.jpg").read_bytes())
    feed = Feed("fairface", str(tmp_path / "raw"), {"labels": str(table)})
    prepare([feed], tmp_path / "out", build(PrepareConfig, FAIRFACE), workers=0)
    (row,) = Manifest(tmp_path / "out").records()
    assert row.file_name.endswith("_13900.webp") and row.attributes.gender and row.license == "CC BY 4.0"
    given = FIXTURES.parents[2] / "src/likeness/assets/faces/images/train_13900.webp"
    made = tmp_path / "out" / row.file_name
    ours, theirs = (np.asarray(Image.open(p).convert("RGB")).astype(int) for p in (made, given))
    assert np.abs(ours - theirs).mean() < 4
    assert 0.5 < made.stat().st_size / given.stat().st_size < 2


def test_several_sources_share_one_folder(tmp_path: Path):
    a, b = folder_of(tmp_path / "a", 3), folder_of(tmp_path / "b", 4, first=2)  # b's first is a's last
    first = go(folder_of(tmp_path / "c", 1, first=5), tmp_path / "seen")  # is b's last
    assert first.kept == 1
    feeds = [Feed("folder", str(a)), Feed("folder", str(b))]
    report = prepare(feeds, tmp_path / "out", plain(), workers=0, against=[tmp_path / "seen"])
    assert report.sources == {"folder1": 3, "folder2": 4} and report.dropped == {"duplicate": 2}
    names = [r.file_name for r in Manifest(tmp_path / "out").records()]
    assert names == [f"images/folder{s}-0000{i}.png" for s, i in ((1, 0), (1, 1), (1, 2), (2, 1), (2, 2))]


def test_another_preparation_in_the_same_folder_is_refused(tmp_path: Path):
    source = folder_of(tmp_path / "in", 2)
    report = go(source, tmp_path / "out")
    assert go(source, tmp_path / "out").run == report.run  # nothing to do: the same report
    with pytest.raises(UsageError, match="prepared with crop.size 48, not 40: choose another --output"):
        go(source, tmp_path / "out", plain(crop={"size": 40}))
    with pytest.raises(UsageError, match="is not empty"):
        go(source, folder_of(tmp_path / "busy", 1))
    with pytest.raises(UsageError, match="in each other"):
        go(source, source / "out")
    with pytest.raises(UsageError, match="no folder"):
        go(tmp_path / "nothing", tmp_path / "fresh")
    go(source, tmp_path / "fresh")  # a start that came to nothing is not held against anybody
    with pytest.raises(ConfigError, match="did you mean 'mtcnn'"):
        PrepareConfig(detector="mtcn")


def test_a_source_that_changes_between_two_sittings_is_noticed(tmp_path: Path):
    source = folder_of(tmp_path / "in", 4)
    stop_after(source, tmp_path / "out", 2)
    (source / "00000a.png").write_bytes((source / "00003.png").read_bytes())
    with pytest.raises(UsageError, match="the source has changed"):
        go(source, tmp_path / "out")


class Stop(Exception):
    pass


def stop_after(source: Path, output: Path, count: int) -> None:
    def tell(stage: str, done: int, total: int) -> None:
        if stage == "preparing" and done == count:
            raise Stop

    with pytest.raises(Stop):
        go(source, output, progress=tell)


@pytest.mark.parametrize("wound", ["none", "torn journal", "torn table", "lost rows", "stray picture"])
def test_an_interrupted_run_goes_on(tmp_path: Path, wound: str, monkeypatch: pytest.MonkeyPatch):
    source = folder_of(tmp_path / "in", 7)
    pattern(1).save(source / "00005.png")
    go(source, tmp_path / "whole")
    out = tmp_path / "out"
    stop_after(source, out, 4)
    journal, table = out / ".prepare/journal.jsonl", out / "metadata.jsonl"
    expected = 3
    if wound == "torn journal":
        journal.write_bytes(journal.read_bytes()[:-5])
        expected = 4
    if wound == "torn table":
        table.write_bytes(table.read_bytes() + b'{"file_name": "images/0')
    if wound == "lost rows":  # a power cut may leave less of the table than the journal tells of
        table.write_bytes(table.read_bytes()[:-9])
        expected = 4
    if wound == "stray picture":
        (out / "images/00004.png").write_bytes(b"half")
    seen: list[Task] = []
    whole = Crew.run

    def watched(self: Crew, tasks: Any) -> Any:
        for task, outcome in whole(self, tasks):
            seen.append(task)
            yield task, outcome

    monkeypatch.setattr(module.Crew, "run", watched)
    report = go(source, out)
    assert len(seen) == expected and report.run["already"] == 7 - expected
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.parametrize("last", ["sheet", "report"])
def test_a_run_that_is_stopped_in_its_last_second_goes_on(tmp_path: Path, last: str, monkeypatch: pytest.MonkeyPatch):
    """While the contact sheet is drawn, or just before the report, which is what says that all is done."""
    source = folder_of(tmp_path / "in", 4)
    go(source, tmp_path / "whole")
    with monkeypatch.context() as patch:
        owner, name = (module.sheet, "save") if last == "sheet" else (module.os, "sync")

        def stop(*_: Any) -> None:
            raise Stop

        patch.setattr(owner, name, stop)
        with pytest.raises(Stop):
            go(source, tmp_path / "out")
    assert not (tmp_path / "out/report.json").exists()
    assert go(source, tmp_path / "out").run["already"] == 4
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_full_disk_ends_the_run_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = folder_of(tmp_path / "in", 3)
    with monkeypatch.context() as patch:

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(Cutter, "_written", full)
        with pytest.raises(UsageError, match="No space left on device. Make room and run it again"):
            go(source, tmp_path / "out")
    assert go(source, tmp_path / "out").kept == 3


def test_names_are_unique_ascii_and_stable():
    stems = Stems()

    def take(name: str, prefix: str = "") -> str:
        return stems.take(Item(Path("x") / name, origin=f"in {name}"), name, prefix)

    assert [take("a.png"), take("train/95.jpg"), take("b c.jpeg", "ffhq")] == ["a", "trainset_95", "ffhq-b_c"]
    odd = [take(n) for n in ("A.jpg", "a.jpg", "ünï.png", "unı.png", "x" * 300 + ".png", "\n.png", "..png", "日本.png")]
    assert len(set(n.lower() for n in odd)) == len(odd) and all(n.isascii() and 0 < len(n) < 110 for n in odd)
    assert "a" not in [n.lower() for n in odd]
    again = Stems()
    assert again.take(Item(Path("x/a.png"), origin="in a.png"), "a.png") == "a"
    assert split_origin("FFHQ 00012", "data") == ("FFHQ", "00012")
    assert split_origin("my set 3/1.jpg", "data/my set") == ("my set", "3/1.jpg")
    assert split_origin("Somebody's words", "data") == ("Somebody's words", "")


def test_pictures_in_archives_go_to_the_workers(tmp_path: Path):
    """The output of img2dataset as webdataset: the picture never is a file."""
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in/00000.tar", "w") as archive:
        for i in range(3):
            buffer = io.BytesIO()
            pattern(i, 128).save(buffer, "JPEG")
            row = json.dumps({"caption": f"a man of 4{i}", "status": "success", "SAMPLE_ID": 1000 + i})
            for suffix, data in (("jpg", buffer.getvalue()), ("json", row.encode())):
                member = tarfile.TarInfo(f"{i:09d}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    report = prepare([Feed("laion-face", str(tmp_path / "in"))], tmp_path / "out", plain(), workers=1)
    assert report.kept == 3
    rows = list(Manifest(tmp_path / "out").records())
    assert [(r.file_name, r.text, r.source) for r in rows] == [
        (f"images/{1000 + i}.png", f"a man of 4{i}", "LAION-Face") for i in range(3)
    ]
    assert rows[0].extra["crop"] == [63.5, 63.5, 128.0, 0.0]


def test_the_result_loads_with_datasets(tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    source = folder_of(tmp_path / "in", 4)
    (source / "metadata.jsonl").write_text(
        "".join(json.dumps({"file_name": f"{i:05d}.png", "text": f"face {i}", "attributes": {"age": "30-39"}}) + "\n"
                for i in range(4))
    )  # fmt: skip
    go(source, tmp_path / "out")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"] and loaded["train"]["text"][:] == [f"face {i}" for i in range(4)]
    assert loaded["train"][0]["image"].size == (48, 48) and loaded["train"][0]["attributes"]["age"] == "30-39"
