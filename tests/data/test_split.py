"""Splits: the asked shares for every attribute, a pure function of the content, and nothing alike on two sides."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from likeness.data.filters import Duplicates
from likeness.data.manifest import Manifest
from likeness.data.merge import MergeConfig, merge
from likeness.data.split import SplitConfig, perceptual, split
from likeness.data.strata import Union, allot
from likeness.errors import UsageError
from likeness.records import Age, Attributes, FaceRecord

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def people(count: int, seed: int = 0) -> list[FaceRecord]:
    random_ = random.Random(seed)
    found = []
    for i in range(count):
        attributes = Attributes(
            Age(20 + 10 * random_.randrange(5), 29 + 10 * random_.randrange(4, 9)),
            random_.choice(["male", "female"]),
            (random_.choices(["White", "Black", "Indian"], [8, 1, 1])[0],),
        )
        found.append(FaceRecord(f"images/{i}.png", "x", attributes))
    return found


def table(folder: Path, records: list[FaceRecord]) -> Path:
    Manifest(folder).write(records)
    return folder


def splits(folder: Path) -> dict[str, str | None]:
    return {r.file_name: r.split for r in Manifest(folder).records()}


def test_every_attribute_is_split_by_the_shares(tmp_path: Path):
    folder = table(tmp_path, people(1000))
    report = split(folder, SplitConfig(SHARES, ("gender", "ethnicity"), radius=None))
    assert report.pictures == Counter(splits(folder).values())
    assert all(abs(report.pictures[s] - 1000 * share) <= 3 for s, share in SHARES.items())
    for label, counts in report.labels.items():
        total = sum(counts.values())
        for name, share in SHARES.items():
            assert abs(counts.get(name, 0) - share * total) <= 2, (label, counts)
    assert report.kept == report.moved == report.groups == 0


def test_the_order_of_rows_plays_no_part_and_the_seed_does(tmp_path: Path):
    records = people(300)
    config = SplitConfig(SHARES, radius=None)
    split(table(tmp_path / "a", records), config)
    split(table(tmp_path / "b", records[::-1]), config)
    assert splits(tmp_path / "a") == splits(tmp_path / "b")
    split(table(tmp_path / "c", records), SplitConfig(SHARES, radius=None, seed=1))
    assert splits(tmp_path / "c") != splits(tmp_path / "a")
    before = (tmp_path / "a" / "metadata.jsonl").read_bytes()
    split(tmp_path / "a", SplitConfig(SHARES, radius=None, seed=5, again=True), write=False)
    assert (tmp_path / "a" / "metadata.jsonl").read_bytes() == before


def test_present_splits_stay_and_new_pictures_are_added(tmp_path: Path):
    records = people(400)
    folder = table(tmp_path, records[:300])
    split(folder, SplitConfig(SHARES, radius=None))
    first = splits(folder)
    Manifest(folder).append(records[300:])
    report = split(folder, SplitConfig(SHARES, radius=None))
    now = splits(folder)
    assert {n: now[n] for n in first} == first and report.kept == 300
    assert all(abs(count - 400 * SHARES[s]) <= 4 for s, count in Counter(now.values()).items())
    assert split(folder, SplitConfig(SHARES, radius=None, again=True)).kept == 0


def test_a_person_and_equal_bytes_stay_in_one_split(tmp_path: Path):
    from dataclasses import replace

    records = [replace(r, source="s", extra={"group": i // 5}) for i, r in enumerate(people(200))]
    records = [replace(r, sha256="same") if i in (0, 77, 150) else r for i, r in enumerate(records)]
    records += [replace(r, file_name=f"images/t{i}.png", source="t", split="train") for i, r in enumerate(records[:1])]
    records[3] = replace(records[3], split="test")
    folder = table(tmp_path, records)
    report = split(folder, SplitConfig(SHARES, radius=None))
    found = splits(folder)
    for group in range(0, 200, 5):
        assert len({found[f"images/{i}.png"] for i in range(group, group + 5)}) == 1
    # one is in test: so are those who share its person or its bytes, and the one that was in train is moved
    assert {found[f"images/{i}.png"] for i in (*range(5), 77, 150)} | {found["images/t0.png"]} == {"test"}
    assert report.moved == 1 and report.kept == 1 and report.largest_group == 16


def test_near_duplicates_never_lie_on_two_sides(tmp_path: Path):
    """Each picture comes blurred, smaller and brighter too; nothing in one split is near anything in the other."""
    random_ = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    records = []
    for i in range(30):
        rough = Image.fromarray(random_.integers(0, 255, (12, 12, 3), np.uint8)).resize((96, 96))
        blurred, small = rough.filter(ImageFilter.GaussianBlur(1)), rough.resize((64, 64))
        for j, variant in enumerate((rough, blurred, small, rough.point(lambda v: min(255, v + 6)))):
            name = f"images/{i}-{j}.{'jpg' if j == 1 else 'png'}"
            variant.save(tmp_path / name)
            records.append(FaceRecord(name, "x"))
    (tmp_path / "images" / "3-0.png").write_bytes(b"broken")
    random.Random(1).shuffle(records)
    report = split(table(tmp_path, records), SplitConfig({"train": 0.5, "test": 0.5}))
    found = splits(tmp_path)
    hashes = {r.file_name: perceptual(tmp_path, r) for r in records}
    assert report.unhashed == 1 and hashes.pop("images/3-0.png") is None
    seen = Duplicates()
    for name, value in hashes.items():
        if found[name] == "train":
            seen.add(name, value or 0)
    assert not [name for name, value in hashes.items() if found[name] == "test" and seen.find(value or 0)]
    assert report.groups >= 25 and report.largest_group <= 8 and set(found.values()) == {"train", "test"}


def test_a_stored_hash_is_believed(tmp_path: Path):
    assert perceptual(tmp_path, FaceRecord("images/none.png", extra={"phash": f"{255:064x}"})) == 255
    assert perceptual(tmp_path, FaceRecord("images/none.png", extra={"phash": "ff"})) is None  # of another kind


def test_a_part_becomes_a_folder_of_its_own(tmp_path: Path):
    records = people(20)
    (tmp_path / "all" / "images").mkdir(parents=True)
    for i, record in enumerate(records):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "all" / record.file_name)
    split(table(tmp_path / "all", records), SplitConfig({"train": 3, "test": 1}, radius=None))
    names = set()
    for part in ("train", "test"):
        count = merge([tmp_path / "all"], tmp_path / part, MergeConfig(split=part)).pictures
        assert abs(count - (15 if part == "train" else 5)) <= 1
        names |= {r.file_name for r in Manifest(tmp_path / part).records()}
    assert len(names) == 20


def test_whole_groups_are_dealt_as_evenly_as_they_go():
    labels = [{"a": 3}, {"a": 1}, {"a": 1}, {"b": 1}, {"b": 1}, {}, {}, {}, {}, {}]
    given = allot(labels, [3, 1, 1, 1, 1, 1, 1, 1, 1, 1], {"x": 0.5, "y": 0.5}, [None] * 10)
    sizes = Counter[str]()
    for name, size in zip(given, [3, 1, 1, 1, 1, 1, 1, 1, 1, 1], strict=True):
        sizes[name] += size
    assert sizes == {"x": 6, "y": 6} and given[3] != given[4] and given[0] != given[1]
    union = Union(5)
    union.join(4, 1)
    union.join(1, 3)
    assert union.groups() == [[0], [1, 3, 4], [2]]


def test_what_cannot_be_asked():
    for wrong in ({"shares": {}}, {"shares": {"train": -1}}, {"by": ("gendre",)}):
        with pytest.raises(UsageError):
            SplitConfig(**wrong)  # type: ignore[arg-type]
