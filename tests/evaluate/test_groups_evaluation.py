"""From a model of groups to the table and the figures, with tiny random networks; stopped and gone on with."""

from __future__ import annotations

import json
import math

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from likeness.cli.evaluate_groups import register
from likeness.errors import UsageError
from likeness.evaluate.groups import report as groups_report
from likeness.evaluate.groups.run import GroupEvaluation, chosen, evaluate_groups, smaller
from likeness.generate.hybrids import open_model
from likeness.generate.hybrids import request as request_of
from likeness.models import ddpm
from likeness.models.pixels import to_pixels
from likeness.provenance import read

SHAPE = ddpm.Shape(size=16, channels=(8, 8), layers_per_block=1, attention=(), head=8)
THREE = ("Black", "East Asian", "White")


def save(folder, groups=THREE, seed=0):
    torch.manual_seed(seed)
    ddpm.save(ddpm.GroupModel(ddpm.build(SHAPE, groups), ddpm.noise_schedule(), tuple(groups)), folder)
    return folder


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return open_model(save(tmp_path_factory.mktemp("groups") / "model"), "cpu", batch=2)


@pytest.fixture(scope="module")
def run(studio, judge, some_faces):
    """A function that evaluates three faces of each group in two steps, into a folder."""

    def again(output, by=studio, hybrids=("White+Black",), progress=None, faces=some_faces, method="blend", **asked):
        request = request_of(by.name, **({"width": 16, "height": 16, "count": 3, "steps": 2, "seed": 0} | asked))
        told = {"judge": judge, "faces": faces} | ({"progress": progress} if progress else {})
        return evaluate_groups(by, request, output, hybrids, method, **told)

    return again


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


def pixels(folder):
    """Place -> the picture's pixels, without the sheet."""
    files = sorted((folder / "faces").glob("*/*.png"))
    return {p.relative_to(folder).as_posix(): Image.open(p).tobytes() for p in files}


def test_every_number_has_its_count_interval_and_protocol(whole):
    found: GroupEvaluation = whole[1]
    scores = found.scores()
    names = [score.metric for score in scores]
    assert len(set(names)) == len(names) and "groups/probability/White/White + Black" in names
    assert {f"groups/recall/{group}/drawn" for group in (*THREE, "all")} <= set(names)
    assert all(0 <= s.low <= s.value <= s.high <= 1 and s.count and "16 px" in s.protocol for s in scores)
    assert found.balanced("drawn").count == 9 and {b.parent for b in found.between} == {"Black", "White"}


def test_pictures_carry_recipe_and_mark_and_differ_in_the_group_alone(whole, studio):
    folder, found = whole
    places = sorted({name.rsplit("/", 1)[0] for name in pixels(folder)})
    assert places == ["faces/Black", "faces/East-Asian", "faces/WB", "faces/White"] and found.gallery.sheet.is_file()
    for place in places:
        recipes = [read(p) for p in sorted((folder / place).glob("*.png"))]
        assert [r["request"]["seed"] for r in recipes] == [0, 1, 2]
        assert all(r["marked"] and r["fingerprint"] == studio.fingerprint for r in recipes)
    assert recipes[0]["mixture"]["parts"] == [["White", 1.0]]


def test_a_stopped_run_goes_on_and_ends_as_if_never_stopped(run, whole, tmp_path):
    class Stop(Exception):
        pass

    def stop(stage, done, total):
        if stage == "drawing" and done >= 5:  # in the second group, behind its first batch
            raise Stop

    with pytest.raises(Stop):
        run(tmp_path, progress=stop)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "faces").glob("*/*.png")}
    assert 0 < len(before) < 12
    seen = []
    found = run(tmp_path, progress=lambda stage, done, total: seen.append((stage, done, total)))
    assert ("drawing", 12 - len(before), 12 - len(before)) in seen and seen[-1] == ("judging", 36, 36)
    assert all(p.stat().st_mtime_ns == then for p, then in before.items()) and found.gallery.kept == len(before)
    mine, theirs = pixels(tmp_path), pixels(whole[0])
    assert mine.keys() == theirs.keys()
    for name, face in mine.items():  # a batch of another size may round the last bit otherwise
        assert max(abs(a - b) for a, b in zip(face, theirs[name], strict=True)) <= 2
    assert [s.value for s in found.scores()] == pytest.approx([s.value for s in whole[1].scores()], abs=0.01)


