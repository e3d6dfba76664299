"""The grid of prompts: words that say what their cell asks for, in the same noise, to as many women as men."""

from __future__ import annotations

from collections import Counter

import pytest

from likeness.errors import UsageError
from likeness.evaluate.adherence.questions import attributes, question
from likeness.evaluate.formulas.confusion import Confusion
from likeness.evaluate.prompts.grid import FIELDS, NEGATIONS, Cell, negations, pairs, requests, singles
from likeness.grammar import parse
from likeness.models.registry import find, unknown_to

COUNT = 6  # every wording of every gender once


def asked(cells: list[Cell]) -> dict[str, list]:
    found = requests(cells, COUNT, "mini", seed=3)
    return {cell.name: [found[f"{cell.slug}/{i:03d}"] for i in range(COUNT)] for cell in cells}


def test_every_prompt_says_what_its_cell_asks_for():
    cells = singles() + pairs()
    wrong = []
    for cell, of_cell in zip(cells, asked(cells).values(), strict=True):
        for request in of_cell:
            read = parse(request.prompt).attributes
            for name, value in cell.wanted.items():
                trait = question(name)
                if trait.truth(read) != list(trait.answers).index(value):
                    wrong.append((cell.name, request.prompt))
    assert len(cells) > 50 and wrong == []


def test_without_is_read_as_none():
    for cell in (c for c in negations() if c.kind == "without"):
        for request in asked([cell])[cell.name]:
            said = getattr(parse(request.prompt).attributes, cell.absent)
            assert "none" in ((said,) if isinstance(said, str) else said), request.prompt


def test_open_and_negative_prompts_do_not_speak_of_the_thing():
    cells = negations()
    found = asked(cells)
    for name in NEGATIONS:
        alone, negative = found[f"open {name}"], found[f"negative {name}"]
        assert [r.prompt for r in alone] == [r.prompt for r in negative]
        assert not any(getattr(parse(r.prompt).attributes, name) for r in alone)
        assert {r.negative_prompt for r in alone} == {""}
        assert all(r.negative_prompt == NEGATIONS[name].unwanted for r in negative)


def test_a_face_differs_from_cell_to_cell_in_words_alone():
    for of_cell in asked(singles() + pairs() + negations()).values():
        assert [r.seed for r in of_cell] == list(range(3, 3 + COUNT))


def test_genders_take_turns_and_beards_are_asked_of_men():
    for name, of_cell in asked(singles() + negations()).items():
        counts = Counter(parse(r.prompt).attributes.gender for r in of_cell)
        if "facial_hair" in name:
            assert counts == {"male": COUNT}, name
        elif "gender" not in name:
            assert counts == {"female": COUNT // 2, "male": COUNT // 2}, name


def test_open_prompts_of_two_things_are_drawn_once():
    glasses, headwear, beard = (Cell("open", {}, name) for name in ("glasses", "headwear", "facial_hair"))
    assert glasses.slug == headwear.slug != beard.slug
    assert len(requests([glasses, headwear, beard], COUNT, "mini")) == 2 * COUNT


def test_mini_is_asked_for_nothing_that_it_never_saw():
    spec = find("mini")
    unknown = {c.name: u for c in singles(FIELDS) + pairs() if (u := unknown_to(spec, attributes(c.wanted)))}
    assert unknown == {}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("glasses=eyeglasses+hair_color=blond", {"glasses": "eyeglasses", "hair_color": "blond"}),
        ("age=70++hair_color=black", {"age": "70+", "hair_color": "black"}),
        ("hair_color=black+age=70+", {"hair_color": "black", "age": "70+"}),
        (" gender=male + headwear=hat ", {"gender": "male", "headwear": "hat"}),
    ],
)
def test_pairs_are_read(text, wanted):
    assert pairs([text])[0].wanted == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("glasses", "write two attributes"),
        ("glasses=none", "write two attributes"),
        ("glasses=none+glasses=sunglasses", "write two attributes"),
        ("glasses=purple+gender=male", "glasses cannot be 'purple': choose from none"),
        ("glases=none+gender=male", "did you mean"),
        ("gender=male+age=70++glasses=none", "write two attributes|cannot be"),
    ],
)
def test_pairs_that_cannot_be_asked_say_why(text, said):
    with pytest.raises(UsageError, match=said):
        pairs([text])


def test_unknown_fields_and_negations_are_refused():
    with pytest.raises(UsageError, match="no attribute 'galsses'.*glasses"):
        singles(["galsses"])
    with pytest.raises(UsageError, match="no negation of 'gender': choose from glasses"):
        negations(["gender"])
    with pytest.raises(UsageError, match="count must be 1 or more"):
        requests(singles(["gender"]), 0, "mini")


def test_a_confusion_counts_silence_as_a_miss():
    values = ("none", "eyeglasses", "sunglasses")
    one = Confusion.of("glasses", "drawn", "judge", values, [0, 0, 1, 1, 1, None], [0, 1, 1, None, 1, 2])
    assert one.counts == ((1, 1, 0, 0), (0, 2, 0, 1), (0, 0, 0, 0)) and one.count == 5
    score = one.score("told")
    assert score.value == pytest.approx((1 / 2 + 2 / 3) / 2) and score.low < score.value < score.high
    assert [s.metric for s in one.recalls("")] == [
        "prompts/glasses=none/drawn/judge",
        "prompts/glasses=eyeglasses/drawn/judge",
    ]
    assert one.to_dict()["counts"] == {
        "none": {"none": 1, "eyeglasses": 1}, "eyeglasses": {"eyeglasses": 2, "unsaid": 1}
    }  # fmt: skip
