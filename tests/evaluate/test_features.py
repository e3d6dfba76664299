from __future__ import annotations

import shutil

import pytest
import torch
from PIL import Image

from likeness.errors import UsageError
from likeness.evaluate.networks.features import RESIZED, batches, image_features, pictures, predictions
from likeness.models.judge import HEADS


def test_folder_paths_and_pictures_give_the_same(eye, some_faces):
    folder = some_faces / "images"
    paths = sorted(folder.iterdir())
    ticks: list[int] = []
    found = image_features(eye, folder, batch=7, progress=ticks.append)
    assert found.shape == (24, 16) and ticks == [7, 7, 7, 3]
    assert torch.allclose(found.norm(dim=1), torch.ones(24), atol=1e-5)
    assert torch.allclose(image_features(eye, paths), found, atol=1e-5)  # whatever the batch
    assert torch.allclose(image_features(eye, [Image.open(p) for p in paths]), found, atol=1e-5)
    assert found.std(0).min() > 0  # pictures that differ have features that do


def test_predictions_are_probabilities_by_head(judge, some_faces):
    found = predictions(judge, some_faces / "images", batch=10)
    assert set(found) == set(HEADS)
    for name, p in found.items():
        assert p.shape == (24, len(HEADS[name])) and torch.allclose(p.sum(1), torch.ones(24), atol=1e-5)


def test_the_resize_is_antialiased():
    """Lines finer than the wanted picture become grey; without antialiasing they stay black or white."""
    stripes = Image.new("L", (1024, 1024))
    stripes.putdata([255 * (x % 2) for _ in range(1024) for x in range(1024)])
    (pixels,) = batches([stripes])
    assert pixels.shape == (1, 3, 128, 128) and pixels.abs().max() < 0.1
    assert "antialiased" in RESIZED


def test_what_cannot_be_measured_is_named(eye, some_faces, tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        pictures(tmp_path / "none")
    with pytest.raises(UsageError, match="no pictures"):
        pictures(tmp_path)
    with pytest.raises(UsageError, match="no pictures"):
        image_features(eye, [])
    shutil.copy(next((some_faces / "images").iterdir()), tmp_path / "a.webp")
    (tmp_path / "b.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(UsageError, match=r"b\.png is not a picture"):
        image_features(eye, tmp_path)
    (tmp_path / "b.png").unlink()
    whole = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "c.webp").write_bytes(whole[: len(whole) // 2])  # cut short
    with pytest.raises(UsageError, match=r"c\.webp is not a picture"):
        image_features(eye, tmp_path)
