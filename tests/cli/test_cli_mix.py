"""`likeness mix` in this process, on tiny models."""

import json
from pathlib import Path

import pytest
import torch

from likeness.cli.main import main
from likeness.models import ddpm
from likeness.provenance import read

GROUPS = ("Europeans", "Indians", "Orientals")
QUICK = ["--steps", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """A run folder as `likeness train ddpm` leaves it."""
    folder = tmp_path_factory.mktemp("run")
    shape = ddpm.Shape(size=16, channels=(8, 16), layers_per_block=1, attention=(8,), head=8)
    ddpm.save(ddpm.GroupModel(ddpm.build(shape, GROUPS), ddpm.noise_schedule(), GROUPS), folder / "pipeline")
    return str(folder)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tests share the cores with others: threads that wait for each other are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_combination_has_a_folder_and_the_sheet_shows_all(groups, capsys):
    assert main(["mix", "groups", groups, "--count", "2", "--seed", "3", *QUICK]) == 0
    assert capsys.readouterr().out.split() == ["mix/OI", "mix/OE", "mix/IE", "mix/OIE", "mix/sheet.png"]
    assert sorted(p.name for p in Path("mix/OIE").glob("*.png")) == ["00001-3.png", "00002-4.png"]
    assert read("mix/sheet.png")["marked"] and len(read("mix/sheet.png")["mixture"]["rows"]) == 4
    assert main(["mix", "groups", groups, "--count", "2", *QUICK]) == 0  # the folder remembers the seed
    assert "8 of 8 pictures are in mix already" in capsys.readouterr().err


def test_json_tells_the_shares(groups, capsys):
    args = ["--combinations", "OI,Europeans:0.9+Indians:0.1", "--pure", "--count", "1", "--method", "compose", "--json"]
    assert main(["mix", "groups", groups, "-o", "out", *args, *QUICK]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [m["name"] for m in told["mixtures"]] == ["Orientals", "Indians", "Europeans", "OI", "EI-90-10"]
    assert told["mixtures"][-1]["parts"] == [["Europeans", 0.9], ["Indians", 0.1]]
    assert all(Path(file).is_file() for m in told["mixtures"] for file in m["files"])


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--combinations", "XY"], "no group 'XY'"), (["--shares", "a,b"], "numbers with commas"),
        (["--method", "stir"], "blend, compose"), (["--count", "0"], "count must be"), (["-o", "a.png"], "folder"),
        (["--scheduler", "eulr"], "did you mean 'euler'"), (["--seed", "-1"], "seed must be"),
        (["--batch-size", "0"], "batch size"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_line_and_leaves_nothing(groups, args, told, capsys):
    assert main(["mix", "groups", groups, *QUICK, *args]) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1 and not list(Path().iterdir())


def test_a_model_of_groups_is_recognised_where_prompts_are_asked_for(groups, capsys):
    for args in (["generate", "a man", "--model", groups], ["mix", "prompts", "a man", "a woman", "--model", groups]):
        assert main(args) == 2
        assert f"likeness mix groups {groups}" in capsys.readouterr().err


def test_prompts_are_mixed_and_drawn_alone(tiny, capsys):
    args = ["a man:0.75", "a woman:0.25", "--pure", "--count", "2", "--seed", "5", "--model", str(tiny("sdxl"))]
    assert main(["mix", "prompts", *args, *QUICK]) == 0
    assert capsys.readouterr().out.split() == ["mix/prompt-1", "mix/prompt-2", "mix/mix", "mix/sheet.png"]
    recipe = read("mix/mix/00002-6.png")
    assert recipe["request"]["prompt"] == '("a man", "a woman").blend(0.75, 0.25)'
    assert recipe["mixture"] == {"method": "blend", "parts": [["a man", 0.75], ["a woman", 0.25]]}
    assert main(["generate", "--like", "mix/mix/00002-6.png"]) == 2
    assert "draw it again with likeness mix" in capsys.readouterr().err
    assert main(["mix", "prompts", "a man", *QUICK]) == 2
    assert "two prompts" in capsys.readouterr().err


def test_a_film_of_prompts_and_one_of_groups(groups, tiny, capsys):
    words = ["a man", "a woman", "--seed", "1", "--seed", "2", "--model", str(tiny("sd15")), "-o", "words"]
    assert main(["mix", "film", *words, "--frames", "2", *QUICK]) == 0
    assert capsys.readouterr().out.split() == ["words/film.gif", "words/strip.png"]
    between = ["OI", "Europeans", "--seed", "1", "--model", groups, "-o", "groups", "--loop", "--json"]
    assert main(["mix", "film", *between, "--frames", "3", *QUICK]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["frames"]) == 6 and told["seeds"] == [1, 1] and Path("groups/film.gif").is_file()
    shares = dict(read(told["frames"][1])["mixture"]["parts"])
    assert shares == pytest.approx({"Orientals": 1 / 3, "Indians": 1 / 3, "Europeans": 1 / 3}, abs=1e-5)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["a man", "--seed", "1"], "two faces"), (["a man", "a woman", "--frames", "0"], "frames must be"),
        (["a man", "a woman", "--fps", "99"], "fps must be"), (["a man", "a boy of 9 years old"], "adults only"),
    ],
)  # fmt: skip
def test_what_is_no_film_is_one_line(args, told, capsys):
    assert main(["mix", "film", *args, *QUICK]) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1 and not list(Path().iterdir())


def test_a_film_of_groups_takes_no_words(groups, capsys):
    assert main(["mix", "film", "Indians", "Europeans", "--model", groups, "--negative", "hat", *QUICK]) == 2
    assert "leave --negative" in capsys.readouterr().err
    assert main(["mix", "film", "Indians", "any", "--model", groups, *QUICK]) == 2
    assert "group to group" in capsys.readouterr().err
