"""Guidance in a part of the way: by the paper's rule, as diffusers' own cutoff does it, and the same in every room."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.callbacks import SDCFGCutoffCallback, SDXLCFGCutoffCallback
from PIL import Image

from likeness.cli.main import main
from likeness.errors import UsageError
from likeness.generate import blends, faces, mix, schedulers
from likeness.generate.generator import FaceGenerator
from likeness.generate.guidance import Guidance, guided, read_interval
from likeness.generate.mixture import Scene
from likeness.models import ddpm, dino
from likeness.provenance import read
from likeness.records import ImageRequest

STEPS = 4
STOCK = {
    "sd15": (StableDiffusionPipeline, SDCFGCutoffCallback),
    "sd21": (StableDiffusionPipeline, SDCFGCutoffCallback),
    "sdxl": (StableDiffusionXLPipeline, SDXLCFGCutoffCallback),
}
NEVER = (0.9995, 0.9999)  # nothing is asked between


@pytest.fixture(scope="module")
def generators(tiny):
    made = {}

    def of(family):
        return made.setdefault(family, FaceGenerator(tiny(family), device="cpu"))

    return of


def request(generator, **changes):
    settings = {"steps": STEPS, "guidance": 20.0, "seed": 3, "model": generator.spec.name, "scheduler": "ddim"}
    return ImageRequest("a man with a beard", **(settings | changes))


def pixels(sample):
    return np.asarray(getattr(sample, "image", sample)).astype(int)


def apart(one, other):
    return np.abs(pixels(one) - pixels(other)).max()


def test_the_scale_holds_inside_of_the_interval_and_is_one_outside():
    led = Guidance(5.0, (0.2, 0.6))
    assert [led.at(t) for t in (999, 801, 800, 600, 400, 399, 0)] == [1, 1, 5, 5, 5, 1, 1]
    assert led.at(torch.tensor([600, 600])) == 5
    assert [round(scale, 6) for scale in led.scales([900, 700, 500, 300, 100])] == [1, 5, 5, 1, 1]
    assert [scale > 1 for scale in led.scales([900, 700, 500, 300, 100])] == [True, True, True, False, False]
    assert Guidance(5.0).scales([999, 1, 0]) == [5, 5, 5]


@pytest.mark.parametrize("text", ["0.6", "0,1.2", "0.6,0.6", "0.7,0.2", "-0.1,1", "a,b", "0,nan", "0,0.5,1"])
def test_what_is_no_interval_is_told(text):
    with pytest.raises(UsageError, match="interval"):
        read_interval(text)


@pytest.mark.parametrize("family", STOCK)
def test_guidance_that_stops_is_diffusers_own_cutoff(generators, tiny, family):
    """`*CFGCutoffCallback` counts steps: the last one that it leaves guided is the last of our interval."""
    generator, (pipeline, cutoff) = generators(family), STOCK[family]
    stock = pipeline.from_pretrained(tiny(family), safety_checker=None)
    stock.set_progress_bar_config(disable=True)
    stock.scheduler = schedulers.make("ddim", stock.scheduler.config)
    times = schedulers.times(stock.scheduler, STEPS)
    last = 0
    noise = torch.Generator().manual_seed(3)
    theirs = stock(
        "a man with a beard", num_inference_steps=STEPS, guidance_scale=90.0, generator=noise,
        callback_on_step_end=cutoff(cutoff_step_ratio=None, cutoff_step_index=last),
    ).images[0]  # fmt: skip
    asked = request(generator, guidance=90.0, guidance_interval=(0.0, 1 - times[last] / 1000))
    (ours,) = generator.generate(asked)
    assert apart(ours, theirs) <= 1
    assert apart(ours, generator.generate(replace(asked, guidance_interval=None))[0]) > 1


@pytest.mark.parametrize(("family", "scheduler"), [("sd15", "heun"), ("sd21", "euler"), ("sdxl", "dpm++2m")])
def test_one_picture_alone_in_a_batch_and_as_a_mixture_of_one(generators, family, scheduler):
    """A pipeline is led step by step, a mixture's network time by time: that both agree is no matter of course."""
    generator = generators(family)
    asked = request(generator, scheduler=scheduler, guidance_interval=(0.3, 0.7))
    first, second = generator.stream([asked, replace(asked, seed=4)])
    assert max(apart(first, generator.generate(asked)[0]), apart(second, generator.redraw(replace(asked, seed=4)))) <= 2
    studio = blends.open_model(asked, [asked.prompt], "cpu")
    for method in ("blend", "compose"):
        (mixed,) = studio.draw(studio.request, [Scene(((asked.prompt, 1.0),), 3)], method)
        assert apart(mixed, first) <= 2
    assert apart(first, generator.generate(replace(asked, guidance_interval=None))[0]) > 2


