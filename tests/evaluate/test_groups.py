"""Questions about groups, counts, intervals and verdicts, on answers that are known."""

from __future__ import annotations

import pytest
import torch

from likeness.errors import UsageError
from likeness.evaluate.formulas.intervals import wilson
from likeness.evaluate.groups.verdicts import MEANINGS, Answers, question
from likeness.generate.hybrids import Combination
from likeness.models.judge import HEADS
from likeness.records import ETHNICITIES, Attributes

WHITE, BLACK, INDIAN = (Combination(name, ((name, 1.0),)) for name in ("White", "Black", "Indian"))
BOTH = Combination("WB", (("White", 0.5), ("Black", 0.5)))


def test_groups_are_asked_of_the_head_that_has_classes_for_all():
    seven = question(sorted(ETHNICITIES))
    assert seven.field == "ethnicity" and seven.answers == {e: (e,) for e in sorted(ETHNICITIES)}
    assert question(["MALE", "female"]).answers == {"MALE": ("male",), "female": ("female",)}
    assert question(["20-29", "70+"]).field == "age"
    three = question(["Europeans", "Indians", "Orientals"])
    assert three.answers["Orientals"] == ("East Asian", "Southeast Asian")
    assert three.truth(Attributes(ethnicity=("Southeast Asian",))) == 2
    assert three.truth(Attributes(ethnicity=("Black",))) is None  # a face of no group takes no part
    told = question(["north", "south"], {"North": ["white"], "south": ["Black", "Indian"]})
    assert told.answers == {"north": ("White",), "south": ("Black", "Indian")}


@pytest.mark.parametrize(
    ("groups", "means", "said"),
    [
        (["White"], {}, "two or more"),
        ([], {}, "two or more"),
        (["Martian", "White"], {}, "no class for the group 'Martian'"),
        (["White", "male"], {}, "no class for the group 'White' beside the others"),  # known, but by two heads
        (["White", "Black"], {"Whit": ["White"]}, "did you mean"),
        (["Asian", "East Asian"], {}, "tell them apart"),
        (["White", "Black"], {"White": ["Black"]}, "tell them apart"),
    ],
)
def test_a_question_that_cannot_be_put_says_what_to_do(groups, means, said):
    with pytest.raises(UsageError, match=said):
        question(groups, means)


def faces(n: int, **probabilities: float) -> torch.Tensor:
    """(n, 7): noisy answers of the ethnicity head with these means; what is left goes to Latino."""
    random = torch.Generator().manual_seed(n)
    rows = torch.zeros(n, len(ETHNICITIES))
    for name, p in probabilities.items():
        rows[:, ETHNICITIES.index(name)] = (p + 0.1 * torch.randn(n, generator=random)).clamp(0, 1)
    rows[:, ETHNICITIES.index("Latino")] = (1 - rows.sum(1)).clamp(min=0)
    return rows


def answers(hybrid: torch.Tensor, n: int = 200) -> Answers:
    drawn = {WHITE: faces(n, White=0.8, Black=0.1), BLACK: faces(n + 1, White=0.1, Black=0.8), BOTH: hybrid}
    real = faces(10, White=0.7)
    return Answers(question(["Black", "White"]), drawn, real, (1,) * 6 + (0,) * 3 + (None,), "protocol")


def test_recall_counts_hits_among_the_models_groups():
    found = answers(faces(200, White=0.5, Black=0.5))
    black, white = found.recalls()
    assert (black.group, white.group) == ("Black", "White") and white.chance == 0.5
    assert white.drawn.value == 1 and white.drawn.count == 200 and white.drawn.low == wilson(200, 200)[0]
    assert white.above_chance and white.of_real == 1
    # all ten real faces look White: the six that are make its recall, the three Black ones miss theirs, one is neither
    assert (white.real.value, white.real.count) == (1, 6) and (black.real.value, black.real.count) == (0, 3)
    assert black.of_real is None and not found.recalls()[0].real.low
    # Latino, likeliest here, is no group of this model: the forced choice is among its own
    third = faces(50, White=0.2, Black=0.1)
    assert (third.argmax(1) == ETHNICITIES.index("Latino")).float().mean() > 0.9
    lone = Answers(found.trait, found.drawn | {WHITE: third}, found.real, found.truths, "")
    assert lone.recalls()[1].drawn.value > 0.6


def test_a_hybrid_between_its_parents_is_told_from_one_that_is_not():
    between = answers(faces(200, White=0.5, Black=0.4)).between()
    assert [(b.hybrid, b.parent) for b in between] == [("White + Black", "White"), ("White + Black", "Black")]
    assert all(b.holds for b in between)
    assert all("protocol" in b.mixed.protocol and b.mixed.count == 200 for b in between)
    one_sided = answers(faces(200, White=0.8, Black=0.1)).between()  # all of one parent is between nothing
    assert not any(b.holds for b in one_sided)
    outside = answers(faces(200, White=0.05, Black=0.4)).between()
    assert [b.holds for b in outside] == [False, True]


def test_a_hybrid_like_a_parent_is_hardly_ever_called_between():
    """The verdict asks two intervals apart: faces of the parent itself pass it in far fewer than 1 of 20 samples."""
    passed = 0
    for run in range(25):
        torch.manual_seed(run)
        p = torch.zeros(3, 200, len(ETHNICITIES))
        for row, mean in enumerate((0.8, 0.1, 0.8)):
            p[row, :, ETHNICITIES.index("White")] = (mean + 0.2 * torch.randn(200)).clamp(0, 1)
        found = Answers(question(["Black", "White"]), {WHITE: p[0], BLACK: p[1], BOTH: p[2]}, p[0], (1,) * 200, "")
        passed += next(b for b in found.between() if b.parent == "White").holds
    assert passed <= 1


def test_three_parents_each_stand_against_both_others():
    names = ("Black", "Indian", "White")
    hybrid = Combination("BIW", tuple((name, 1 / 3) for name in names))
    drawn = {one: faces(100 + i, **{one.name: 0.8}) for i, one in enumerate((BLACK, INDIAN, WHITE))}
    drawn[hybrid] = faces(150, Black=0.3, Indian=0.3, White=0.3)
    found = Answers(question(names), drawn, faces(4), (0, 1, 2, None), "").between()
    assert [[name for name, _ in b.others] for b in found] == [
        ["Indian", "White"],
        ["Black", "White"],
        ["Black", "Indian"],
    ]
    assert {b.parent: b.holds for b in found} == {"Black": True, "Indian": True, "White": True}
    drawn[BLACK] = faces(100, Black=0.5, White=0.5)  # now White is no less in one of the others than in the hybrid
    found = Answers(question(names), drawn, faces(4), (0, 1, 2, None), "").between()
    assert {b.parent: b.holds for b in found} == {"Black": True, "Indian": True, "White": False}


def test_group_values_are_those_of_the_judges_heads():
    assert all(c in HEADS["ethnicity"] for classes in MEANINGS.values() for c in classes)
