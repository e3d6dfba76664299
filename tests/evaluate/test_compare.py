"""A comparison from the command's words to the report, with a tiny random model, its LoRA, and the shipped judges."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from adapted import SHAPE, adapt, load, parts
from likeness.errors import UsageError
from likeness.evaluate.compare import report
from likeness.evaluate.compare.asked import from_table, read
from likeness.evaluate.compare.cases import cases, extremes
from likeness.evaluate.compare.comparison import Settings, compare_folders, compare_models, finite
from likeness.evaluate.compare.measures import Found
from likeness.evaluate.compare.sides import draw_sides, named
from likeness.models import lora
from likeness.records import ImageRequest

ROWS = (
    "a woman in her thirties with glasses", "a man in his fifties without glasses", "<script>alert(1)</script> a man",
)  # fmt: skip
COUNT = 4  # of three rows: fewer than ten faces have no set distance
FACES = COUNT * len(ROWS)


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory) -> Path:
    pipeline = load(model)
    adapt(pipeline, strength=2.0)
    return lora.save(tmp_path_factory.mktemp("loras") / "strong", parts(pipeline), SHAPE).parent


@pytest.fixture(scope="module")
def prompts(faces, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    reals = sorted((faces / "images").iterdir())[: len(ROWS)]
    rows = [f'"{text}",{real.name}' for text, real in zip(ROWS, reals, strict=True)]
    for real in reals:
        shutil.copy(real, folder)
    (folder / "prompts.csv").write_text("\n".join(["prompt,reference", *rows]) + "\n", encoding="utf-8")
    return folder / "prompts.csv"


@pytest.fixture(scope="module")
def settings(some_faces) -> Settings:
    return Settings(count=COUNT, steps=1, real=some_faces, device="cpu", batch=4)


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def run(model, adapter, prompts, settings, output):
    return lambda: compare_models(str(model), [f"{model}+{adapter}:1"], prompts, output, settings)


@pytest.fixture(scope="module")
def found(run):
    return run()


@pytest.fixture(scope="module")
def plain(found, output):
    report.write(found, output)
    return json.loads((output / "comparison.json").read_text(), parse_constant=pytest.fail)  # NaN is no JSON


def test_both_sides_draw_the_same_words_from_the_same_seeds(found):
    assert [item.request.seed for item in found.items] == list(range(FACES))
    recipes = [[json.loads(Image.open(f).text["likeness"])["request"] for f in side.files] for side in found.sides]
    for base, other in zip(*recipes, strict=True):
        assert other.pop("loras")[0][1] == 1.0 and "loras" not in base and base == other
    pixels = [[Image.open(f).tobytes() for f in side.files] for side in found.sides]
    assert all(a != b for a, b in zip(*pixels, strict=True))  # the LoRA does something


def test_the_json_has_both_models_and_what_changed(plain):
    base, other, changed = plain["base_model"], plain["finetuned_model"], plain["improvements"]
    assert (
        other["name"].endswith("+ strong:1") and base["fingerprint"] != other["fingerprint"] and "models" not in plain
    )
    assert {"words/glasses/judge", "words/glasses/eye", "words/text/eye", "references/ssim", "references/image/eye",
            "sets/diversity/eye"} <= set(changed)  # fmt: skip
    assert any(key.startswith("kid/eye") for key in changed)
    for key, one in changed.items():
        a, b = base["scores"][key], other["scores"][key]
        assert one["absolute"] == pytest.approx(b["value"] - a["value"]) and a["count"] == b["count"] and a["protocol"]
        if one["percent"] is not None:
            turned = 1 if one["more_is_better"] is not False else -1
            assert one["percent"] == pytest.approx(100 * turned * one["absolute"] / abs(a["value"]))
    assert [row["seed"] for row in plain["prompts"]] == list(range(FACES))


def test_what_needs_weights_that_are_not_here_is_named_with_file_and_source(plain):
    missing = plain["not_measured"]
    assert "alexnet-owt-7be5be79.pth" in missing["lpips-alex"] and "https://" in missing["clip-b32"]
    assert "--train" in missing["copies of training faces"]
    assert not any("clip" in key or "lpips" in key for key in plain["improvements"])
    assert any("OFFLINE stand-in" in line for line in plain["protocol"])


def test_a_second_run_draws_nothing_and_says_the_same(found, run, output, plain):
    before = {f: f.stat().st_mtime_ns for f in (output / "faces").rglob("*.png")}
    assert len(before) == 2 * FACES
    again = run()
    assert {f: f.stat().st_mtime_ns for f in (output / "faces").rglob("*.png")} == before
    assert json.loads(json.dumps(again.to_dict())) == plain


def test_a_lora_that_was_trained_on_is_drawn_anew(model, adapter, prompts, tmp_path):
    copy = shutil.copytree(adapter, tmp_path / "lora")
    items = from_table(prompts, ImageRequest("", seed=0, steps=1), limit=1)

    def sides():
        models = [named(str(model)), named(f"{model}+{copy}")]
        return draw_sides(models, items, tmp_path / "out", {"device": "cpu"}, lambda name, total: lambda done: None)

    first = sides()
    pipeline = load(model)
    adapt(pipeline, strength=0.1)
    lora.save(copy, parts(pipeline), SHAPE)
    second = sides()
    assert first[0] == second[0] and first[1].fingerprint != second[1].fingerprint
    assert not set(first[1].files) & set(second[1].files)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_holds_all_it_needs_and_nothing_of_a_prompt_becomes_markup(output, plain):
    text = (output / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.open == [] and "script" not in page.tags and "&lt;script&gt;" in text
    assert page.sources and all(source.startswith("data:") for source in page.sources)
    assert page.tags.count("img") >= 2 * FACES + 3 and page.tags.count("svg") > 20
    for title in ("What changed", "Are the words followed?", "Side by side", "Not measured", "Protocol"):
        assert f"<h2>{title}</h2>" in text
    assert "{{" not in text


@pytest.fixture(scope="module")
def folders(found, tmp_path_factory) -> list[Path]:
    """The drawn pictures of both sides, and a copy of the first."""
    root = tmp_path_factory.mktemp("folders")
    for name, side in zip("abc", (0, 1, 0), strict=True):
        (root / name).mkdir()
        for file in found.sides[side].files:
            shutil.copy(file, root / name)
    return [root / name for name in "abc"]


def test_folders_give_the_numbers_of_their_models(folders, found, settings, tmp_path):
    of_folders = compare_folders(folders[0], folders[1:2], tmp_path, None, settings)
    assert [item.prompt for item in of_folders.items] == [item.prompt for item in found.items]  # from the recipes
    theirs = {m.key: m for m in found.found.measures}
    for measure in of_folders.found.measures:
        assert measure == theirs[measure.key]
    assert {m.section for m in of_folders.found.measures} == {m.section for m in found.found.measures} - {"references"}


def test_a_copy_of_the_base_changes_nothing_and_three_sides_are_all_told(folders, settings, tmp_path):
    base, other, copy = folders
    three = compare_folders(base, [other, copy], tmp_path, None, settings)
    for measure in three.found.measures:
        assert measure.changes[1].absolute == 0 and measure.changes[1].verdict == ""
    assert extremes(three.found, 2) == ([], [])
    told = three.to_dict()
    assert [one["name"] for one in told["models"]] == ["a", "b", "c"] and told["finetuned_model"]["name"] == "c"
    assert "improvements" in told["models"][1] and "improvements" not in told["models"][0]
    assert "change: c" in report.page(three) and "change of c" in report.table(three)


def test_cases_come_worst_first():
    found = Found(asked=[["glasses", "age"]] * 3, cosines=[[0.5] * 3, [0.5, 0.4, 0.9]])
    found.failed = [[[], [], ["glasses: none, not any"]], [["age: 20-29, not 70+"], [], []]]
    assert [case.item for case in cases(found, 1)] == [0, 1, 2]
    worst, best = extremes(found, 1)
    assert [case.lost for case in worst] == [("age: 20-29, not 70+",), ()]
    assert [case.won for case in best] == [("glasses: none, not any",)]


def test_rows_give_seeds_names_and_what_they_say(tmp_path):
    table = tmp_path / "p.csv"
    table.write_text("prompt,seed,file_name\na woman of 25,7,anna\na man,,\n", encoding="utf-8")
    found = from_table(table, ImageRequest("", seed=100, count=2))
    assert [(item.name, item.request.seed, item.request.count) for item in found] == [
        ("anna-1", 7, 1), ("anna-2", 8, 1), ("0001-1", 102, 1), ("0001-2", 103, 1),
    ]  # fmt: skip
    assert str(found[0].attributes.age) == "20-29" and found[2].attributes.gender == "male"
    assert read("").said() == {}


def test_json_knows_no_nan():
    assert finite({"a": (float("nan"), 1.0), "b": [float("inf")]}) == {"a": [None, 1.0], "b": [None]}


def test_two_rows_of_one_name_are_told(tmp_path):
    (tmp_path / "p.csv").write_text("prompt,file_name\na man,x\na woman,x\n", encoding="utf-8")
    with pytest.raises(UsageError, match="file_name"):
        from_table(tmp_path / "p.csv", ImageRequest("", seed=0))
