"""What a LoRA is trained on: choices among faces, words, cuts, and caches that cannot mix them up."""

import json
import random

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from likeness.data.transforms import Transform
from likeness.errors import UsageError
from likeness.grammar import mirror
from likeness.records import Age, Attributes
from likeness.runtime import Runtime
from likeness.train.latents import drawn, moments
from likeness.train.recipes.lora_data import Cuts, Face, Order, Words, draw, load, members
from likeness.train.recipes.lora_feed import Feed, LatentCache

CPU = Runtime(torch.device("cpu"))
ANN = Attributes(age=Age(20, 29), gender="female", glasses="eyeglasses", jewellery=("earrings",))


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    return AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4, **blocks).eval()


def faces_in(folder):
    return load(folder, None, (), 0)[0]


def feed_of(faces, vae, cache, transform, crops=0, fill=True):
    cuts = Cuts(faces, transform, 32, False, crops)
    feed = Feed(cuts, 0, 1000, 4, 2, False, LatentCache(cache, vae, cuts))
    encoded = []
    if fill:
        feed.latents.fill(vae, CPU, lambda stage, done, total: encoded.append(total))
    return feed, encoded


@pytest.mark.parametrize(
    ("transform", "crops"), [(Transform("center", flip=0.5), 0), (Transform("random", flip=0.5), 3)]
)
def test_latents_stay_with_their_captions_when_the_data_are_shuffled_and_extended(
    painted, vae, tmp_path, transform, crops
):
    """The caption names the colour: every cached latent is that of the picture painted so, cut and mirrored so."""
    folder, cache = painted(tmp_path / "faces", ["red", "green", "blue"]), tmp_path / "cache"
    feed_of(faces_in(folder), vae, cache, transform, crops)
    painted(folder, ["white", "blue", "black", "green", "red"])  # another order, and new ones between
    faces = faces_in(folder)
    random.Random(1).shuffle(faces)
    feed, encoded = feed_of(faces, vae, cache, transform, crops)
    assert encoded[-1] == 2 * 2 * max(1, crops)  # only the two new pictures
    order, words = Order([1.0] * 5, 3, 4), Words(faces, None, 0, 3)
    draws = [draw(position, order, feed.cuts, words, 3, 0.0) for position in range(40)]
    assert {d.mirrored for d in draws} == {False, True}
    for one, found in zip(draws, feed.batch(draws, range(40)).moments, strict=True):
        color = one.text.partition(",")[0]
        picture = Image.open(folder / "images" / f"{color}.png")
        box = transform.box(picture.size, (32, 32), *one.at)
        pixels = np.asarray(picture.resize((32, 32), Image.Resampling.LANCZOS, box), np.float32) / 127.5 - 1
        pixels = torch.from_numpy(pixels).permute(2, 0, 1)
        with torch.no_grad():
            expected = moments(vae, (pixels.flip(-1) if one.mirrored else pixels)[None])[0]
        torch.testing.assert_close(found, expected, atol=4e-3, rtol=2e-3)
        assert one.text.endswith("right" if one.mirrored else "left")  # words are mirrored with the picture


def test_crops_that_come_once_are_not_cached(painted, tmp_path):
    faces = faces_in(painted(tmp_path, ["red", "green"]))
    assert not Cuts(faces, Transform("random"), 32, False, 0).repeatable
    cuts = Cuts(faces, Transform("random"), 32, False, 3)
    places = {cuts.place(0, np.random.default_rng(i).random(5)) for i in range(50)}
    assert places == set(cuts.every(0)) and len({at for at, _ in places}) == 3


def test_a_latent_is_drawn_afresh_at_every_position(painted, vae, tmp_path):
    feed, _ = feed_of(faces_in(painted(tmp_path / "f", ["red"])), vae, tmp_path / "cache", Transform())
    order, words = Order([1.0], 0, 2), Words(feed.cuts.faces, None, 0, 0)
    batch = feed.batch([draw(p, order, feed.cuts, words, 0, 0.0) for p in (0, 1)], (0, 1))
    latents = drawn(batch.moments, 4, batch.latent_noise)
    mean, log_variance = batch.moments.chunk(2, 1)
    assert torch.equal(drawn(batch.moments, 4, None), mean)
    assert not torch.equal(latents[0], latents[1]) and torch.equal(mean[0], mean[1])
    torch.testing.assert_close(
        (latents - mean) / torch.exp(0.5 * log_variance), batch.latent_noise, atol=1e-3, rtol=1e-3
    )


