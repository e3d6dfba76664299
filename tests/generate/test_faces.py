"""From a photo to faces like it: the cut, what lies between photos, and what the pictures say of themselves."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likeness import provenance
from likeness.data.crop import fairface_align
from likeness.errors import UsageError
from likeness.generate import faces, folder
from likenesses import saved

PORTRAITS = Path(__file__).parent.parent / "data" / "fixtures" / "portraits"
LABELS = {row["file_name"]: row for row in csv.DictReader((PORTRAITS / "labels.csv").open(encoding="utf-8"))}
PHOTOS = [PORTRAITS / name for name in ("synthetic_female_34.jpg", "synthetic_male_21.jpg")]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return faces.open_model(saved(tmp_path_factory.mktemp("dino") / "model"), "cpu")


@pytest.fixture(scope="module")
def looked(studio):
    return studio.look(PHOTOS)


def array(sample):
    return np.asarray(sample.image, np.int16)


def test_a_mixture_has_the_length_of_faces_and_ends_at_them():
    """A straight line between two embeddings would pass nearer to "any face", which is the embedding of zeros."""
    pair = torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    found = faces.combined(pair, torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75], [0.0, 1.0]]))
    torch.testing.assert_close(found.norm(dim=1), torch.tensor([3.0, 3.5, 3.75, 4.0]))
    torch.testing.assert_close(found[[0, 3]], pair)
    assert found[1, 1] / found[1, 0] == pytest.approx(4 / 3)  # in the plane of the two, on the mean's side
    opposite = faces.combined(torch.stack([pair[0], -pair[0]]), torch.tensor([[0.5, 0.5]]))
    assert torch.isfinite(opposite).all()  # no direction is right, but no NaN either


def test_interpolation_visits_every_photo():
    found = faces.interpolate(3, 5)
    assert found == [(1, 0, 0), (0.5, 0.5, 0), (0, 1, 0), (0, 0.5, 0.5), (0, 0, 1)]
    assert all(sum(row) == pytest.approx(1) for n in (2, 3, 4) for row in faces.interpolate(n, 7))
    assert faces.average(4, 2) == [(0.25,) * 4] * 2


@pytest.mark.parametrize(
    ("mix", "photos", "count", "said"), [("averaged", 2, 2, "did you mean 'average'"), ("interpolate", 1, 4, "twice"),
                                         ("interpolate", 2, 1, "--count")]
)  # fmt: skip
def test_a_mix_that_cannot_be_is_refused(mix, photos, count, said):
    with pytest.raises(UsageError, match=said):
        faces.check_mix(mix, photos, count)


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda p: p.stem)
def test_a_photo_is_cut_as_the_training_faces_were(photo):
    """By the eyes in the table, and by the detector's: the same cut, compared coarsely (it has fewer pixels)."""
    row = LABELS[photo.name]
    eyes = [(float(row[f"eye{i}_x"]), float(row[f"eye{i}_y"])) for i in (1, 2)]
    cuts = (fairface_align(Image.open(photo), eyes, 128), faces.aligned(photo, "tight", 128), Image.open(photo))
    wanted, found, centre = (np.asarray(c.convert("RGB").resize((16, 16)), np.float64) for c in cuts)
    assert cuts[1].size == (128, 128)
    assert np.abs(found - wanted).mean() < np.abs(centre - wanted).mean() / 3


def test_a_large_photo_is_made_as_coarse_as_the_training_pictures_first():
    """Cut straight from thousands of pixels, a face would be sharper than any that the encoder has seen, or alias."""
    photo = Image.open(PHOTOS[0]).convert("RGB")
    large = photo.resize((photo.width * 3, photo.height * 3), Image.Resampling.BICUBIC)
    large.save("large.bmp")
    small, again = (np.asarray(faces.aligned(p, "tight", 128), np.float64) for p in (PHOTOS[0], "large.bmp"))
    assert np.abs(small - again).mean() < 4  # of 255


def test_the_other_framing_is_that_of_prepared_folders():
    tight, wide = (np.asarray(faces.aligned(PHOTOS[0], framing, 128), np.float64) for framing in ("tight", "prepared"))
    assert wide.shape == tight.shape and np.abs(tight - wide).mean() > 10


