"""Sets that come with labels: CelebA, CelebA-HQ, UTKFace, FairFace and the shipped table; and who counts as a minor."""

from __future__ import annotations

from pathlib import Path

import pytest
from layouts import put, read, write

from likeness.data.sources import Item, fairface_labels, is_minor, open_source
from likeness.data.sources.celeba_attributes import NAMES, NO, YES, attributes_of
from likeness.data.sources.fairface import SHIPPED, pack_labels
from likeness.errors import UsageError
from likeness.files import read_jsonl
from likeness.records import FIELDS, Age, Attributes

FAIRFACE = Path(__file__).parent / "fixtures" / "fairface"


# --- CelebA


def test_every_celeba_attribute_is_known_and_maps_to_a_value_of_ours():
    assert len(NAMES) == 40
    for field, value in [*YES.values(), *NO.values()]:
        assert value in FIELDS[field].values


def test_celeba_attributes_agree_with_each_other():
    everything = attributes_of(dict.fromkeys(NAMES, 1))
    assert everything.gender == "male" and everything.hair_color is None and everything.hair_texture is None  # bald
    assert everything.facial_hair == ("stubble", "moustache", "goatee", "sideburns")
    nothing = attributes_of(dict.fromkeys(NAMES, -1))
    assert nothing.facial_hair == ("full beard",) and nothing.glasses == "none" and nothing.age is None
    assert attributes_of(dict.fromkeys(NAMES, -1) | {"No_Beard": 1}).facial_hair == ()  # a woman: goes without saying
    assert attributes_of(dict.fromkeys(NAMES, -1) | {"No_Beard": 1, "Male": 1}).facial_hair == ("none",)
    assert attributes_of({"Black_Hair": 1, "Gray_Hair": 1}).hair_color is None
    assert attributes_of({}) == Attributes()


def celeba_txt(rows: list[tuple[str, list[int]]]) -> str:
    names = sorted(NAMES)
    return f"{len(rows)}\n{' '.join(names)} \n" + "".join(f"{n}  {' '.join(map(str, v))}\n" for n, v in rows)


def test_celeba_original_form(tmp_path: Path):
    male = [1 if n in {"Male", "No_Beard"} else -1 for n in sorted(NAMES)]
    put(tmp_path, "img_align_celeba/000001.jpg", "img_align_celeba/000002.jpg")
    write(tmp_path, "list_attr_celeba.txt", celeba_txt(
        [("000001.jpg", male), ("000002.jpg", male[:20]), ("000003.jpg", male), ("../x.jpg", male), ("2.jpg", [7] * 40)]
    ))  # fmt: skip
    write(tmp_path, "list_eval_partition.txt", "000001.jpg 2\n000002.jpg 0\n")
    write(
        tmp_path,
        "list_landmarks_align_celeba.txt",
        "1\nlefteye_x lefteye_y righteye_x righteye_y\n000001.jpg 69 109 106 113\n",
    )
    write(tmp_path, "identity_CelebA.txt", "000001.jpg 2880\n")
    items, lost = read("celeba", tmp_path)
    item = items["000001.jpg"]
    assert item.attributes and item.attributes.gender == "male" and item.split == "test" and item.group == "celeba:2880"
    assert item.eyes == ((69, 109), (106, 113))
    assert [r.split(": ", 1)[1].split()[0] for r in lost] == ["torn:", "'000003.jpg':", "'../x.jpg':", "values"]


def test_celeba_kaggle_form(tmp_path: Path):
    names = sorted(NAMES)
    put(tmp_path, "img_align_celeba/img_align_celeba/000001.jpg")
    row = ",".join("1" if n == "Smiling" else "-1" for n in names)
    write(tmp_path, "list_attr_celeba.csv", f"image_id,{','.join(names)}\n000001.jpg,{row}\n")
    write(tmp_path, "list_eval_partition.csv", "image_id,partition\n000001.jpg,1\n")
    items, lost = read("celeba", tmp_path)
    assert items["000001.jpg"].attributes.expression == ("smiling",) and items["000001.jpg"].split == "val" and not lost


def test_celeba_hq_with_png_copies_and_celebas_splits(tmp_path: Path):
    put(tmp_path, "CelebA-HQ-img/0.jpg", "CelebA-HQ-img/1.png")
    row = [1] * 40
    write(tmp_path, "CelebAMask-HQ-attribute-anno.txt", celeba_txt([("0.jpg", row), ("1.jpg", row), ("2.jpg", row)]))
    write(tmp_path, "CelebA-HQ-to-CelebA-mapping.txt", "idx orig_idx orig_file\n0 119613 119614.jpg\n")
    write(tmp_path, "list_eval_partition.txt", "119614.jpg 0\n")
    items, lost = read("celeba-hq", tmp_path)
    assert {n: i.split for n, i in items.items()} == {"0.jpg": "train", "1.png": None} and len(lost) == 1


# --- UTKFace


