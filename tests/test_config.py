from dataclasses import dataclass, field
from pathlib import Path

import pytest

from likeness import config
from likeness.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    batch: int = 4
    rate: float = 0.1


@dataclass(frozen=True)
class Outer:
    data: str
    steps: int = 10
    guidance: float | None = None
    flip: bool = True
    folder: Path = Path("runs")
    widths: tuple[int, ...] = (1, 2)
    betas: tuple[float, float] = (0.9, 0.99)
    tags: dict[str, str] = field(default_factory=dict)
    loop: Inner = field(default_factory=Inner)


def build(**values):
    return config.build(Outer, {"data": "faces"} | values)


def test_values_become_the_declared_types():
    made = build(
        steps="20",
        guidance=5,
        flip="False",
        folder="a/b",
        widths=[3, "4"],
        betas=[0, 1],
        tags={"a": "b"},
        loop={"batch": 8.0},
    )
    assert made == Outer("faces", 20, 5.0, False, Path("a/b"), (3, 4), (0.0, 1.0), {"a": "b"}, Inner(8))
    for value, kind in ((made.steps, int), (made.guidance, float), (made.loop.batch, int), (made.betas[0], float)):
        assert type(value) is kind
    assert build(guidance=None).guidance is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"steps": 1.5}, "steps must be a whole number, not 1.5"),
        ({"steps": "many"}, "steps must be a whole number"),
        ({"steps": None}, "steps must be a whole number"),
        ({"steps": True}, "steps must be a whole number"),
        ({"steps": float("inf")}, "steps must be a whole number"),
        ({"guidance": "strong"}, "guidance must be a number"),
        ({"guidance": [1]}, "guidance must be a number"),
        ({"data": ["a"]}, "data must be a text"),
        ({"data": False}, "data must be a text"),
        ({"flip": "perhaps"}, "flip must be true or false"),
        ({"flip": 2}, "flip must be true or false"),
        ({"widths": 5}, "widths must be a tuple"),
        ({"widths": "12"}, "widths must be a tuple"),
        ({"widths": [1, "b"]}, "widths must be a whole number, not 'b'"),
        ({"betas": [0.9]}, "betas must be a tuple"),
        ({"tags": "a"}, "tags must be a dict"),
        ({"loop": 5}, "loop must be a Inner"),
        ({"loop": {"batch": "b"}}, "batch must be a whole number"),
    ],
)
def test_what_cannot_be_converted_is_an_error_that_names_the_setting(values, said):
    with pytest.raises(ConfigError) as caught:
        build(**values)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_key_suggests_the_right_one():
    with pytest.raises(ConfigError, match="unknown setting 'guidence': did you mean 'guidance'"):
        build(guidence=3)
    with pytest.raises(ConfigError, match="unknown setting 'bach': did you mean 'batch'"):
        build(loop={"bach": 3})
    with pytest.raises(ConfigError, match="unknown setting 'zzz': choose from betas, data"):
        build(zzz=3)


def test_a_missing_setting_is_named():
    with pytest.raises(ConfigError, match="'data' is missing"):
        config.build(Outer, {"steps": 3})


def test_overrides_win_over_the_preset_and_none_says_nothing(tmp_path):
    (tmp_path / "p.yaml").write_text("data: faces\nsteps: 3\nloop: {batch: 2, rate: 5.0e-1}\n")
    made = config.load(Outer, tmp_path / "p.yaml", {"steps": 7, "guidance": None})
    assert (made.steps, made.guidance, made.loop) == (7, None, Inner(2, 0.5))
    assert config.load(Outer, None, {"data": "x"}) == Outer("x")


def test_dotted_keys_reach_into_a_group_and_leave_the_rest_alone():
    values = {"data": "x", "loop": {"batch": 2, "rate": 0.5}}
    laid = config.overlay(values, config.pairs(["loop.batch=16", "data=a=b", "flip=false", "widths=[3, 4]"]))
    assert config.build(Outer, laid) == Outer("a=b", flip=False, widths=(3, 4), loop=Inner(16, 0.5))
    assert values == {"data": "x", "loop": {"batch": 2, "rate": 0.5}}
    assert config.overlay({}, {"loop.batch": 1}) == {"loop": {"batch": 1}}
    with pytest.raises(ConfigError, match="loop must hold"):
        config.overlay({"loop": 5}, {"loop.batch": 1})


@pytest.mark.parametrize("text", ["steps", "steps=[1, 2"])
def test_a_pair_that_is_none_says_how_to_write_it(text):
    with pytest.raises(ConfigError, match="write key=value|not valid YAML"):
        config.pairs([text])


def test_a_preset_that_is_not_there_suggests_one_that_is():
    with pytest.raises(ConfigError, match="no preset 'smoke/mni': did you mean 'smoke/mini'"):
        config.read_preset("smoke/mni")
    with pytest.raises(ConfigError, match="no preset 'mine.yaml'"):
        config.read_preset("mine.yaml")


@pytest.mark.parametrize("content", [b"a: [1", b"- 1\n- 2", b"", b"just words", b"\xff\xfe\x00"])
def test_a_broken_preset_is_one_line(tmp_path, content):
    (tmp_path / "p.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match="p.yaml (is not valid YAML|must hold)") as caught:
        config.read_preset(tmp_path / "p.yaml")
    assert "\n" not in str(caught.value)
