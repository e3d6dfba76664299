"""The embedded model through the real pipeline, in few steps: what holds for 3 holds for 30."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

from likeness.errors import EngineError, UsageError
from likeness.generate.generator import FaceGenerator
from likeness.models.family import FAMILIES
from likeness.models.registry import ASSETS
from likeness.records import ImageRequest

PROMPT = "A smiling woman in her thirties with long black hair"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tests share the cores with others: threads that wait for each other are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def generator():
    return FaceGenerator(device="cpu")


@pytest.fixture(scope="module")
def small(tiny):
    """Random weights, for what is the same whatever is drawn."""
    return FaceGenerator(tiny("sd15"), device="cpu")


@pytest.fixture(scope="module")
def stock():
    pipeline = StableDiffusionPipeline.from_pretrained(ASSETS / "mini")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def pixels(sample):
    return np.asarray(getattr(sample, "image", sample)).astype(int)


def request(**changes):
    return ImageRequest(**({"prompt": PROMPT, "seed": 7, "steps": 3} | changes))


def test_stock_diffusers_draws_the_same_picture(generator, stock):
    (ours,) = generator.generate(request(negative_prompt="glasses"))
    theirs = stock(
        PROMPT,
        negative_prompt="glasses",
        num_inference_steps=3,
        guidance_scale=FAMILIES["mini"].guidance,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]
    assert np.array_equal(pixels(ours), pixels(theirs))
    assert pixels(ours).std() > 10  # a picture, not a plain


def test_stock_image_to_image_too(generator, stock, tmp_path):
    (start,) = generator.generate(request(steps=2))
    start.image.save(tmp_path / "start.png")
    (ours,) = generator.generate(request(image=str(tmp_path / "start.png"), strength=0.7, steps=4))
    theirs = StableDiffusionImg2ImgPipeline(**stock.components, requires_safety_checker=False)(
        PROMPT, image=start.image, strength=0.7, num_inference_steps=4, guidance_scale=FAMILIES["mini"].guidance,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]  # fmt: skip
    assert np.array_equal(pixels(ours), pixels(theirs))


def test_less_strength_stays_nearer_to_the_start(small, tmp_path):
    (start,) = small.generate(request(seed=1, steps=4))
    start.image.save(tmp_path / "start.png")
    far, near = (
        np.abs(
            pixels(small.generate(request(image=str(tmp_path / "start.png"), strength=s, steps=4))[0]) - pixels(start)
        ).mean()
        for s in (1.0, 0.3)
    )
    assert near < far


def test_a_seed_draws_the_same_alone_and_in_any_batch(small):
    batch = small.generate(request(seed=5, count=3))
    assert [sample.seed for sample in batch] == [5, 6, 7]
    once, again = (small.generate(request())[0] for _ in range(2))
    assert np.array_equal(pixels(once), pixels(again))
    assert np.abs(pixels(once) - pixels(batch[2])).max() <= 2
    assert np.abs(pixels(batch[0]) - pixels(batch[1])).mean() > 1  # other seeds, other faces


def test_a_picture_of_a_batch_is_redrawn_to_the_bit(small):
    batch = small.generate(request(seed=5, count=3))
    row, size = batch[2].image.info["likeness"]["batch"]
    assert (row, size) == (2, 3)
    assert np.array_equal(pixels(small.redraw(request(), row, size)), pixels(batch[2]))


def test_requests_of_unlike_shape_come_in_order_and_progress_reaches_its_end(small):
    told = []
    asked = [
        request(seed=1),
        request(seed=2, prompt="a man with a beard"),
        request(seed=3, width=32, height=96, steps=2),
    ]
    samples = list(small.stream(asked, lambda done, total: told.append((done, total))))
    assert [sample.seed for sample in samples] == [1, 2, 3]
    assert [sample.image.size for sample in samples] == [(64, 64), (64, 64), (32, 96)]
    assert samples[0].image.info["likeness"]["batch"] == [0, 2]
    assert told[-1] == (8, 8) and told == sorted(told)
    one_by_one = small.generate(asked[1])[0]
    assert np.abs(pixels(one_by_one) - pixels(samples[1])).max() <= 2


def test_batches_are_bounded(tiny):
    generator = FaceGenerator(tiny("sd15"), device="cpu", batch_size=2)
    samples = generator.generate(request(count=3, steps=2))
    assert [s.image.info["likeness"]["batch"] for s in samples] == [[0, 2], [1, 2], [0, 1]]


@pytest.mark.parametrize("scheduler", ["ddim", "euler-a", "heun", "pndm", "dpm++2m-karras"])
def test_other_schedulers_draw_and_repeat(small, scheduler):
    told = []
    one, two = (small.generate(request(scheduler=scheduler, steps=2), lambda *at: told.append(at))[0] for _ in range(2))
    assert np.array_equal(pixels(one), pixels(two)) and pixels(one).std() > 5
    assert told[-1] == (2, 2)
    batch = small.generate(request(scheduler=scheduler, steps=2, seed=6, count=2))
    assert np.abs(pixels(batch[1]) - pixels(one)).max() <= 2  # noise added on the way is each picture's own


def test_words_matter_and_so_does_the_negative_prompt(generator):
    plain, other, without = (
        pixels(generator.generate(request(steps=2, **changes))[0])
        for changes in ({}, {"prompt": "An old man with a gray beard"}, {"negative_prompt": "long hair"})
    )
    assert np.abs(plain - other).mean() > 1 and np.abs(plain - without).mean() > 0.1


def test_the_sample_says_what_was_used(generator):
    (sample,) = generator.generate(ImageRequest(PROMPT, steps=2))
    resolved = sample.request
    assert resolved.seed == sample.seed and resolved.width == 128 and resolved.scheduler == "dpm++2m"
    assert resolved.guidance == FAMILIES["mini"].guidance and len(sample.fingerprint) == 64 and sample.seconds > 0


def test_notes_say_what_mini_does_not_know_behind_the_marks_of_emphasis(generator):
    for prompt in ("A man with blue eyes", "A man with (blue:1.2) eyes++"):
        (sample,) = generator.generate(request(prompt=prompt, steps=1))
        assert sample.notes == ("mini does not know: blue eyes",)


def test_a_long_prompt_is_read_to_its_end_and_leaves_short_ones_alone(generator):
    long = "A woman with long black hair. " * 11
    (hat,) = generator.generate(request(prompt=long + "She wears a hat.", steps=2))
    (glasses,) = generator.generate(request(prompt=long + "She wears glasses.", steps=2))
    assert hat.notes == () and np.abs(pixels(hat) - pixels(glasses)).max() > 2
    alone = generator.generate(request(steps=2))[0]
    short, _ = generator.stream(
        [request(steps=2), request(prompt=long, steps=2)]
    )  # of other lengths, so in batches of their own
    assert np.array_equal(pixels(short), pixels(alone))
    (padded,) = generator.generate(
        request(negative_prompt=long, steps=2)
    )  # the prompt is padded to the negative prompt
    assert np.abs(pixels(padded) - pixels(alone)).max() > 2


def test_weights_of_one_change_nothing_and_others_do(generator):
    plain, one, more, none = (
        pixels(generator.generate(request(prompt=f"a man with {hat}", steps=2))[0])
        for hat in ("glasses", "(glasses:1.0)", "(glasses:1.4)", "(glasses:0)")
    )
    assert np.array_equal(plain, one)
    assert np.abs(plain - more).max() > 2 and np.abs(plain - none).max() > 2


@pytest.mark.slow
def test_weights_turn_a_trait_up_and_down(generator):
    """A judge that had no part in the training sees glasses come and go. Words' own states alone do not do that."""
    from likeness.models.judge import HEADS, Judge

    def share(text):
        drawn = generator.generate(request(prompt=f"A man with short brown hair and {text}", seed=1, steps=8, count=8))
        faces = torch.from_numpy(np.stack([pixels(s) for s in drawn])).permute(0, 3, 1, 2).float() / 127.5 - 1
        return 1 - Judge.load().predict(faces)["glasses"][:, HEADS["glasses"].index("none")].mean().item()

    none, half, whole, more = (share(f"(glasses:{w})") for w in (0, 0.5, 1, 1.5))
    assert none < 0.4 < 0.8 < whole and none < half < whole <= more + 0.05
    filler = "His face is oval and he looks straight ahead. " * 8
    assert share(f"a beard. {filler} He wears glasses.") > none  # behind the first 75 tokens


