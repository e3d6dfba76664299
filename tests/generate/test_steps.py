"""Leaving a running batch, and previews: every solver, on tiny pipelines of every family."""

import io
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.generate.generator import FaceGenerator
from likeness.generate.resolve import resolve
from likeness.generate.schedulers import SCHEDULERS
from likeness.records import ImageRequest

STEPS = 6


@dataclass
class Waiting:
    """Leaves behind step `until`, and keeps what it is shown."""

    generator: FaceGenerator
    until: int = 1000
    every: int = 0
    seen: list[int] = field(default_factory=list)
    shown: list[bytes] = field(default_factory=list)

    def left(self):
        return bool(self.seen) and self.seen[-1] >= self.until

    def step(self, done, steps):
        assert steps == STEPS
        self.seen.append(done)

    def preview(self, done, latents):
        self.shown.append(self.generator.preview(latents, (64, 64)))


@pytest.fixture(scope="module")
def generators(tiny):
    made = {family: FaceGenerator(tiny(family), device="cpu") for family in ("sd15", "sd21", "sdxl")}
    return made


def requests(generator, count=3, **changes):
    asked = ImageRequest("a man", **({"steps": STEPS, "guidance": 5.0, "seed": 1} | changes), model=generator.spec.name)
    one = resolve(asked, generator.spec)
    return [replace(one, seed=seed, prompt=f"{one.prompt} number {seed}") for seed in range(count)]


def pixels(sample):
    return np.asarray(sample.image).astype(int)


def apart(one, other):
    return np.abs(pixels(one) - pixels(other)).max()


@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
def test_who_leaves_a_batch_changes_nobody_else(generators, scheduler):
    """The solver's memory of earlier steps is cut too: with another row's memory the picture would be another."""
    generator = generators["sd15"]
    asked = requests(generator, scheduler=scheduler)
    other, alone = (generator.draw([one], [Waiting(generator)])[0] for one in asked[:2])
    places = [Waiting(generator, until=2), Waiting(generator), Waiting(generator, until=4)]
    first, second, third = generator.draw(asked, places)
    assert first is None and third is None
    assert apart(second, alone) <= 2 < apart(other, alone)
    assert [place.seen[-1] for place in places] == [2, STEPS, 4]


@pytest.mark.parametrize("family", ["sd21", "sdxl"])
def test_in_other_families_too_and_from_a_start_picture(generators, family, tmp_path):
    generator = generators[family]
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "start.png")
    for changes in ({}, {"image": str(tmp_path / "start.png"), "strength": 1.0}):
        asked = requests(generator, scheduler="dpm++2m", **changes)
        (alone,) = generator.draw(asked[2:], [Waiting(generator)])
        first, second, third = generator.draw(asked, [Waiting(generator, until=n) for n in (1, 3, 1000)])
        assert first is None and second is None and apart(third, alone) <= 2


def test_a_batch_that_all_leave_ends_at_that_step(generators):
    generator = generators["sd15"]
    asked, places = requests(generator), [Waiting(generator, until=n) for n in (1, 2, 2)]
    assert generator.draw(asked, places) == [None] * 3
    assert [place.seen for place in places] == [[1], [1, 2], [1, 2]]
    assert generator.draw(asked[:1], [Waiting(generator)])[0] is not None  # and the generator draws on


def test_drawing_with_places_is_drawing(generators):
    generator = generators["sd15"]
    (asked,) = requests(generator, 1)
    with_places = generator.draw([asked], [Waiting(generator, every=2)])[0]
    assert apart(with_places, generator.generate(asked)[0]) == 0
    long = replace(asked, prompt="a man with a hat " * 30)
    found = generator.draw([asked, long, asked], [Waiting(generator) for _ in range(3)])
    assert found[1].image.info["likeness"]["batch"] == [0, 1]  # a prompt of other length is not padded to
    assert max(apart(found[0], with_places), apart(found[2], with_places)) <= 2


@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
def test_the_last_guess_is_the_picture(generators, scheduler):
    """Behind the last step but one little noise is left, so the guess must lie near the end for each solver's way of
    counting noise; a wrong formula gives something else altogether."""
    generator = generators["sd21"]
    asked = requests(generator, 1, scheduler=scheduler, steps=STEPS)
    found = {}

    class Looking(Waiting):
        def preview(self, done, latents):
            found[done] = latents

    finished = []
    plain, generator.finish = generator.finish, lambda latents: finished.append(latents) or plain(latents)
    try:
        generator.draw(asked, [Looking(generator, every=1)])
    finally:
        del generator.finish
    end = finished[0]
    assert sorted(found) == list(range(1, STEPS))

    def likeness(a, b):
        return torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)

    assert likeness(found[STEPS - 1], end) > 0.9, likeness(found[STEPS - 1], end)


def test_previews_are_small_pictures(generators):
    for family in ("sd15", "sdxl"):
        generator = generators[family]
        place, quiet = Waiting(generator, every=2), Waiting(generator)
        generator.draw(requests(generator, 2), [place, quiet])
        assert len(place.shown) == 2 and not quiet.shown
        with Image.open(io.BytesIO(place.shown[-1])) as opened:
            assert opened.format == "JPEG" and opened.size == (64, 64) and np.asarray(opened).std() > 1


def test_the_embedded_model_shows_what_will_come():
    """Half-way, the guess is nearer to the final face than to another one."""
    generator = FaceGenerator(device="cpu")
    said = ("a bald man", "a woman")
    asked = [resolve(ImageRequest(text, steps=STEPS, seed=at), generator.spec) for at, text in enumerate(said)]
    places = [Waiting(generator, every=3) for _ in asked]
    drawn = generator.draw(asked, places)
    for place, own, other in zip(places, drawn, reversed(drawn), strict=True):
        shown = np.asarray(Image.open(io.BytesIO(place.shown[0])).resize((128, 128))).astype(int)
        assert np.abs(shown - pixels(own)).mean() < 0.5 * np.abs(shown - pixels(other)).mean()
