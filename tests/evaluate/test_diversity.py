"""Diversity of a set: known answers, no bias with the number of pictures, and the groups that are drawn worse."""

from __future__ import annotations

import pytest
import torch

from likeness.errors import UsageError
from likeness.evaluate.audit.group_quality import qualities, worst
from likeness.evaluate.formulas.diversity import spread, vendi, vendi_of_samples


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def test_one_picture_many_times_has_no_diversity_and_right_angles_have_all():
    same = torch.ones(5, 4)
    assert spread(same).value == pytest.approx(0, abs=1e-9) and vendi(same) == pytest.approx(1)
    apart = torch.eye(5) * 3  # length counts for nothing
    assert spread(apart).value == pytest.approx(1) and vendi(apart) == pytest.approx(5)
    assert vendi(torch.eye(4).repeat(3, 1)) == pytest.approx(4)  # three copies of four


def test_the_mean_distance_does_not_depend_on_the_number_and_its_interval_covers():
    centre = torch.ones(16) * 0.7
    everyone = spread(centre + normal(3000, 16)).value
    few = [spread(centre + normal(10, 16, seed=i + 1)) for i in range(200)]
    assert sum(e.value for e in few) / 200 == pytest.approx(everyone, abs=0.02)
    covered = sum(abs(e.value - everyone) < 2 * e.deviation for e in few) / 200
    assert 0.88 < covered <= 1  # jackknife of ten: a little wide or narrow


def test_too_few_pictures_have_none():
    with pytest.raises(UsageError, match="three pictures or more, not 2"):
        spread(normal(2, 4))
    assert vendi_of_samples(normal(5, 4), 6) is None
    assert vendi_of_samples(normal(5, 4), 5) == pytest.approx(vendi(normal(5, 4)))


def groups(shift: float) -> dict[str, torch.Tensor]:
    names = ("a", "b", "c", "d")
    return {n: normal(40, 8, seed=i) + (shift if n == "b" else 0) for i, n in enumerate(names)}


def test_the_group_that_is_drawn_worse_is_found_and_no_other():
    real = {n: normal(60, 8, seed=100 + i) for i, n in enumerate("abcd")}
    found = qualities("age", groups(1.5), real, {}, "told")
    assert worst(found) == ["b (age)"]
    far = next(q for q in found if q.group == "b")
    assert far.distance.low > 0 and far.distance.count == 40 and far.recall is None
    assert worst(qualities("age", groups(0.0), real, {}, "told")) == []


def test_a_group_without_enough_faces_has_no_distance_but_its_recall():
    real = {"a": normal(60, 8), "b": normal(5, 8)}
    drawn = {"a": normal(12, 8), "b": normal(12, 8), "c": normal(3, 8)}
    a, b, c = qualities("gender", drawn, real | {"c": real["a"]}, {"a": (8, 12), "b": (4, 12)}, "told")
    assert a.distance is not None and b.distance is None and b.real == 5 and c.distance is None
    assert b.recall.value == pytest.approx(1 / 3) and not a.worse  # alone in its field: worse than whom?
