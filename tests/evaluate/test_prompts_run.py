"""Prompts from the command to the files, with tiny random networks to draw and to look."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from likeness.cli import evaluate_prompts
from likeness.errors import UsageError
from likeness.evaluate.adherence.answers import ByJudge
from likeness.evaluate.prompts import report
from likeness.evaluate.prompts.run import PromptSettings, evaluate
from likeness.generate.generator import FaceGenerator
from likeness.provenance import read
from likeness.records import Score

SMALL = PromptSettings(("gender", "glasses"), ("glasses=eyeglasses+headwear=hat",), ("glasses",), count=2, steps=1)


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("prompts")


@pytest.fixture(scope="module")
def run(output, model, judge, some_faces):
    engine = FaceGenerator(model, "cpu", batch_size=8)

    def again(settings=SMALL):
        return evaluate(str(model), output, [ByJudge(judge)], settings, engine=engine, faces=some_faces)

    return again


@pytest.fixture(scope="module")
def found(run):
    return run()


def test_every_cell_is_drawn_as_it_asks(found, output):
    cells = 2 + 3 + 1 + 3
    assert len(found.files) == cells and all(len(files) == 2 for files in found.files.values())
    recipe = read(found.files["negative glasses"][1])
    assert recipe["request"]["negative_prompt"].startswith("glasses") and recipe["request"]["seed"] == 1
    assert len(list((output / "faces").rglob("*.png"))) == 2 * cells


def test_each_judge_has_drawn_and_real_tables_that_count_every_face(found):
    counts = {(c.field, c.faces): c.count for c in found.confusions}
    assert counts["gender", "drawn"] == 4 and counts["glasses", "drawn"] == 6
    assert counts["gender", "real"] == 24 and 0 < counts["glasses", "real"] < 24  # only labels that were seen
    assert not any(field == "headwear" for field, _ in counts)  # asked in a pair alone


def test_pairs_and_negations_add_up(found):
    (pair,) = found.pairs
    assert pair.both + pair.first + pair.second <= pair.count == 2
    assert pair.expected is None  # headwear was not asked alone
    assert [(n.field, n.asked, n.count) for n in found.negations] == [
        ("glasses", asked, 2) for asked in ("open", "without", "negative")
    ]


def test_pairs_are_held_against_what_the_two_alone_give(run):
    found = run(PromptSettings(("glasses", "headwear"), SMALL.pairs, (), count=2, steps=1))
    alone = {(c.field): c for c in found.confusions if c.faces == "drawn"}
    (a, n), (b, m) = alone["glasses"].hits("eyeglasses"), alone["headwear"].hits("hat")
    assert found.pairs[0].expected == pytest.approx(a / n * b / m) and found.negations == ()


def test_a_second_run_says_the_same_and_draws_nothing(run, found, output):
    before = {f: f.stat().st_mtime_ns for f in (output / "faces").rglob("*.png")}
    assert run() == found
    assert {f: f.stat().st_mtime_ns for f in (output / "faces").rglob("*.png") if f in before} == before


def test_what_is_left_behind_stands_alone(found, tmp_path):
    written = report.write(found, tmp_path)
    assert {p.name for p in written} == {"prompts.json", "prompts.md", "sheet.png", "confusion.png", "recalls.png"}
    told = json.loads((tmp_path / "prompts.json").read_text())
    scores = [Score(**row) for row in told["scores"]]
    assert [asdict(s) for s in scores] == [asdict(s) for s in found.scores()]
    for score in scores:
        assert 0 <= score.low <= score.value <= score.high <= 1 and score.count and "fingerprint" in score.protocol
    assert {"prompts/gender/drawn/judge", "prompts/glasses/real/judge", "prompts/glasses/without/judge"} <= {
        s.metric for s in scores
    }
    for page in ("sheet.png", "confusion.png", "recalls.png"):
        picture = Image.open(tmp_path / page).convert("L")
        assert min(picture.size) > 100 and picture.getextrema()[0] < 100  # something is drawn
    text = (tmp_path / "prompts.md").read_text()
    assert "One attribute at a time" in text and "Negation" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_nothing_to_ask_and_wrong_names_are_said_before_anything_is_drawn(tmp_path, judge, model):
    for settings, said in (
        (PromptSettings((), (), ()), "nothing is asked"),
        (PromptSettings(("hat",)), "no attribute"),
    ):
        with pytest.raises(UsageError, match=said):
            evaluate(str(model), tmp_path / "x", [ByJudge(judge)], settings)
    assert not (tmp_path / "x").exists()


def test_the_command_from_end_to_end(model, tmp_path):
    app = typer.Typer()
    app.callback()(lambda: None)
    evaluate_prompts.register(app)
    asked = ["--field", "gender", "--pair", "none", "--negation", "none", "--count", "1", "--steps", "1"]
    more = ["--judge", "judge", "--real", "3", "--device", "cpu", "-o", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(app, ["prompts", str(model), *asked, *more])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [c["faces"] for c in told["confusions"]] == ["drawn", "real"] and (tmp_path / "out" / "sheet.png").is_file()
    wrong = CliRunner().invoke(app, ["prompts", str(model), "--field", "gendre"])
    assert isinstance(wrong.exception, UsageError) and "gender" in str(wrong.exception)
