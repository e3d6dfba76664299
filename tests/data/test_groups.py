"""Groups by attribute and by prefix, and the report on a folder that is anything but tidy."""

import json

import numpy as np
import pytest
from PIL import Image

from likeness.data.groups import GroupConfig, find, prefix, read_groups
from likeness.errors import UsageError
from likeness.train.augment import Pictures

MUGSHOTS = {"indian": "Indians", "asian": "Orientals", "white": "Europeans"}


def paint(file, size=(32, 32), colour="red"):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(file)


@pytest.fixture
def untidy(tmp_path):
    """Prefixes that are known, unknown, alone, and of broken files; sizes of every kind."""
    folder = tmp_path / "mugshots"
    for i in range(3):
        paint(folder / f"indian_{i}.png")
        paint(folder / f"White{i}.png", (24, 48), "blue")
        paint(folder / "deeper" / f"martian-{i}.png")
    paint(folder / "asian_1.png", (8, 8))
    (folder / "indian_9.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    (folder / "white_8.png").write_bytes((folder / "White1.png").read_bytes()[:40])
    (folder / "white_7.png").write_bytes(b"")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_an_untidy_prefix_folder_is_reported_and_what_is_good_is_used(untidy):
    config = GroupConfig(prefixes=MUGSHOTS | {"black": "Africans"})
    found = find(untidy, "train", config)
    pictures = Pictures(found.files, 16, lambda *_: None, lenient=True)
    faces = found.grouped(config, pictures.seen.broken, pictures.seen.sizes)
    pictures.only(faces.rows)
    report = faces.report
    assert report.groups == {"Europeans": 3, "Indians": 3} and faces.names == ("Europeans", "Indians")
    assert report.unknown == {"martian": 3} and report.empty == ("Africans",) and report.small == {"Orientals": 1}
    reasons = {name.rsplit("/", 1)[-1]: why for name, why in report.broken.items()}
    assert reasons["white_7.png"] == "empty" and {"white_8.png", "indian_9.jpg"} < set(reasons)
    assert report.sizes == {"24x48": 3, "32x32": 3, "8x8": 1}
    told = "\n".join(report.lines(32))
    words = ("martian 3", "no picture of: Africans", "Orientals 1", "white_7.png (empty)")
    for word in (*words, "cropped at the centre: 3", "enlarged: 4"):
        assert word in told, told
    colours = pictures[list(range(len(pictures)))].mean((2, 3))  # (N, 3): each label beside its own picture
    assert [int(c.argmax()) for c in colours] == [{"Indians": 0, "Europeans": 2}[faces.names[i]] for i in faces.labels]


def test_a_group_whose_files_are_all_broken_is_no_group(untidy):
    for file in untidy.glob("indian_*.png"):
        file.write_bytes(b"")
    config = GroupConfig(prefixes=MUGSHOTS, least=1)
    found = find(untidy, None, config)
    pictures = Pictures(found.files, 16, lambda *_: None, lenient=True)
    faces = found.grouped(config, pictures.seen.broken)
    assert faces.names == ("Europeans", "Orientals") and faces.report.empty == ("Indians",)


def test_nothing_left_says_what_was_there(untidy):
    with pytest.raises(UsageError, match="beginning of its name.*of no group: indian 3, white 3|martian 3"):
        read_groups(untidy, None, GroupConfig(prefixes={"venusian": "Venusians"}))
    with pytest.raises(UsageError, match="holds no picture"):
        found = find(untidy, None, GroupConfig(attribute=None))
        found.grouped(GroupConfig(attribute=None), dict.fromkeys(range(len(found.files)), "empty"))


def test_prefixes_are_whole_words_and_the_longest_wins():
    known = {"asian": "A", "Asian Indian": "B", "middle_eastern": "C"}
    read = {"asian_1": "asian", "ASIAN1": "asian", "asian": "asian", "asian_indian-7": "Asian Indian",
            "Middle.Eastern 003": "middle_eastern"}  # fmt: skip
    assert {stem: prefix(stem, known) for stem in read} == read
    assert prefix("asiana_1", known) == "asiana" and prefix("unheard_of_12_b", known) == "unheard of"
    assert prefix("12345", known) == "12345"  # its own beginning: something to call it by in the report


def test_attributes_make_groups_in_the_order_of_their_names(faces):
    every = read_groups(faces, "test", GroupConfig())
    assert len(every.names) == 7 and list(every.names) == sorted(every.names)
    assert np.array_equal(np.bincount(every.labels), list(every.report.groups.values()))
    two = read_groups(faces, "test", GroupConfig(names={"Indian": "Indians", "White": "Europeans", "Elf": "Elves"}))
    assert two.report.groups == {
        "Europeans": every.report.groups["White"], "Indians": every.report.groups["Indian"],
    }  # fmt: skip
    assert two.report.empty == ("Elves",) and two.report.unknown["Latino"] == every.report.groups["Latino"]
    assert read_groups(faces, "test", GroupConfig(attribute="gender")).names == ("female", "male")
    assert "20-29" in read_groups(faces, "test", GroupConfig(attribute="age")).names
    with pytest.raises(UsageError, match="did you mean 'ethnicity'"):
        read_groups(faces, "test", GroupConfig(attribute="etnicity"))


def test_who_is_of_no_group_or_of_several_is_left_out(tmp_path):
    told = [["White"], ["White"], ["White", "Black"], []]
    rows = [{"file_name": f"images/{i}.png", "text": "", "attributes": {"ethnicity": e}} for i, e in enumerate(told)]
    for row in rows:
        paint(tmp_path / row["file_name"])
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_groups(tmp_path, "train", GroupConfig())
    assert found.names == ("White",) and found.report.unknown == {"(several values)": 1, "(nothing said)": 1}
    everyone = read_groups(tmp_path, "train", GroupConfig(attribute=None))
    assert everyone.names == () and len(everyone.files) == 4 and not everyone.labels.any()
