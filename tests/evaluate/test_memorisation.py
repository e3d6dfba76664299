"""Copies are found, strangers are not; the reference is what real faces do."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from scipy.stats import mannwhitneyu

from likeness.errors import UsageError
from likeness.evaluate.audit.memorisation import memorisation, nearest, split_of, superiority
from likeness.evaluate.networks import catalogue as networks


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network(eye):
    """Random weights do: a copy has the features of its original in any network."""
    return replace(networks.load("eye", device="cpu"), embed=eye.image_features, words=eye.text_features)


@pytest.fixture(scope="module")
def people(faces, tmp_path_factory) -> dict[str, list[Path]]:
    """The shipped faces shared out: 60 to train on, 120 held out, 6 drawn, two of which are copies, one mirrored."""
    folder = tmp_path_factory.mktemp("people")
    files = sorted((faces / "images").iterdir())
    drawn = [folder / f"{i}.png" for i in range(6)]
    shutil.copy(files[0], drawn[0].with_suffix(".webp"))
    drawn[0] = drawn[0].with_suffix(".webp")
    ImageOps.mirror(Image.open(files[1]).convert("RGB")).resize((120, 120)).resize((128, 128)).save(drawn[1])
    for i in range(2, 6):
        Image.open(files[200 + i]).convert("RGB").save(drawn[i])
    return {"training": files[:60], "held_out": files[60:180], "drawn": drawn}


@pytest.fixture(scope="module")
def found(network, people, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache") / "training.safetensors"
    return memorisation(network, people["drawn"], people["held_out"], people["training"], cache)


def test_nearest_is_brute_force():
    a, b = normal(20, 6), normal(30, 6, seed=1)
    distances, places = nearest(a, b, 5, rows=7)
    all_ = 1 - torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=-1)
    expected = all_.sort(1)
    assert torch.allclose(distances, expected.values[:, :5], atol=1e-6)
    assert torch.equal(places, expected.indices[:, :5])
    assert nearest(a, b[:3], 50)[0].shape == (20, 3)


def test_superiority_is_mann_and_whitneys():
    a, b = normal(40).round(decimals=1), (normal(60, seed=1) + 0.5).round(decimals=1)  # with ties
    value, low, high = superiority(a, b)
    assert value == pytest.approx(1 - mannwhitneyu(a.numpy(), b.numpy()).statistic / 2400)
    assert low < value < high
    assert superiority(torch.zeros(20), torch.ones(30))[0] == 1.0
    assert 0.7 < superiority(torch.zeros(20), torch.ones(30))[1] < 1  # all of 20 is no certainty


def test_the_interval_of_superiority_covers_at_its_rate():
    """P(x < y + 0.5) of two normals is 0.638."""
    inside, rng = 0, np.random.default_rng(0)
    for _ in range(300):
        a, b = torch.tensor(rng.normal(size=30)), torch.tensor(rng.normal(size=50) + 0.5)
        _, low, high = superiority(a, b)
        inside += low <= 0.6382 <= high
    assert 0.91 <= inside / 300 <= 0.985


def test_copies_come_first_mirrored_ones_too_and_name_their_originals(found, people):
    first, second = found.drawn[:2]
    assert [p.picture for p in (first, second)] == people["drawn"][:2]
    assert [p.training[0] for p in (first, second)] == people["training"][:2]
    assert first.distance < 1e-5 and first.nearer == 0.0 and second.nearer < 0.01
    assert max(first.ratio, second.ratio) < min(p.ratio for p in found.drawn[2:])


def test_strangers_are_as_near_as_real_faces(network, people, tmp_path):
    held_out = people["held_out"]
    stranger = memorisation(network, held_out[:50], held_out[50:], people["training"], tmp_path / "t.safetensors")
    assert stranger.nearer.low < 0.5 < stranger.nearer.high
    assert stranger.below is None and "too few for a line" in stranger.notes[0]


def test_the_share_below_the_line_counts_the_copies(found):
    assert found.below.value == pytest.approx(2 / 6) and found.below.low > 0.01
    assert found.nearer.count == 6 and "60 training faces" in found.nearer.protocol
    assert "OFFLINE" in found.nearer.protocol  # a stand-in is called one


def test_features_of_training_faces_are_kept_until_a_face_or_the_network_changes(network, people, tmp_path):
    training = tmp_path / "training"
    training.mkdir()
    for i, file in enumerate(people["training"][:8]):
        shutil.copy(file, training / f"{i}.webp")
    cache = tmp_path / "kept.safetensors"

    def told() -> int:
        counts: list[int] = []
        memorisation(
            network, people["drawn"], people["held_out"][:5], split_of(training, "train"), cache, counts.append
        )
        return sum(counts)

    looked = 2 * (6 + 5)
    assert [told(), told()] == [8 + looked, looked]
    shutil.copy(people["training"][9], training / "3.webp")
    assert told() == 8 + looked


def test_held_out_faces_that_were_trained_on_are_refused(network, people, tmp_path):
    training = people["training"]
    with pytest.raises(UsageError, match="most held-out faces lie among the training faces"):
        memorisation(network, people["drawn"], training[:10], training, tmp_path / "t.safetensors")
    some = memorisation(
        network, people["drawn"], people["held_out"][:9] + training[5:6], training, tmp_path / "t.safetensors"
    )
    assert "1 held-out" in some.notes[0]


def test_a_folder_with_splits_gives_the_one_asked_for(tmp_path, faces):
    (tmp_path / "images").mkdir()
    rows = []
    for i, file in enumerate(sorted((faces / "images").iterdir())[:4]):
        shutil.copy(file, tmp_path / "images" / file.name)
        rows.append({"file_name": f"images/{file.name}", "split": "train" if i else "test", "gender": "male"})
    assert [p.name for p in split_of(tmp_path / "images", "train")] == [Path(r["file_name"]).name for r in rows]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert [len(split_of(tmp_path, split)) for split in ("train", "test")] == [3, 1]
    with pytest.raises(UsageError, match="no folder"):
        split_of(tmp_path / "none", "train")
