"""The shipped `judge` and `eye` on 200 real test faces: far above chance, or their scores would mean nothing."""

from __future__ import annotations

import pytest
import torch

from likeness.evaluate import floor
from likeness.evaluate.adherence.cases import adherence, cases
from likeness.evaluate.adherence.traits import TRAITS
from likeness.evaluate.formulas.distances import frechet
from likeness.evaluate.formulas.moments import Moments
from likeness.evaluate.networks.features import image_features, predictions
from likeness.models import eye as eye_model
from likeness.models import judge as judge_model
from likeness.runtime import choose

WEIGHTS = [module.ASSET / "model.safetensors" for module in (eye_model, judge_model)]
pytestmark = pytest.mark.skipif(not all(p.exists() for p in WEIGHTS), reason="eye and judge are not trained yet")


@pytest.fixture(scope="module")
def people(faces):
    return cases(faces, limit=200)


@pytest.fixture(scope="module")
def shipped_eye():
    return eye_model.Eye.load(runtime=choose("cpu"))


@pytest.fixture(scope="module")
def features(shipped_eye, people):
    return image_features(shipped_eye, [case.picture for case in people])


@pytest.fixture(scope="module")
def judged(people):
    return predictions(judge_model.Judge.load(), [case.picture for case in people])


# Below what they reach, above chance (0.5, 0.5, 0.14): who answers these can see. `eye` is no judge of glasses.
@pytest.mark.parametrize(
    ("trait", "by_judge", "by_eye"), [("gender", 0.8, 0.65), ("glasses", 0.9, None), ("ethnicity", 0.4, 0.2)]
)
def test_they_see_what_is_there(people, features, shipped_eye, judged, trait, by_judge, by_eye):
    asked = next(t for t in TRAITS if t.name == trait)
    truths = [asked.truth(case.attributes) for case in people]
    bounds = [(asked.judged(judged), by_judge)]
    if by_eye is not None:
        bounds.append((asked.zero_shot(shipped_eye, features), by_eye))
    for answers, least in bounds:
        (found,) = [a for a in adherence(asked, truths, answers, "real", "judge") if a.sets == "all"]
        assert found.score().value > least


def test_real_train_faces_are_nearer_than_spoilt_test_faces(features, shipped_eye, people):
    """The floor lies below the distance of the same test faces drawn upside down."""
    from PIL import Image

    unseen = floor.read(floor.FLOOR, WEIGHTS[0])
    assert len(unseen) >= 673 and torch.allclose(unseen.norm(dim=1), torch.ones(len(unseen)), atol=1e-2)
    reference = Moments.of(features)
    upside_down = [Image.open(case.picture).rotate(180) for case in people]
    spoilt = frechet(Moments.of(image_features(shipped_eye, upside_down)), reference)
    assert max(floor.distances(unseen, reference, 200)) < spoilt
