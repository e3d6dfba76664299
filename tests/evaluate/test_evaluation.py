"""From the command to the card, with tiny random networks to draw and to look."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from likeness.cli.main import main
from likeness.errors import ModelNotFound, UsageError
from likeness.evaluate import floor, report
from likeness.evaluate.adherence.traits import TRAITS
from likeness.evaluate.evaluation import Evaluation, Settings, evaluate
from likeness.evaluate.networks.features import image_features
from likeness.generate.generator import FaceGenerator
from likeness.models.eye import Eye
from likeness.models.judge import Judge
from likeness.provenance import read
from likeness.records import Score

QUICK = Settings(limit=4, steps=2)


@pytest.fixture(scope="module")
def engine(model):
    return FaceGenerator(model, "cpu", batch_size=2)


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="module")
def run(output, engine, model, eye, judge, some_faces):
    """A function that evaluates quickly, into one folder unless another is given."""
    unseen = output / "floor.safetensors"
    weights = some_faces / "labels.jsonl"  # any file stands for the eye's
    floor.write(unseen, image_features(eye, some_faces / "images"), weights)

    def again(settings: Settings = QUICK, **changed) -> Evaluation:
        given = {"output": output, "engine": engine, "eye": eye, "judge": judge, "faces": some_faces, "floor": unseen}
        return evaluate(str(model), settings=settings, **(given | changed))

    return again


@pytest.fixture(scope="module")
def found(run):
    return run()


def test_faces_are_kept_with_their_recipes(output, found, engine):
    files = sorted((output / "faces").iterdir())
    assert (found.count, found.drawn_now, len(files)) == (4, 4, 4)
    recipe = read(files[0])
    assert recipe["fingerprint"] == engine.fingerprint == found.fingerprint
    assert recipe["request"]["steps"] == 2 and recipe["request"]["seed"] == int(files[0].stem)


def test_a_second_run_draws_nothing_and_says_the_same(run, output, found):
    before = {f: f.stat().st_mtime_ns for f in (output / "faces").iterdir()}
    again = run()
    assert again.drawn_now == 0 and again.scores() == found.scores()
    assert {f: f.stat().st_mtime_ns for f in (output / "faces").iterdir()} == before
    assert "(4 were there already)" in report.times(again)


def test_missing_broken_and_foreign_faces_are_drawn_again(run, output, found):
    first, second, third, _ = sorted((output / "faces").iterdir())
    second_before = second.read_bytes()
    first.unlink()
    second.write_bytes(second_before[:1000])
    third.write_bytes(second_before)  # another face's picture
    assert run().drawn_now == 3
    assert read(second)["request"]["seed"] == int(second.stem) and read(third)["request"]["seed"] == int(third.stem)


def test_other_settings_precision_or_weights_draw_anew(run, model, tmp_path):
    assert run(output=tmp_path).drawn_now == 4
    assert run(dataclasses.replace(QUICK, steps=1), output=tmp_path).drawn_now == 4
    assert run(dataclasses.replace(QUICK, steps=1), output=tmp_path).drawn_now == 0
    halves = FaceGenerator(model, "cpu", "bf16")
    assert run(dataclasses.replace(QUICK, steps=1), output=tmp_path, engine=halves).drawn_now == 4
    retrained = FaceGenerator(model, "cpu", batch_size=4)
    retrained.fingerprint = "0" * 64
    assert run(dataclasses.replace(QUICK, steps=1), output=tmp_path, engine=retrained).drawn_now == 4


def test_scores_are_records_that_stand_alone(found, tmp_path):
    report.write_scores(found, tmp_path / "scores.json")
    rows = json.loads((tmp_path / "scores.json").read_text())
    scores = [Score(**row) for row in rows]
    assert scores == found.scores()
    for score in scores:
        assert all(map(math.isfinite, (score.value, score.low, score.high))) and score.low <= score.value <= score.high
        assert score.count > 0 and score.protocol
    names = {score.metric for score in scores}
    assert {"frechet/eye/drawn", "frechet/eye/floor", "adherence/gender/real/judge/half"} <= names
    drawn = next(s for s in scores if s.metric == "adherence/ethnicity/drawn/judge/all")
    assert drawn.count == 4 and "fingerprint" in drawn.protocol and "2 steps" in drawn.protocol


def test_real_faces_are_asked_by_their_seen_labels_only(found, some_faces):
    rows = [json.loads(line) for line in (some_faces / "labels.jsonl").read_text().splitlines()]
    seen = [r for r in rows if r["labelled"] == "seen" and r["glasses"]]
    assert 0 < len(seen) < len(rows)
    counts = {(a.trait.name, a.faces, a.by, a.sets): a.count for a in found.adherence}
    assert counts["glasses", "real", "judge", "all"] == len(seen)
    assert counts["age", "real", "eye", "all"] == counts["gender", "real", "judge", "all"] == len(rows)


def test_the_table_shows_every_trait_and_the_protocol(found):
    text = report.table(found)
    assert all(text.count(f"| {trait.title} ") == 2 for trait in TRAITS)  # by judge and by eye
    assert "4 (a seeded sample) of the 24 test captions" in text and "not its default settings" in text
    assert f"{found.distance.value:.4f}" in text and f"{found.floor.value:.4f}" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_floor_may_be_missing_and_the_table_says_so(run, tmp_path):
    found = run(floor=tmp_path / "none.safetensors")
    assert found.floor is None and found.distance is not None
    assert "No floor: no floor features in" in report.table(found)
    one = run(Settings(limit=1, steps=2))
    assert one.distance is None and "No Frechet distance" in report.table(one)


def test_a_card_gets_its_block_and_keeps_the_rest(found, tmp_path):
    card = tmp_path / "README.md"
    card.write_text(f"# mini\n\nbefore é\n{report.BEGIN}\nold numbers\n{report.END}\nafter\n", encoding="utf-8")
    assert str(card) in report.publish(found, card)
    text = card.read_text(encoding="utf-8")
    assert text == f"# mini\n\nbefore é\n{report.BEGIN}\n{report.table(found)}{report.END}\nafter\n"
    report.publish(found, card)
    assert card.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "text", ["no block", f"{report.BEGIN} only", f"{report.END} {report.BEGIN}", report.BEGIN * 2 + report.END]
)
def test_a_card_without_its_block_is_left_alone(found, tmp_path, text):
    card = tmp_path / "README.md"
    card.write_text(text)
    with pytest.raises(UsageError, match="no block for scores"):
        report.publish(found, card)
    assert card.read_text() == text
    with pytest.raises(UsageError, match="cannot read the card"):
        report.check_card(tmp_path / "none.md")


def test_only_a_complete_run_reaches_the_shipped_card(found):
    card = report.ASSETS / "mini" / "README.md"
    report.check_card(card)
    before = card.read_text(encoding="utf-8")
    assert not found.complete
    with pytest.raises(UsageError, match="complete run"):
        report.publish(dataclasses.replace(found, model="mini"))
    with pytest.raises(UsageError, match="has none here"):
        report.publish(found)
    assert card.read_text(encoding="utf-8") == before
    assert Settings().published and dataclasses.replace(found, settings=Settings()).complete
    for changed in ({"seed": 1}, {"limit": 5}, {"steps": 30}, {"guidance": 4.0}):
        assert not Settings(**changed).published


@pytest.mark.parametrize("bad", [{"limit": 0}, {"steps": -1}, {"batch": 0}])
def test_bad_settings(bad):
    with pytest.raises(UsageError, match="1 or more"):
        Settings(**bad)


def test_what_is_missing_is_said_before_anything_is_drawn(run, tmp_path, eye, judge):
    with pytest.raises(ModelNotFound, match="did you mean 'mini'"):
        evaluate("mimi", tmp_path / "x", eye=eye, judge=judge)
    with pytest.raises(UsageError, match="labels.jsonl"):
        run(faces=tmp_path, output=tmp_path / "x")
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        run(output=tmp_path / "file")


@pytest.fixture
def small_eyes(monkeypatch, eye, judge):
    """The command with tiny networks in place of the shipped ones, whose weights a test can't draw from nothing."""
    monkeypatch.setattr(Eye, "load", lambda path=None, runtime=None: eye)
    monkeypatch.setattr(Judge, "load", lambda path=None: judge)