def test_only_what_is_new_is_drawn(run, studio, tmp_path):
    def new(**changed) -> int:
        before = set(pixels(tmp_path)) if (tmp_path / "faces").exists() else set()
        run(tmp_path, **changed)
        return len(set(pixels(tmp_path)) - before)

    assert new() == 12 and new() == 0
    assert new(method="compose") == 3  # the groups are the same
    assert new(hybrids=["all"]) == 3 * 3  # WB is there; WE, EB and WEB are new
    assert new(steps=1) == 12
    other = open_model(save(tmp_path / "other", seed=1), "cpu")
    assert new(by=other) == 12


def test_groups_come_first_and_hybrids_once():
    assert [c.name for c in chosen(THREE, [])] == ["Black", "East-Asian", "White"]
    assert [c.name for c in chosen(THREE, ["W+B", "White+Black", "any", "White"])][3:] == ["WB"]
    names = [c.name for c in chosen(THREE, ["all", "White:0.7+Black:0.3"])]
    assert len(names) == len(set(names)) == 3 + 1 + 4 and names[3] == "WB-70-30"
    with pytest.raises(UsageError, match="no group 'Whit'"):
        chosen(THREE, ["Whit+Black"])


def test_real_faces_are_seen_at_the_models_size(some_faces):
    files = sorted((some_faces / "images").iterdir())[:3]
    small = smaller(files, 16)
    assert all(picture.size == (16, 16) for picture in small)
    back, real = to_pixels(small, 128), to_pixels(files, 128)
    assert (back.mean((2, 3)) - real.mean((2, 3))).abs().max() < 0.02  # colours stay
    fine = [(x[..., 1:] - x[..., :-1]).abs().mean() for x in (back, real)]
    assert fine[0] < 0.7 * fine[1]  # what so few pixels cannot hold is gone


def test_report_writes_table_numbers_and_figures(whole):
    folder, found = whole
    written = groups_report.write(found, folder)
    assert [p.name for p in written] == ["groups.json", "groups.md", "recalls.png", "parents.png"]
    said = (folder / "groups.md").read_text()
    assert "| East Asian |" in said and "| White + Black |" in said and found.protocol in said
    plain = json.loads((folder / "groups.json").read_text())
    assert set(plain["between parents"]) == {"Black in White + Black", "White in White + Black"}
    assert set(plain["groups"]) == set(THREE) and all(math.isfinite(s["low"]) for s in plain["scores"])
    assert {s["metric"] for s in plain["scores"]} == {s.metric for s in found.scores()}
    for name in ("recalls.png", "parents.png"):
        assert len(Image.open(folder / name).convert("RGB").getcolors(1 << 20)) > 20  # text and marks, no blank page


def test_figures_show_the_numbers_of_the_table(whole):
    found = whole[1]
    panel = groups_report.recall_panel(found)
    assert [(r.label, r.value, r.reference) for r in panel.rows] == [
        (row.group, row.drawn.value, 1 / 3) for row in found.recalls
    ]
    assert [r.beside is None for r in panel.rows] == [row.real is None for row in found.recalls]
    for one, shown in zip(found.between, groups_report.parent_panels(found), strict=True):
        assert [r.value for r in shown.rows] == [one.others[0][1].value, one.mixed.value, one.pure.value]
        assert shown.title.endswith(": between") == one.holds


def test_nothing_is_drawn_for_a_question_that_cannot_be_asked(run, tmp_path):
    for groups in (("Elves", "White"), ("White",)):
        with pytest.raises(UsageError, match="no class|two or more"):
            run(tmp_path, by=open_model(save(tmp_path / "-".join(("odd", *groups)), groups), "cpu"))
    wrong = ({"hybrids": ["Whit+Black"]}, {"faces": tmp_path / "nowhere"}, {"count": 1}, {"method": "stir"})
    for asked in wrong:
        with pytest.raises(UsageError):
            run(tmp_path, **asked)
    assert not (tmp_path / "faces").exists()


def test_the_command_prints_tables_or_json(some_faces, tmp_path):
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    odd = save(tmp_path / "odd", ("north", "south"))
    common = ["groups", str(odd), "--count", "2", "--steps", "1", "--output", "out", "--faces", str(some_faces)]
    meant = ["--means", "north=White", "--means", "south=Black + Indian", "--hybrids", "all"]
    done = CliRunner().invoke(app, [*common, *meant])
    assert done.exit_code == 0, done.output
    assert "| south + north |" in done.stdout and "parents.png in out" in done.stderr
    asked = CliRunner().invoke(app, [*common, *meant, "--json"])
    assert json.loads(asked.stdout)["request"]["count"] == 2
    refused = CliRunner().invoke(app, [*common, "--means", "north"])
    assert isinstance(refused.exception, UsageError) and "GROUP=CLASS" in str(refused.exception)