def test_own_text_then_instance_prompt_then_fresh_words(tmp_path):
    faces = [Face(tmp_path / "a.png", "a man turning left", ANN), Face(tmp_path / "b.png", "", ANN)]
    words = Words(faces, None, 0, 0)
    assert words.say(0, 5, False) == "a man turning left" and words.say(0, 5, True) == mirror("a man turning left")
    assert words.all(True) is None and len({words.say(1, n, False) for n in range(30)}) > 20
    few = Words(faces, None, 2, 0)
    assert {few.say(1, n, False) for n in range(30)} == set(few.all(False)) - {"a man turning left"}
    asked = Words(faces, "a photo of a person", 0, 0)
    assert asked.say(1, 7, False) == "a photo of a person" and len(asked.all(True)) == 3


def test_silent_pictures_without_a_prompt_are_refused(painted, tmp_path):
    painted(tmp_path, ["red"])
    (tmp_path / "metadata.jsonl").unlink()
    faces = faces_in(tmp_path)  # a folder of bare pictures
    assert len(faces) == 1 and Words(faces, "a photo of a person", 0, 0).say(0, 0, True) == "a photo of a person"
    with pytest.raises(UsageError, match="red.png has no caption: give --instance-prompt"):
        Words(faces, None, 0, 0)


def test_faces_are_chosen_by_attribute_and_split(few_faces):
    rows = [json.loads(line) for line in (few_faces / "labels.jsonl").read_text().splitlines()]
    chosen, held = load(few_faces, "train", ["gender=female", "age=20-39"], 0)
    wanted = {r["file_name"] for r in rows if r["gender"] == "female" and r["age"] in ("20-29", "30-39")}
    assert {f"images/{f.path.name}" for f in chosen} == wanted and wanted and not held
    train, held = load(few_faces, "train", [], 64, most=10)
    assert len(held) == 4 and len(train) == 10 and not {f.path for f in train} & {f.path for f in held}
    for where, said in (
        ("glases=none", "did you mean 'glasses'"),
        ("glasses=monocle", "no such value"),
        ("x", "write"),
    ):
        with pytest.raises(UsageError, match=said):
            load(few_faces, "train", [where], 0)
    with pytest.raises(UsageError, match="no pictures with age=100-110"):
        load(few_faces, "train", ["age=100-110"], 0)


def test_a_validation_split_is_held_out(painted, tmp_path):
    painted(tmp_path, ["red", "green", "blue"])
    rows = [json.loads(line) for line in (tmp_path / "metadata.jsonl").read_text().splitlines()]
    splits = ("train", "validation", "test")
    text = "".join(json.dumps(r | {"split": s}) + "\n" for r, s in zip(rows, splits, strict=True))
    (tmp_path / "metadata.jsonl").write_text(text)
    train, held = load(tmp_path, "train", [], 8)
    assert [f.path.stem for f in train] == ["red"] and [f.path.stem for f in held] == ["green"]


def test_folders_with_weights(tmp_path):
    (tmp_path / "odd:3").mkdir()
    found = members(f"a:2, b:1.5,c,{tmp_path / 'odd:3'}")
    assert [(str(p), w) for p, w in found] == [("a", 2), ("b", 1.5), ("c", 1), (str(tmp_path / "odd:3"), 1)]
    for wrong in ("", "a:0", "a:-1"):
        with pytest.raises(UsageError, match="--data"):
            members(wrong)


def test_a_weight_says_how_often_and_equal_weights_show_everything_once():
    assert sorted(Order([3.0] * 7, 0, 2).face(p) for p in range(7)) == list(range(7))
    counts = np.bincount([Order([2.0] * 5 + [1.0] * 5, 0, 2).face(p) for p in range(2000)], minlength=10)
    assert 1.7 < counts[:5].sum() / counts[5:].sum() < 2.3
    with pytest.raises(UsageError, match="buckets cannot go with weights"):
        Order([1.0, 2.0], 0, 2, [(8, 8), (8, 8)])


def test_a_batch_of_buckets_has_one_shape_and_an_epoch_shows_all():
    shapes = [(64, 64)] * 5 + [(128, 64)] * 3
    order = Order([1.0] * 8, 0, 2, shapes)
    batches = [[order.face(2 * n + i) for i in range(2)] for n in range(10)]
    assert all(len({shapes[f] for f in batch}) == 1 for batch in batches)
    for epoch in (batches[:5], batches[5:]):
        assert {f for batch in epoch for f in batch} == set(range(8))
    assert Order([1.0] * 8, 0, 2, shapes).face(13) == batches[6][1]  # asked for at once


def test_sizes_are_those_that_sdxl_is_told(painted, tmp_path):
    cuts = Cuts(faces_in(painted(tmp_path, ["red"], (96, 64))), Transform("random"), 32, False, 0)
    assert cuts.framing(0, (0.5, 0.5), False) == ((64, 96), (0, 8))  # 48 wide after resizing, cut in the middle
    assert cuts.framing(0, (0.0, 0.0), False)[1] == (0, 0)
    assert cuts.framing(0, (0.0, 0.0), True)[1] == (0, 16)  # mirrored: counted from the other side
