"""A folder that is whole is found whole; every kind of damage is found, named and counted; repair deletes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.data.manifest import Manifest
from likeness.data.repair import repair
from likeness.data.verify import KINDS, verify
from likeness.errors import UsageError
from likeness.records import FaceRecord


def picture(path: Path, seed: int, size: tuple[int, int] = (32, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    for i in range(20):
        picture(folder / "images" / f"{i}.png", i)
    Manifest(folder).write(FaceRecord(f"images/{i}.png", f"face {i}") for i in range(20))
    return folder


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_whole_folder_is_whole(whole: Path):
    picture(whole / "contact_sheet.png", 100)  # beside the table lie other things than faces
    before = files(whole)
    told: list[int] = []
    report = verify(whole, progress=told.append)
    assert report.ok and report.rows == 20 and report.counts == {} and told[-1] == 20
    assert report.size == "32x32" and report.sizes == {"32x32": 20}
    assert files(whole) == before  # and looking changes nothing
    assert not verify(whole, size=64).ok


def rows(folder: Path, *more: str) -> None:
    with open(folder / "metadata.jsonl", "a") as file:
        file.writelines(more)


def cut(folder: Path) -> None:
    data = (folder / "images/3.png").read_bytes()
    (folder / "images/3.png").write_bytes(data[: len(data) // 2])


def outside(folder: Path) -> None:
    picture(folder.parent / "secret.png", 99)
    (folder / "images/3.png").unlink()
    (folder / "images/3.png").symlink_to(folder.parent / "secret.png")


def copied(folder: Path) -> None:
    (folder / "images/4.png").write_bytes((folder / "images/3.png").read_bytes())


def renamed(folder: Path) -> None:
    (folder / "images/3.png").rename(folder / "images/train_3.png")
    Manifest(folder).fold(lambda r: FaceRecord("images/train_3.png", "x") if r.file_name == "images/3.png" else r)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda f: (f / "images/3.png").unlink(), "images/3.png"),
    "orphan": (lambda f: picture(f / "images" / "new.png", 77), "images/new.png"),
    "duplicate": (copied, "images/4.png: the same as images/3.png"),
    "unreadable": (cut, "images/3.png"),
    "changed": (lambda f: rows(f, '{"file_name": "images/3.png", "text": "x", "sha256": "abcd"}\n'), "images/3.png"),
    "empty caption": (lambda f: rows(f, '{"file_name": "images/3.png", "text": " "}\n'), "images/3.png"),
    "wrong size": (lambda f: picture(f / "images" / "3.png", 3, (32, 31)), "images/3.png: 32x31"),
    "bad row": (lambda f: rows(f, '{"file_name": "../x.png"}\n'), "line 21"),
    "repeated row": (lambda f: rows(f, '{"file_name": "3.png", "text": "again"}\n'), "images/3.png"),
    "torn row": (lambda f: rows(f, '{"file_name": "images/3'), "line 21"),
    "misleading name": (renamed, "images/train_3.png"),
    "mixed column": (lambda f: rows(f, '{"file_name": "images/3.png", "text": "x", "q": 1}\n',
                                    '{"file_name": "images/4.png", "text": "x", "q": "one"}\n'), "q: integer and text"),
    "stray table": (lambda f: (f / "metadata.csv").write_text("file_name\n"), "metadata.csv"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_damage_is_found(whole: Path, kind: str):
    assert set(DAMAGE) == set(KINDS)
    damage, said = DAMAGE[kind]
    damage(whole)
    report = verify(whole)
    assert not report.ok and report.counts[kind] >= 1
    assert any(said in example for example in report.examples[kind]), report.examples
    allowed = {kind, "repeated row"}  # a later row replaces an earlier one in some of these
    assert set(report.counts) <= allowed
    assert json.loads(json.dumps(report.to_dict()))["ok"] is False


@pytest.mark.parametrize(
    "kind", ["missing", "orphan", "duplicate", "unreadable", "bad row", "repeated row", "torn row"]
)
def test_repair_makes_a_folder_whole_and_deletes_nothing(whole: Path, kind: str):
    DAMAGE[kind][0](whole)
    before = {p.name: p.read_bytes() for p in whole.rglob("*.png")}
    done = repair(whole)
    assert done.before.counts[kind] == 1
    after = verify(whole)
    assert after.ok and after.rows == done.left >= 19
    kept = {p.name: p.read_bytes() for p in whole.rglob("*.png")}
    assert kept == before
    quarantine = whole / ".quarantine"
    assert any(quarantine.rglob("*.png")) == (kind in ("orphan", "duplicate", "unreadable"))
    lines = [json.loads(line) for line in (quarantine / "rows.jsonl").read_text().splitlines()]
    assert len(lines) == (kind in ("missing", "duplicate", "unreadable", "bad row"))
    if kind == "bad row":
        assert json.loads(lines[0]["raw"]) == {"file_name": "../x.png"}
    assert repair(whole).rows == {} and files(whole) == {*files(whole)}


def test_repair_touches_nothing_of_a_whole_folder(whole: Path):
    before = files(whole) | {".metadata.lock"}
    stamp = (whole / "metadata.jsonl").stat().st_mtime_ns
    assert repair(whole).left == 20
    assert files(whole) == before and (whole / "metadata.jsonl").stat().st_mtime_ns == stamp


def test_repair_waits_for_no_writer(whole: Path):
    with Manifest(whole).appending(), pytest.raises(UsageError, match="is writing"):
        repair(whole)


def test_links_that_lead_out_are_moved_and_their_targets_left(whole: Path):
    outside(whole)
    report = verify(whole)
    assert report.counts == {"unreadable": 1} and "leads out" in report.examples["unreadable"][0]
    repair(whole)
    assert verify(whole).ok and (whole.parent / "secret.png").is_file()
    assert (whole / ".quarantine/images/3.png").is_symlink()


def test_a_linked_folder_is_not_emptied(whole: Path):
    elsewhere = whole.parent / "elsewhere"
    (whole / "images").rename(elsewhere)
    (whole / "images").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="20 of 20 rows would go"):
        repair(whole)
    assert Manifest(whole).count() == 20 and not (whole / ".quarantine").exists()
    assert repair(whole, most=1).rows == {"unreadable": 20}
    assert len(list(elsewhere.iterdir())) == 20


def test_what_is_no_prepared_folder_is_said(tmp_path: Path):
    for run in (verify, repair):
        with pytest.raises(UsageError, match="no metadata.jsonl"):
            run(tmp_path)
        assert not any(p.suffix for p in tmp_path.iterdir() if p.name != ".metadata.lock")


def test_without_hashes_or_pixels(whole: Path):
    cut(whole)
    copied(whole)
    assert verify(whole, decode=False, hashes=False).ok
    assert set(verify(whole, decode=False).counts) == {"duplicate"}
    assert set(verify(whole, hashes=False).counts) == {"unreadable"}
