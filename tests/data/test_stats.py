"""What is counted agrees with a count by hand; the card says what is missing, whatever strangers wrote in the rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from likeness.data import card, charts
from likeness.data.manifest import Manifest
from likeness.data.stats import Stats, as_text, measure, token_counter
from likeness.errors import LikenessError, UsageError
from likeness.grammar import describe
from likeness.records import ETHNICITIES, Age, Attributes, FaceRecord


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    white = Attributes(Age(25), "male", ("White",))
    long = "a man " + "with a very long beard " * 40
    records = [
        FaceRecord("images/0.png", "a man", white, "A", "CC BY 4.0", "train", caption={"model": "m"}),
        FaceRecord("images/1.png", long, replace(white, age=Age(20, 29)), "A", "CC0", "test"),
        FaceRecord("images/2.png", " ", Attributes(Age(10, 19), "male", ("White", "Black"))),
        FaceRecord("images/3.png", "a b c"),
    ]
    Manifest(tmp_path).write(records)
    with open(tmp_path / "metadata.jsonl", "a") as file:
        file.write('{"file_name": "../x"}\n{"torn')
    return tmp_path


def test_counts_are_those_by_hand(folder: Path):
    stats = measure(folder)
    assert (stats.pictures, stats.with_text, stats.with_attributes, stats.minors) == (4, 3, 3, 1)
    assert stats.splits == {"not said": 2, "train": 1, "test": 1} and stats.captioners == {"not said": 3, "m": 1}
    assert stats.attributes == {
        "age": {"10-19": 1, "20-29": 2}, "gender": {"male": 3}, "ethnicity": {"White": 3, "Black": 1},
    }  # fmt: skip
    assert stats.words.counts == {2: 1, 3: 1, 202: 1} and (stats.words.least, stats.words.median, stats.words.most) == (
        2,
        3,
        202,
    )
    assert stats.over_limit == 1 and stats.share_over == pytest.approx(1 / 3)
    assert stats.notes == {"bad": 1, "torn": 1}
    assert measure(folder, split="test").pictures == 1
    assert json.loads(json.dumps(stats.to_dict()))["share_over_77_tokens"] == pytest.approx(1 / 3, abs=1e-6)
    text = as_text(stats)
    assert "over 77 tokens: 1 (33.3%)" in text and "may be under 18" in text


def test_tokens_are_counted_as_the_model_reads_them():
    """Start and end belong to the 77; nothing is cut or padded."""
    count = token_counter("mini")
    assert count(["", "a", "a man"]) == [2, 3, 4]
    long = " ".join(["man"] * 200)
    assert count([long]) == [202]
    from likeness.models.mini import load_tokenizer
    from likeness.models.registry import ASSETS

    slow = load_tokenizer(ASSETS / "mini")
    texts = [
        describe(Attributes(Age(30), "female", (e,), hair_color="red"), "paragraph", i)
        for i, e in enumerate(ETHNICITIES)
    ]
    assert count(texts) == [len(ids) for ids in slow(texts)["input_ids"]]
    with pytest.raises(LikenessError):
        token_counter("no-such-model")


def test_a_folder_or_file_with_a_tokenizer_will_do(tmp_path: Path):
    from likeness.models.registry import ASSETS

    file = ASSETS / "mini" / "tokenizer" / "tokenizer.json"
    assert token_counter(str(file))(["a man"]) == token_counter(str(file.parent))(["a man"]) == [4]
    with pytest.raises(UsageError, match="no tokenizer"):
        token_counter(str(tmp_path))


def test_the_picture_shows_the_numbers(folder: Path, tmp_path: Path):
    from PIL import Image

    path = charts.save(measure(folder), tmp_path / "stats.png")
    with Image.open(path) as picture:
        assert picture.width == charts.WIDTH and len(picture.convert("RGB").getcolors(1 << 20) or ()) > 3
        assert (0xE4, 0x57, 0x56) in {c for _, c in picture.convert("RGB").getcolors(1 << 20) or ()}  # over the limit
    charts.draw(Stats("empty"))


def test_the_card_says_what_there_is_and_what_is_missing(folder: Path):
    stats = measure(folder)
    text = card.card(stats, title="My faces", license="For study only.", notes="Hello.")
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "other" and front["size_categories"] == ["n<1K"] and front["pretty_name"] == "My faces"
    for said in (
        "For study only.", "2 pictures name no licence", "**gender**: female (nobody)", "labelled with an age that may",
        "Indian (nobody)", "## What it is not for", "identifying", "minor", "CC BY 4.0", "Hello.", "70+ (nobody)",
    ):  # fmt: skip
        assert said in text, said
    rare = card.too_rare(stats)
    assert "White" not in rare["ethnicity"] and rare["gender"] == {"female": 0.0}


def test_an_even_set_lacks_nobody(tmp_path: Path):
    ages = [Age(20, 29), Age(30, 39), Age(40, 49), Age(50, 59), Age(60, 69), Age(70, 120)]
    people = [Attributes(ages[i % 6], ("male", "female")[i // 6 % 2], (ETHNICITIES[i % 7],)) for i in range(84)]
    Manifest(tmp_path).write(FaceRecord(f"images/{i}.png", "x", p, "A", "CC BY 4.0") for i, p in enumerate(people))
    stats = measure(tmp_path)
    assert card.too_rare(stats) == {} and "No group of" in card.card(stats)
    assert yaml.safe_load(card.card(stats).split("---")[1])["license"] == "cc-by-4.0"


def test_what_strangers_wrote_stays_text(tmp_path: Path):
    evil = "x | y\n\n# head <script>alert(1)</script> [a](javascript:1) `b`"
    Manifest(tmp_path).write([FaceRecord("images/0.png", "x", source=evil, license=evil)])
    text = card.card(measure(tmp_path))
    assert "<script" not in text and "\n# head" not in text and "[a](java" not in text.replace("\\[", "")


def test_somebodys_own_readme_is_left(folder: Path):
    text = card.card(measure(folder))
    path = card.write(folder, text)
    card.write(folder, text)  # ours may be written again
    path.write_text("mine")
    with pytest.raises(UsageError, match="somebody's own"):
        card.write(folder, text)
    card.write(folder, text, overwrite=True)
    assert path.read_text() == text