def test_a_generator_holds_one_model(generator):
    with pytest.raises(UsageError, match="holds mini"):
        generator.generate(request(model="sd15"))


def test_all_requests_are_checked_before_the_first_is_drawn(generator):
    with pytest.raises(UsageError, match="multiple of 8"):
        generator.stream([request(), request(width=100)])


def test_not_a_number_and_black_are_errors(tiny):
    generator = FaceGenerator(tiny("sd15"), device="cpu")
    state = generator.pipeline.vae.decoder.state_dict()
    last = list(state)[-1]
    for value, says in ((float("nan"), "not-a-number"), (-1e4, "black")):
        with torch.no_grad():
            state[last].fill_(value)
        with pytest.raises(EngineError, match=says):
            generator.generate(request(steps=1))


def test_out_of_memory_gives_advice(generator, monkeypatch):
    def full(*args, **settings):
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9e12 bytes"
        )

    monkeypatch.setattr(generator.pipeline.unet, "forward", full)
    with pytest.raises(EngineError, match="smaller --size"):
        generator.generate(request())


@pytest.mark.parametrize("option", [pytest.param("slicing", marks=pytest.mark.slow), "tiling"])
def test_slicing_and_tiling_change_nothing_visible(generator, option):
    saving = FaceGenerator(device="cpu", memory=[option])
    ours, plain = (one.generate(request(count=2, steps=1)) for one in (saving, generator))
    switch = {"slicing": "use_slicing", "tiling": "use_tiling"}[option]
    assert getattr(saving.pipeline.vae, switch) and not getattr(generator.pipeline.vae, switch)
    assert all(np.abs(pixels(a) - pixels(b)).max() <= 2 for a, b in zip(ours, plain, strict=True))


def test_memory_options_that_cannot_be_had_are_one_line():
    for options, says in (
        (["slise"], "unknown memory option"), (["offload"], "needs a CUDA device"), (["quantized"], "needs a CUDA"),
        (["xformers"], "needs a CUDA device"), (["sequential-offload"], "needs a CUDA device"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            FaceGenerator(device="cpu", memory=options)


def test_mixed_precision_draws_nearly_the_same(generator):
    half = FaceGenerator(device="cpu", precision="bf16").generate(request(steps=2))[0]
    assert np.abs(pixels(half) - pixels(generator.generate(request(steps=2))[0])).mean() < 8
    assert half.image.info["likeness"]["precision"] == "bf16"