@pytest.mark.parametrize("family", STOCK)
def test_the_ends_are_guidance_everywhere_and_nowhere(generators, family, tmp_path):
    generator = generators(family)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "start.png")
    for start in ({}, {"image": str(tmp_path / "start.png"), "strength": 0.7}):
        asked = request(generator, **start)
        found = {i: generator.generate(replace(asked, guidance_interval=i))[0] for i in (None, (0.0, 1.0), NEVER)}
        assert apart(found[None], found[0.0, 1.0]) == 0
        assert apart(found[NEVER], generator.generate(replace(asked, guidance=1.0))[0]) <= 1
        assert apart(found[NEVER], found[None]) > 1


def test_groups_and_faces_are_led_the_same_way():
    torch.manual_seed(0)
    unet = ddpm.build(ddpm.Shape(16, (16, 32), 1, (8,), 8), ("a", "b"))
    torch.nn.init.normal_(unet.class_embedding.weight, std=3)
    model = ddpm.GroupModel(unet, ddpm.noise_schedule(), ("a", "b"))
    for method in ("blend", "compose"):

        def drawn(method=method, **changes):
            return mix.draw(model, [{"a": 1.0}], [3], 4, **({"guidance": 4.0, "method": method} | changes))

        assert torch.equal(drawn(interval=(0.0, 1.0)), drawn())
        assert torch.allclose(drawn(interval=NEVER), drawn(guidance=1.0), atol=1e-5)
        part = drawn(interval=(0.0, 0.5))
        assert min((part - drawn(interval=i)).abs().mean() for i in (NEVER, (0.0, 1.0))) > 1e-4
    shape = dino.Shape(size=16, channels=(16, 32), layers_per_block=1, attention=(8,), width=16, head=8)
    face = dino.FaceModel(
        dino.build(shape, 12), dino.noise_schedule("linear", "epsilon", False), None,
        dino.About("eye", "1", "-", 16, [0.0] * 12, [1.0] * 12),
    )  # fmt: skip
    embeddings = torch.randn(1, 12)

    def variation(**changes):
        return faces.draw(face, embeddings, [3], 4, **({"guidance": 4.0} | changes))

    assert torch.equal(variation(interval=(0.0, 1.0)), variation())
    assert torch.allclose(variation(interval=NEVER), variation(guidance=1.0), atol=1e-5)


def test_guidance_is_the_formula():
    said, unsaid = torch.randn(2, 1, 3, 4, 4)
    assert torch.allclose(guided(said, unsaid, 3.0), 3 * said - 2 * unsaid, atol=1e-5)


def test_the_recipe_draws_it_again(generators, tmp_path, capsys):
    model, first, again = str(generators("sd15").spec.name), tmp_path / "a.png", tmp_path / "b.png"
    words = ["generate", "a man", "--model", model, "--steps", "4", "--guidance-interval", "0,0.5", "--seed", "1"]
    assert main([*words, "--output", str(first)]) == 0
    assert read(first)["request"]["guidance_interval"] == [0.0, 0.5]
    assert main(["generate", "--like", str(first), "--output", str(again)]) == 0
    assert apart(Image.open(first), Image.open(again)) == 0
    assert main(["generate", "--like", str(first), "--guidance-interval", "0,1", "--output", str(again)]) == 0
    assert read(again)["request"]["guidance_interval"] == [0.0, 1.0]
    assert main([*words[:-4], "--guidance-interval", "0.5", "--output", str(again)]) == 2
    assert "write 0,0.6" in capsys.readouterr().err