def test_a_picture_without_a_face_says_so():
    Image.new("RGB", (200, 200), "gray").save("wall.png")
    with pytest.raises(UsageError, match="no face found in wall.png: give a photo in which both eyes"):
        faces.aligned("wall.png", "tight", 128)
    Path("torn.jpg").write_bytes(PHOTOS[0].read_bytes()[:900])
    with pytest.raises(UsageError, match="torn.jpg"):
        faces.aligned("torn.jpg", "tight", 128)


def test_the_embedding_of_a_photo_is_that_of_its_face(studio, looked):
    """Of two people two embeddings, finite and standardised by the model's own statistics."""
    assert looked.shape == (2, studio.encoder.width) and torch.isfinite(looked).all()
    mirrored = Image.open(PHOTOS[0]).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save("mirrored.png")
    near, far = studio.look(["mirrored.png"])[0] - looked[0], looked[1] - looked[0]
    assert near.norm() < far.norm()


def test_a_seed_is_a_picture_alone_or_in_company(studio):
    request = studio.request(seed=5, count=3, steps=2)
    three = list(studio.variations(request, PHOTOS[:1]))
    alone = list(studio.variations(studio.request(seed=6, count=1, steps=2), PHOTOS[:1]))
    assert [s.seed for s in three] == [5, 6, 7]
    assert np.abs(array(three[1]) - array(alone[0])).max() <= 2
    assert np.abs(array(three[0]) - array(three[1])).max() > 2
    other = list(studio.variations(studio.request(seed=6, count=1, steps=2), PHOTOS[1:]))
    assert np.abs(array(alone[0]) - array(other[0])).max() > 2  # the photo counts too


def test_batches_do_not_change_pictures(studio):
    from dataclasses import replace

    request, told = studio.request(seed=1, count=3, steps=2), []
    whole = list(studio.variations(request, PHOTOS[:1]))
    parts = list(replace(studio, batch=2).variations(request, PHOTOS[:1], progress=lambda *at: told.append(at)))
    assert all(np.abs(array(a) - array(b)).max() <= 2 for a, b in zip(whole, parts, strict=True))
    assert told[-1] == (6, 6) and told == sorted(told)


def test_interpolated_pictures_begin_and_end_at_the_photos(studio):
    """One noise for all, so that only the face changes."""
    between = list(studio.variations(studio.request(seed=3, count=3, steps=2), PHOTOS, "interpolate"))
    ends = [next(studio.variations(studio.request(seed=3, count=1, steps=2), [p])) for p in PHOTOS]
    assert {s.seed for s in between} == {3}
    for end, found in zip(ends, (between[0], between[-1]), strict=True):
        assert np.abs(array(end) - array(found)).max() <= 2
    assert [s.request.prompt.split(": ")[1] for s in between] == ["100 % + 0 %", "50 % + 50 %", "0 % + 100 %"]


def test_pictures_say_that_they_are_variations_and_not_of_whom(studio):
    sample = next(studio.variations(studio.request(seed=9, steps=2), PHOTOS[:1]))
    path = folder.save("face.png", sample)
    recipe = provenance.read(path)
    assert recipe["marked"] and recipe["request"]["prompt"] == "variation of a photo"
    assert recipe["drawn"]["variation"] == {"of": "a photo", "photos": 1, "shares": [1.0]}
    assert recipe["request"]["seed"] == 9 and recipe["fingerprint"] == studio.fingerprint
    assert b"synthetic_female" not in path.read_bytes()


def test_settings_out_of_bounds_are_refused(studio):
    for wrong in ({"steps": 0}, {"guidance": -1.0}, {"count": 0}, {"scheduler": "fast"}):
        with pytest.raises(UsageError):
            studio.request(**wrong)


def test_a_model_of_words_takes_no_photo():
    with pytest.raises(UsageError, match="takes no photo: give a folder of `likeness train dino`"):
        faces.open_model("mini")


def test_an_encoder_that_has_changed_since_is_refused(tmp_path):
    """Its numbers would mean something else: the model would draw other people without a word."""
    import json

    place = saved(tmp_path / "model")
    about = json.loads((place / "dino.json").read_text())
    (place / "dino.json").write_text(json.dumps(about | {"encoder_revision": "0" * 64}))
    with pytest.raises(UsageError, match="another version of the encoder eye"):
        faces.open_model(place)
