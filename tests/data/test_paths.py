"""Names from strangers' tables never lead out of their folder; the walk reports what it cannot use and never hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from likeness.data.paths import existing, find, inside, pictures, walk
from likeness.errors import UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(b"x")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return folder


@pytest.mark.parametrize(
    "name",
    ["../secret.png", "images/../../secret.png", "/etc/passwd", "..", "", "  ", "a\0.png", "..\\secret.png",
     "C:\\x.png",
     "C:/x.png", "\\\\server\\x.png", "images/..", "x/" * 3000 + "a.png", "n" * 300 + ".png"],
)  # fmt: skip
def test_names_that_lead_out_or_are_none_are_refused(root: Path, name: str):
    with pytest.raises(UsageError) as told:
        existing(root, name)
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


@pytest.mark.parametrize(
    "name", ["a\nb.png", "ünïcode 顔.png", "a b.png", "..a.png", "a..png", "C:x.png", "back\\slash.png"]
)
def test_odd_but_honest_names_are_found(root: Path, name: str):
    (root / name).write_bytes(b"x")
    assert existing(root, name) == root / name


def test_windows_separators_are_read_as_folders(root: Path):
    assert existing(root, "images\\a.png").samefile(root / "images" / "a.png")


def test_links_that_lead_out_are_refused_unless_allowed(root: Path):
    (root / "out.png").symlink_to(root.parent / "secret.png")
    (root / "up").symlink_to(root.parent)
    (root / "within.png").symlink_to("images/a.png")
    for name in ("out.png", "up/secret.png"):
        with pytest.raises(UsageError, match="link"):
            existing(root, name)
        assert existing(root, name, follow_links=True).read_bytes() == b"secret"
    assert existing(root, "within.png")


def test_a_root_that_is_a_link_itself_is_fine(root: Path):
    (root.parent / "link").symlink_to(root)
    assert existing(root.parent / "link", "images/a.png")


def test_circles_folders_pipes_and_missing_files_have_reasons(root: Path):
    (root / "loop.png").symlink_to("loop.png")
    (root / "ring").symlink_to("ring2")
    (root / "ring2").symlink_to("ring")
    os.mkfifo(root / "pipe.png")
    for name, reason in [
        ("loop.png", "circle"), ("ring/a.png", "circle"), ("images", "folder"), ("pipe.png", "regular"),
        ("no.png", "no such"),
        ("images/a.png/b.png", "no such"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=reason):
            existing(root, name)
    assert inside(root, "no.png") == root / "no.png"


def test_find_tries_names_in_turn_and_tells_of_the_first(root: Path):
    assert find(root, "a.png", "images/a.png") == root / "images" / "a.png"
    with pytest.raises(UsageError, match="b.png"):
        find(root, "b.png", "../secret.png")


def test_the_walk_is_ordered_reports_links_and_ends(root: Path):
    (root / "loop.png").symlink_to("loop.png")
    (root / "circle").symlink_to(root)
    (root / "out.png").symlink_to(root.parent / "secret.png")
    (root / "outside").symlink_to(root.parent)
    (root / "broken.png").symlink_to("gone")
    os.mkfifo(root / "pipe.png")
    (root / ".hidden.png").write_bytes(b"x")
    (root / "notes.txt").write_text("x")
    (root / "face.exe").write_bytes(b"x")
    told = {p.relative_to(root).as_posix(): reason for p, reason in pictures(root)}
    assert list(told) == sorted(told)
    assert told.pop("images/a.png") is None
    assert told.keys() == {"loop.png", "out.png", "broken.png", "pipe.png", "face.exe", "circle", "outside"} and all(
        told.values()
    )
    linked = {p.name: reason for p, reason in walk(root) if reason}
    assert "not followed" in linked["circle"] and "leads out" in linked["outside"]
    followed = [p for p, reason in pictures(root, follow_links=True) if reason is None]
    assert sorted(p.name for p in followed) == ["a.png", "out.png", "secret.png"]  # each folder once, circles or not


def test_no_folder_is_said_so(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot read the folder"):
        list(walk(tmp_path / "none"))


def test_deep_folders_do_not_exhaust_the_stack(tmp_path: Path):
    deep = tmp_path
    for _ in range(150):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "a.png").write_bytes(b"x")
    assert [p for p, _ in pictures(tmp_path)] == [deep / "a.png"]
