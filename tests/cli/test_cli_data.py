"""`likeness data`: every command once on a small set, and errors as one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.cli.data_prepare import feeds_of, recipe, source_options
from likeness.cli.main import main
from likeness.errors import ConfigError

QUICK = ["--detector", "none", "--size", "48", "--workers", "0", "--set", "filters.min_size=32"]


def faces(folder: Path, count: int, first: int = 0) -> Path:
    """Coloured blobs with captions and ages."""
    folder.mkdir(parents=True)
    rows = []
    for i in range(first, first + count):
        random = np.random.default_rng(i)
        small = Image.fromarray(random.integers(40, 230, (8, 8, 3), np.uint8)).resize((96, 96))
        noisy = np.asarray(small).astype(int) + random.integers(-12, 12, (96, 96, 1))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        attributes = {"age": "30-39", "gender": ("male", "female")[i % 2]}
        rows.append({"file_name": f"{i}.png", "text": f"face number {i}", "attributes": attributes, "license": "CC0"})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


@pytest.fixture
def ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    faces(tmp_path / "raw", 6)
    assert main(["data", "prepare", "folder", "raw", "--output", "ready", *QUICK]) == 0
    said = capsys.readouterr()
    assert "kept  " in said.out and "contact-sheet.png" in said.err and "children" not in said.err
    return tmp_path / "ready"


def test_from_pictures_to_a_card(ready: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "verify", "ready", "--size", "48"]) == 0
    assert "6 rows, 48x48: good" in capsys.readouterr().out
    assert main(["data", "split", "ready", "train=0.5", "test=0.5", "--by", "gender"]) == 0
    assert "train  3" in capsys.readouterr().out
    assert main(["data", "stats", "ready", "--json", "--picture", "stats.png"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 6 and found["splits"] == {"train": 3, "test": 3} and found["licenses"] == {"CC0": 6}
    assert Image.open("stats.png").width == 1200
    assert main(["data", "stats", "ready"]) == 0 and "6 pictures in ready" in capsys.readouterr().out
    assert main(["data", "card", "ready", "--title", "Blobs"]) == 0
    assert capsys.readouterr().out.strip() == "ready/README.md" and "# Blobs" in Path("ready/README.md").read_text()
    assert main(["data", "card", "ready", "--print"]) == 0 and "CC0" in capsys.readouterr().out
    assert main(["data", "shard", "ready", "1/2", "--output", "half"]) == 0
    assert "3  pictures in half" in capsys.readouterr().out
    assert main(["data", "merge", "half", "ready", "--output", "both", "--json"]) == 0
    merged = json.loads(capsys.readouterr().out)
    assert merged["pictures"] == 6 and merged["counts"]["equal picture"] == 3
    assert main(["data", "merge", "half", "ready", "--output", "again"]) == 0
    assert "3  equal picture" in capsys.readouterr().out


def test_verify_tells_and_repairs(ready: Path, capsys: pytest.CaptureFixture[str]):
    (ready / "images/0.png").write_bytes(b"broken")
    assert main(["data", "verify", "ready"]) == 1
    assert "1  unreadable" in capsys.readouterr().out
    assert main(["data", "verify", "ready", "--json", "--quick"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    assert main(["data", "verify", "ready", "--repair"]) == 0
    assert "rows dropped: 1 unreadable" in capsys.readouterr().out
    assert main(["data", "verify", "ready"]) == 0


def test_prepare_all_takes_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    faces(tmp_path / "mine", 3)
    utk = tmp_path / "utk"
    utk.mkdir()
    shutil.copy(faces(tmp_path / "other", 2, 50) / "50.png", utk / "30_1_0_20170109142408075.jpg.chip.png")
    shutil.copy(tmp_path / "other/51.png", utk / "9_0_2_20170109142408075.jpg.chip.png")
    line = ["data", "prepare-all", "--utkface", "utk", "--source", "folder=mine", "--output", "all", "--json", *QUICK]
    assert main(line) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kept"] == 4 and report["dropped"] == {"minor": 1}
    assert report["sources"] == {"utkface": 2, "folder": 3}
    assert sorted(p.name for p in Path("all/images").iterdir())[0] == "folder-0.png"
    assert main(["data", "prepare-all", "--output", "none"]) == 2
    assert "name a source" in capsys.readouterr().err


def test_a_set_without_ages_asks_for_a_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (faces(tmp_path / "raw", 2) / "metadata.jsonl").unlink()
    assert main(["data", "prepare", "folder", "raw", "--output", "out", "--minors", *QUICK]) == 0
    said = capsys.readouterr().err
    assert "names no ages" in said and "Minors were kept" in said


def test_sources_downloads_and_clean_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "sources"]) == 0
    assert "easyportrait: " in (shown := capsys.readouterr().out) and "licence" in shown
    assert main(["data", "sources", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 14
    assert main(["data", "download", "laion-face", "--output", "laion", "--num-samples", "156000", "--print"]) == 0
    assert "img2dataset" in (script := capsys.readouterr().out) and "156000" in script
    assert main(["data", "download", "folder", "--output", "x"]) == 2
    assert "cannot be downloaded" in capsys.readouterr().err
    faces(tmp_path / "raw", 3)
    assert main(["data", "clean", "folder", "raw", "--output", "table.csv"]) == 0
    assert "3 rows in table.csv, 0 left out" in capsys.readouterr().out
    assert main(["data", "prepare", "csv", "table.csv", "--output", "out", "-o", "text_column=text", *QUICK]) == 0
    assert main(["data", "download", "celeba", "--output", "raw", "--verify"]) == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("prepare fholder raw --output x", "no source 'fholder': did you mean 'folder'"),
        ("prepare folder nowhere --output x", "no folder nowhere"),
        ("prepare folder raw --output x --detector mtcn", "did you mean 'mtcnn'"),
        ("prepare folder raw --output x --align eye", "did you mean 'eyes'"),
        ("prepare folder raw --output x --size 4", "crop size 4"),
        ("prepare folder raw --output x --set filters.blurr=3", "unknown setting 'blurr'"),
        ("prepare folder raw --output x -o colour=1", "no option 'colour'"),
        ("prepare folder raw --output x -o colour", "write key=value"),
        ("prepare folder raw --output raw", "lie in each other"),
        ("prepare folder raw --output x --detector yunet", "yunet needs its network"),
        ("prepare folder raw", "--output"),
        ("prepare-all --ffhq raw --output x --captions celeba=c.csv", "no such source here"),
        ("prepare-all --ffhq raw --output x -o labels=shipped", "write source.key=value"),
        ("verify nowhere", "likeness data prepare"),
        ("split raw train", "write name=number"),
        ("split raw --by hair", "cannot stratify by 'hair'"),
        ("merge raw --output raw/x", "choose another output"),
        ("shard raw 5/4 --output x", "no shard 5/4"),
        ("stats raw --tokenizer nobody", "nobody"),
    ],
)
def test_errors_are_one_line(line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    faces(tmp_path / "raw", 2)
    assert main(["data", *line.split(), *(["--workers", "0"] if line.startswith("prepare") else [])]) == 2
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.count("\n") == 1 and not shown.out


def test_flags_become_settings():
    config = recipe("fairface", True, {"crop.size": None, "format": "png"}, ["filters.blur=3"])
    assert (config.crop.size, config.align, config.format, config.filters.blur) == (128, "fairface", "png", 3.0)
    assert config.filters.min_size == 0 and recipe(None, False, {}, []).filters.duplicates == -1
    assert recipe("box", True, {}, []).crop.align == "box"
    options = ["labels=shipped", "all-images=true", "n=3", "prefixes=desi=Indian"]
    assert source_options(options) == {"labels": "shipped", "all_images": True, "n": 3, "prefixes": "desi=Indian"}
    feeds = feeds_of([("ffhq", "a"), ("fairface", "b")], ["ffhq=c.csv"], ["ffhq.all_images=true"], "fairface")
    assert [(f.name, f.path, f.options) for f in feeds] == [
        ("text2face", "a", {"captions": "c.csv", "images": "ffhq", "all_images": True}),
        ("fairface", "b", {"labels": "shipped"}),
    ]
    with pytest.raises(ConfigError):
        source_options(["labels"])
