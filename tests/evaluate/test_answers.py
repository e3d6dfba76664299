"""Who says what a face shows: each judge gives its own answers, in order, and silence is no answer."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from likeness.caption.captioner import make as make_captioner
from likeness.caption.picture import data_url
from likeness.data.labels import read_faces
from likeness.errors import ModelNotFound, UsageError
from likeness.evaluate.adherence.answers import ByJudge, Described, Options, ZeroShot, make
from likeness.evaluate.adherence.questions import question
from likeness.evaluate.networks import catalogue as networks
from likeness.evaluate.networks.features import predictions

sys.path.insert(0, str(Path(__file__).parents[1] / "caption"))  # where the server of the caption tests lies

GENDER, GLASSES, EYES = question("gender"), question("glasses"), question("eye_color")


@pytest.fixture(scope="module")
def pictures(some_faces) -> list[Path]:
    return [some_faces / record.file_name for record in read_faces(some_faces)][:6]


def test_judge_says_the_likeliest_class(judge, pictures):
    by, told = ByJudge(judge), []
    found = by.answer(pictures, [GENDER, GLASSES], told.append)
    assert by.knows(GLASSES) and not by.knows(EYES) and sum(told) == 6
    assert found["glasses"] == predictions(judge, pictures)["glasses"].argmax(1).tolist()


def test_zero_shot_says_the_nearest_prompt(eye, pictures):
    network = replace(networks.load("eye", device="cpu"), embed=eye.image_features, words=eye.text_features)
    by = ZeroShot(network)
    found = by.answer(pictures, [GENDER])["gender"]
    words = [torch.nn.functional.normalize(eye.text_features(list(p)).mean(0), dim=0) for p in GENDER.prompts.values()]
    assert found == (network.features(pictures) @ torch.stack(words).T).argmax(1).tolist()
    assert not by.knows(EYES) and "OFFLINE" in by.told  # it never learned eye colours, and is called a stand-in
    assert ZeroShot(replace(network, spec=replace(network.spec, name="clip-b32"))).knows(EYES)


def test_a_server_is_asked_for_attributes_and_its_silence_is_kept(pictures):
    from unruly import attributes, serve

    with serve() as server:
        by = make("api", Options({"endpoint": server.url, "model": "face-vision", "max_side": 32}))
        found = by.answer(pictures, [GENDER, GLASSES, EYES])
        assert server.stats()["answers"] == len(pictures)
    answers = [attributes(hashlib.sha256(data_url(p, 32).encode()).hexdigest()) for p in pictures]
    assert found["gender"] == [("female", "male").index(a["gender"]) for a in answers]
    assert found["eye_color"] == [list(EYES.answers).index(a["eye_color"]) for a in answers]
    assert found["glasses"] == [None] * len(pictures)  # of which it says nothing
    assert "model face-vision" in by.told


def test_a_captioner_that_describes_nothing_is_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    by = Described(make_captioner("eye", {}))
    with pytest.raises(UsageError, match="described none of the 1 pictures .unreadable"):
        by.answer([tmp_path / "broken.png"], [GENDER])


def test_names_of_judges():
    assert make("judge").name == "judge" and make("eye", Options(device="cpu")).name == "eye"
    with pytest.raises(UsageError, match="nobody called 'juge' judges faces.*judge"):
        make("juge")
    with pytest.raises(ModelNotFound, match="clip-vit-base-patch32"):
        make("clip-b32")
