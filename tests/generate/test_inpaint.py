"""Drawing anew inside of a mask: as diffusers does it, and nothing outside of it."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image

from likeness.cli.main import main
from likeness.errors import UsageError
from likeness.generate import inpaint, schedulers
from likeness.generate.folder import save
from likeness.generate.generator import FaceGenerator
from likeness.generate.resolve import resolve
from likeness.models.registry import find
from likeness.provenance import Marks, read
from likeness.provenance.watermark import detect
from likeness.records import ImageRequest, Sample


def pixels(picture):
    return np.asarray(getattr(picture, "image", picture)).astype(int)


@pytest.fixture
def painted(tmp_path):
    """A start picture of 64 px and a mask over its middle, as paths."""
    ramp = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 24:40] = 255
    Image.fromarray(ramp).save(tmp_path / "start.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return str(tmp_path / "start.png"), str(tmp_path / "mask.png")


@pytest.mark.parametrize("scheduler", ["ddim", "dpm++2m", "euler"])
def test_stock_diffusers_draws_the_same_inside(tiny, painted, scheduler):
    """The mask lies on the latents' cells of 8 px, where diffusers' rounding of masks and ours agree."""
    image, mask = painted
    generator = FaceGenerator(tiny("sd15"), device="cpu")
    asked = ImageRequest(
        "a man", image=image, mask=mask, strength=0.7, steps=5, seed=3, scheduler=scheduler, model=generator.spec.name
    )
    (ours,) = generator.generate(asked)
    stock = StableDiffusionInpaintPipeline.from_pretrained(tiny("sd15"), safety_checker=None)
    stock.scheduler = schedulers.make(scheduler, stock.scheduler.config)
    stock.set_progress_bar_config(disable=True)
    theirs = stock(
        "a man", image=Image.open(image), mask_image=Image.open(mask), strength=0.7, num_inference_steps=5, height=64,
        width=64, guidance_scale=7.5, generator=torch.Generator("cpu").manual_seed(3),
    ).images[0]  # fmt: skip
    inside = np.asarray(Image.open(mask)) > 0
    whole = np.asarray(inpaint.soft(Image.open(mask))) == 255  # theirs has a hard edge
    assert np.abs(pixels(ours) - pixels(theirs))[whole].max() <= 1
    assert np.array_equal(pixels(ours)[~inside], pixels(Image.open(image))[~inside])
    assert np.abs(pixels(ours) - pixels(Image.open(image)))[inside].mean() > 5


@pytest.mark.parametrize("family", ["sdxl", "mini"])
def test_the_other_families_keep_what_is_outside_too(tiny, painted, family):
    """The embedded model's network has 8 channels, which diffusers' own inpainting pipeline does not take."""
    image, mask = painted
    generator = FaceGenerator("mini" if family == "mini" else tiny(family), device="cpu")
    asked = dict(image=image, mask=mask, steps=3, seed=1, strength=1.0, width=64, height=64, model=generator.spec.name)
    both = generator.generate(ImageRequest("a man with glasses", count=2, **asked))
    inside = np.asarray(Image.open(mask)) > 0
    for one in both:
        assert np.array_equal(pixels(one)[~inside], pixels(Image.open(image))[~inside])
    assert np.abs(pixels(both[0]) - pixels(both[1]))[inside].mean() > 1  # each by its own seed
    (alone,) = generator.generate(ImageRequest("a man with glasses", **(asked | {"seed": 2})))
    assert np.abs(pixels(alone) - pixels(both[1])).max() <= 2


def test_a_mask_is_cut_as_its_picture_is(tiny, tmp_path):
    """A thin stroke on a large photo still changes the picture, at its own place."""
    photo = Image.new("RGB", (400, 200), "gray")
    mask = Image.new("L", (400, 200))
    mask.paste(255, (198, 0, 203, 200))
    photo.save(tmp_path / "photo.png")
    mask.save(tmp_path / "mask.png")
    generator = FaceGenerator(tiny("sd15"), device="cpu")
    asked = ImageRequest("a man", image=str(tmp_path / "photo.png"), mask=str(tmp_path / "mask.png"), steps=4, seed=1)
    (drawn,) = generator.generate(asked)
    changed = np.flatnonzero((pixels(drawn) != 128).any((0, 2)))
    assert len(changed) and set(changed) <= {31, 32, 33}


def test_the_edge_is_soft_inwards_and_thin_strokes_are_full():
    mask = np.zeros((128, 128), np.uint8)
    mask[32:96, 64:] = 255  # reaches the picture's right edge, where nothing is kept
    ramp = np.asarray(inpaint.soft(Image.fromarray(mask))).astype(int)
    assert (ramp[mask == 0] == 0).all() and (ramp[40:88, 72:] == 255).all()
    assert ramp[64, 64] == 32 and (np.diff(ramp[64, 64:72]) > 0).all()  # an eighth at once, no more: 8 px to the middle
    stroke = np.zeros((128, 128), np.uint8)
    stroke[:, 60:62] = 255
    assert np.array_equal(np.asarray(inpaint.soft(Image.fromarray(stroke))), stroke)


def test_one_watermark_is_not_laid_on_another(faces):
    """Each change starts from a marked picture; in what is kept the pattern would grow each time, until it shows."""
    face, other, *_ = (Image.open(path).convert("RGB") for path in sorted((faces / "images").iterdir()))
    asked = ImageRequest("a man", image="start.png", mask="mask.png", seed=1)
    mask = Image.new("L", face.size)
    mask.paste(255, (0, 64, 128, 128))
    mask.save("mask.png")
    start = save("start.png", Sample(face, ImageRequest("a man", seed=1), 1, 0.0, "f" * 64), Marks())
    for seed in range(2, 6):
        drawn = inpaint.paste(other, Image.open(start), mask)
        drawn.info = {}
        start = save("start.png", Sample(drawn, asked, seed, 0.0, "f" * 64), Marks())
        assert detect(Image.open(start), search=False).payload.hex() == read(start)["watermark"]
    error = (pixels(Image.open(start)) - pixels(face))[:64]
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 40  # one mark alone: 42


def test_wrong_masks_are_one_line(painted, tmp_path):
    image, mask = painted
    Image.new("L", (64, 64)).save(tmp_path / "black.png")
    Image.new("L", (32, 64), 255).save(tmp_path / "small.png")
    for changes, says in (
        ({"mask": mask}, "give --image"), ({"image": image, "mask": "nowhere.png"}, "no mask nowhere.png"),
        ({"image": image, "mask": str(tmp_path / "black.png")}, "black all over"),
        ({"image": image, "mask": str(tmp_path / "small.png")}, "32x64, the start image 64x64"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            resolve(ImageRequest("a man", **changes), find("mini"))


def test_the_command_line_masks_and_draws_it_again(tiny, painted, tmp_path):
    image, mask = painted
    common = ["--device", "cpu", "-o"]
    asked = ["generate", "a man", "--model", str(tiny("sd15")), "--steps", "3", "--seed", "1"]
    assert main([*asked, "--image", image, "--mask", mask, *common, "one.png"]) == 0
    assert main(["generate", "--like", "one.png", *common, "two.png"]) == 0
    one, two = Image.open("one.png"), Image.open("two.png")
    assert np.array_equal(pixels(one), pixels(two))
    assert read("one.png")["request"]["mask"] == mask
    assert main([*asked, "--mask", mask, *common, "three.png"]) == 2
