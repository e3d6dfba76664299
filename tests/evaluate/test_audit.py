"""The audit from the command to the files, with tiny random networks to draw and to look."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from likeness.cli import evaluate_audit
from likeness.errors import UsageError
from likeness.evaluate.adherence.answers import ByJudge
from likeness.evaluate.adherence.cases import cases
from likeness.evaluate.audit import report
from likeness.evaluate.audit.measures import Seen, group_quality
from likeness.evaluate.audit.run import AuditSettings, audit
from likeness.evaluate.networks import catalogue as networks
from likeness.evaluate.prompts.grid import GENDERS
from likeness.generate.generator import FaceGenerator
from likeness.records import Score

SMALL = AuditSettings(("a face", "a doctor"), count=3, group_count=1, steps=1, skin_tone=False)


@pytest.fixture(scope="module")
def network(eye):
    return replace(networks.load("eye", device="cpu"), embed=eye.image_features, words=eye.text_features)


@pytest.fixture(scope="module")
def run(model, judge, network, some_faces, tmp_path_factory):
    engine, output = FaceGenerator(model, "cpu", batch_size=16), tmp_path_factory.mktemp("audit")

    def again(settings=SMALL):
        return audit(str(model), output, network, ByJudge(judge), settings, engine=engine, faces=some_faces)

    return again


@pytest.fixture(scope="module")
def found(run):
    return run()


def test_every_prompt_has_shares_of_every_field_that_add_up(found):
    assert {(s.prompt, s.field) for s in found.shares} == {
        (prompt, field) for prompt in ("a face", "a doctor") for field in ("gender", "age", "ethnicity")
    }
    for one in found.shares:
        assert sum(s.hits for s in one.found) == 3 and sum(s.count for s in one.real) == 24 * len(one.real)
        assert sum(s.reference for s in one.found) == pytest.approx(1)
    corrected = [one for one in found.shares if one.field == "gender"]
    assert all(sum(p for p, _, _ in one.true) == pytest.approx(1) for one in corrected)


def test_groups_have_recalls_and_too_few_faces_no_distance(found):
    assert len(found.quality) == 2 + 6 + 7
    assert all(q.drawn == 1 and q.distance is None and q.recall.count == 1 and not q.worse for q in found.quality)
    assert [d.prompt for d in found.diversity] == ["a face", "a doctor"]  # of one picture there is none


def test_groups_with_enough_faces_are_held_against_real_faces_of_their_own(faces):
    """Drawn women with the features of real women, drawn men with them too: the men are the worse."""
    real = cases(faces, limit=80)
    women = torch.tensor([float(case.attributes.gender == "female") for case in real])
    of_real = torch.randn(len(real), 8, generator=torch.Generator().manual_seed(0)) + 2 * women[:, None]
    drawn = {(g, i): 2 + torch.randn(8, generator=torch.Generator().manual_seed(i)) for g in GENDERS for i in range(12)}
    files = {key: Path(f"{key}.png") for key in drawn}
    answers = {file: {"gender": GENDERS.index(key[0])} for key, file in files.items()}
    seen = Seen({files[key]: feature for key, feature in drawn.items()}, answers, real, of_real, {})
    groups = {("gender", g): [file for key, file in files.items() if key[0] == g] for g in GENDERS}
    found = {q.group: q for q in group_quality(groups, seen, "told")}
    assert found["male"].worse and not found["female"].worse
    assert found["female"].distance.low < 0 < found["male"].distance.low
    assert {q.real for q in found.values()} == {int(women.sum()), len(real) - int(women.sum())}
    assert found["male"].recall.value == 1.0 and found["male"].recall.count == 12


def test_words_that_the_model_does_not_know_are_told(found):
    assert [n for n in found.notes if "doctor" in n] == ["Prompt 'a doctor': words not understood: doctor."]
    assert any("name the folder of the training faces with --train" in n for n in found.notes)


def test_nearness_to_training_faces_is_measured_when_they_are_named(run, faces, tmp_path):
    (tmp_path / "trained").mkdir()
    for file in sorted((faces / "images").iterdir())[100:120]:
        (tmp_path / "trained" / file.name).write_bytes(file.read_bytes())
    found = run(replace(SMALL, group_count=0, train=str(tmp_path / "trained")))
    assert found.memorisation.nearer.count == 6 and len(found.memorisation.real) == 24
    assert {"memorisation/eye/nearer"} == {s.metric for s in found.scores() if s.metric.startswith("memo")}
    report.write(found, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert len(told["nearest"]["drawn"]) == 6 and told["nearest"]["drawn"][0]["training"]
    assert Image.open(tmp_path / "out" / "nearest.png").height > 6 * 96
    with pytest.raises(UsageError, match="no folder"):
        run(replace(SMALL, train="nowhere"))


def test_skin_tone_is_a_field_of_its_own_and_counts_faces_that_are_none(run):
    found = run(replace(SMALL, prompts=("a face",), group_count=0, skin_tone=True, real=8))
    (skin,) = [one for one in found.shares if one.field == "skin tone"]
    assert skin.unsaid + skin.found[0].count == 3 and skin.true is None
    real = next(s for s in found.angles if s.metric == "audit/ita/real")
    assert 6 <= real.count <= 8 and -90 < real.low < real.value < real.high < 90


def test_what_is_left_behind_stands_alone(found, tmp_path):
    names = {p.name for p in report.write(found, tmp_path)}
    assert names == {"audit.json", "audit.md", "sheet.png", "shares.png"}
    told = json.loads((tmp_path / "audit.json").read_text())
    assert [Score(**row) for row in told["scores"]] == found.scores()
    for row in told["scores"]:
        assert row["low"] <= row["value"] <= row["high"] and row["count"] and row["protocol"]
    text = (tmp_path / "audit.md").read_text()
    assert "reference" in text and "real test faces" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_a_reference_table_is_used_and_a_wrong_one_is_said_before_drawing(run, tmp_path):
    (tmp_path / "world.json").write_text('{"gender": {"female": 0.9, "male": 0.1}}')
    found = run(replace(SMALL, group_count=0, reference=str(tmp_path / "world.json")))
    told = {s.field: s.found[0].reference for s in found.shares}
    assert told == {"gender": pytest.approx(0.9), "age": None, "ethnicity": None}
    with pytest.raises(UsageError, match="cannot read"):
        run(replace(SMALL, reference="none.json"))
    with pytest.raises(UsageError, match="draws nothing"):
        AuditSettings(count=0, group_count=0)


def test_the_command_from_end_to_end(model, tmp_path):
    app = typer.Typer()
    app.callback()(lambda: None)
    evaluate_audit.register(app)
    asked = [
        "--prompt",
        "a face",
        "--count",
        "1",
        "--group-count",
        "0",
        "--steps",
        "1",
        "--no-skin-tone",
        "--real",
        "5",
    ]
    more = ["--no-skin-tone", "--real", "5", "--device", "cpu", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["audit", str(model), *asked, *more])
    assert done.exit_code == 0, done.output
    assert "What open prompts show, gender" in done.stdout and (tmp_path / "out" / "audit.json").is_file()