def test_utkface_names(tmp_path: Path):
    put(tmp_path, "25_0_3_20170116174525125.jpg.chip.jpg", "8_1_2_20170116174525125.jpg", "61_3_20170109150557335.jpg",
        "53__0_20170116184028385.jpg", "130_0_0_20170116184028385.jpg", "70_1_4_20170116184028385.jpg")  # fmt: skip
    items, lost = read("utkface", tmp_path)
    said = {n.split("_")[0]: i.attributes for n, i in items.items()}
    assert said["25"] == Attributes(age=Age(25), gender="male", ethnicity=("Indian",))
    assert said["70"] == Attributes(age=Age(70), gender="female")
    assert [n.split("_")[0] for n, i in items.items() if is_minor(i)] == ["8"]
    assert len(lost) == 3


# --- FairFace


def test_fairface_as_published():
    items, lost = read("fairface", FAIRFACE)
    assert not lost and len(items) == 4
    assert items["35650.jpg"].attributes == Attributes(age=Age(20, 29), gender="male", ethnicity=("Black",))
    assert items["2558.jpg"].attributes.ethnicity == ("Latino",)
    assert items["2558.jpg"].split == "val" and items["2558.jpg"].license == "CC BY 4.0"


def test_fairface_ages_and_bad_rows(tmp_path: Path):
    put(tmp_path, *(f"train/{n}.jpg" for n in range(1, 7)))
    write(tmp_path, "fairface_label_train.csv", "\ufefffile,age,gender,race,service_test\r\n"
          "train/1.jpg,3-9,Male,White,True\r\ntrain/2.jpg,10-19,Female,Black,True\r\n"
          "train/3.jpg,more than 70,Male,Indian,x\r\n"
          "train/4.jpg,old,Male,White,True\r\n../../etc/passwd,20-29,Male,White,True\r\ntrain/5.jpg,20-29\r\n"
          "train/6.jpg,20-29,Robot,White,True\r\ntrain/7.jpg,20-29,Male,White,True\r\n")  # fmt: skip
    items, lost = read("fairface", tmp_path)
    # "old" is an age group elsewhere, and says 50 and over
    assert {n: str(i.attributes.age) for n, i in items.items()} == {
        "1.jpg": "3-9", "2.jpg": "10-19", "3.jpg": "70+", "4.jpg": "50+", "6.jpg": "20-29",
    }  # fmt: skip
    assert [n for n, i in items.items() if is_minor(i)] == ["1.jpg", "2.jpg"]
    assert items["6.jpg"].attributes.gender is None
    assert len(lost) == 3 and "leads out" in lost[0] and "torn" in lost[1] and "no such file" in lost[2]


def test_fairface_with_the_shipped_table():
    source = open_source("fairface", FAIRFACE, labels="shipped")
    found = {i.path.name: i for i in source.items()}
    assert set(found) == {"35650.jpg", "18200.jpg", "2558.jpg"}  # 27812 is too dark to be in it
    for item in found.values():
        assert item.eyes and item.attributes and item.attributes.quality and item.split in {"train", "test"}
        (x0, y0), (x1, y1) = item.eyes
        assert 0 < x0 < x1 < 224 and abs(y0 - y1) < 60
    assert [p.reason.split(" are")[0] for p in source.problems()] == ["13472 of its pictures"]


def test_the_shipped_table_holds_everything_and_is_small(faces: Path, tmp_path: Path):
    table = fairface_labels()
    assert len(table) == 13_475 and SHIPPED.stat().st_size < 700_000
    assert {r["age"] for r in table.values()} == {"20-29", "30-39", "40-49", "50-59", "60-69", "70+"}  # adults only
    known = {r["source_file"]: r for r in read_jsonl(faces / "labels.jsonl")}  # the test faces are shipped in full
    assert len(known) == 673 and {k: table[k] for k in known} == known
    pack_labels(list(known.values()), tmp_path / "again.csv.gz")
    assert fairface_labels(tmp_path / "again.csv.gz") == known
    assert fairface_labels(faces / "labels.jsonl") == known


def test_a_damaged_label_table_is_said_so(tmp_path: Path):
    for name, data in [("a.csv.gz", b"no"), ("b.csv.gz", SHIPPED.read_bytes()[:5000])]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match="cannot read the label table"):
            fairface_labels(tmp_path / name)


# --- minors


@pytest.mark.parametrize(
    ("attributes", "text", "minor"),
    [
        (Attributes(age=Age(17)), "", True),
        (Attributes(age=Age(18)), "", False),
        (Attributes(age=Age(10, 19)), "", True),
        (Attributes(age=Age(12, 30)), "", True),
        (Attributes(), "a five-year-old girl", True),
        (None, "a 40 year old man", False),
        (None, "", False),
        (Attributes(gender="female"), "a toddler with a hat", True),
    ],
)
def test_minors_are_told_by_age_or_by_text(attributes: Attributes | None, text: str, minor: bool):
    assert is_minor(Item(Path("x"), attributes=attributes, text=text)) is minor