def test_the_command_prints_the_table_and_writes_scores_and_card(
    small_eyes, model, some_faces, tmp_path, capsys, monkeypatch
):
    card = tmp_path / "card.md"
    card.write_text(f"{report.BEGIN}\n{report.END}\n")
    words = ["evaluate", str(model), "--limit", "4", "--steps", "1", "--batch", "4", "--device", "cpu"]
    words += ["--precision", "fp32"]
    assert main([*words, "--output", "out", "--card", str(card)]) == 0
    shown = capsys.readouterr()
    assert "ethnicity (7)" in shown.out and "Drew 4 of 4 faces in" in shown.out
    table = card.read_text().removeprefix(report.BEGIN + "\n").removesuffix(report.END + "\n")
    assert "4 (a seeded sample) of the 673" in table and table in shown.out
    assert len(list((tmp_path / "out" / "faces").iterdir())) == 4
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert any(row["metric"] == "frechet/eye/drawn" for row in scores)

    monkeypatch.setitem(evaluate.__kwdefaults__, "faces", some_faces)  # of which the command tells the same
    assert main([*words, "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads((tmp_path / "runs" / "evaluate" / "tiny" / "scores.json").read_text())
    assert {row["metric"] for row in json.loads(shown.out)} <= {row["metric"] for row in scores}
    assert "No card was written" in shown.err


def test_the_command_refuses_in_one_line(small_eyes, capsys, tmp_path):
    cases = (
        (["evaluate", "mimi"], "did you mean 'mini'"),
        (["evaluate", "mini", "--limit", "0"], "limit"),
        (["evaluate", "mini", "--card", "none.md", "--limit", "1"], "cannot read the card"),
        (["evaluate", "mini", "--steps", "0"], "steps"),
        (["evaluate", "mini", "--limit", "1", "--precision", "fp7"], "unknown precision"),
    )
    for words, said in cases:
        assert main(words) == 2
        shown = capsys.readouterr()
        assert said in shown.err and shown.err.count("\n") == 1 and shown.out == ""
    assert list(tmp_path.iterdir()) == []
