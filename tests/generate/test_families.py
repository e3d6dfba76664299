"""SD 1.5, SD 2.1 and SDXL in a few thousand parameters: the same roads as the large ones, against stock diffusers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForImage2Image, AutoPipelineForText2Image

from likeness.errors import UsageError
from likeness.generate.generator import FaceGenerator
from likeness.provenance import recipe_of, request_of
from likeness.records import ImageRequest


@pytest.mark.parametrize("family", ["sd15", "sd21", "sdxl"])
def test_each_family_draws_what_stock_diffusers_draws(family, tiny, tmp_path):
    where = tiny(family)
    generator = FaceGenerator(where, device="cpu")
    assert generator.spec.family == family and generator.spec.knows is None
    request = ImageRequest("a man with blue eyes", seed=3, steps=4)
    (ours,) = generator.generate(request)
    assert ours.notes == () and ours.request.guidance == 7.5
    settings = {"num_inference_steps": 4, "guidance_scale": 7.5}
    stock = AutoPipelineForText2Image.from_pretrained(where)
    theirs = stock(request.prompt, generator=torch.Generator("cpu").manual_seed(3), **settings).images[0]
    assert np.array_equal(np.asarray(ours.image), np.asarray(theirs)) and ours.image.size == (64, 64)

    theirs.save(tmp_path / "start.png")
    start = {"image": str(tmp_path / "start.png"), "strength": 0.5}
    (ours,) = generator.generate(ImageRequest("a man", "hat", seed=3, steps=4, **start))
    stock, noise = AutoPipelineForImage2Image.from_pipe(stock), torch.Generator("cpu").manual_seed(3)
    theirs = stock("a man", image=theirs, strength=0.5, negative_prompt="hat", generator=noise, **settings).images[0]
    assert np.array_equal(np.asarray(ours.image), np.asarray(theirs))


def test_sdxl_is_told_the_original_size(tiny):
    generator = FaceGenerator(tiny("sdxl"), device="cpu")
    request = ImageRequest("a man", seed=3, steps=2, original_size=(1024, 512))
    ours, plain = (generator.generate(one)[0] for one in (request, replace(request, original_size=None)))
    stock = AutoPipelineForText2Image.from_pretrained(tiny("sdxl"))
    noise = torch.Generator("cpu").manual_seed(3)
    theirs = stock("a man", generator=noise, num_inference_steps=2, guidance_scale=7.5, original_size=(512, 1024))
    assert np.array_equal(np.asarray(ours.image), np.asarray(theirs.images[0]))
    assert not np.array_equal(np.asarray(ours.image), np.asarray(plain.image))
    recipe = json.loads(json.dumps(recipe_of(ours.request, 3, "")))
    assert request_of(recipe) == ours.request
    with pytest.raises(UsageError, match="SDXL models can"):
        FaceGenerator("mini").generate(request)


def test_a_start_picture_leaves_half_precision_weights_as_they_are(tiny):
    generator = FaceGenerator(tiny("sdxl"), device="cpu")
    generator.pipeline.unet.to(torch.bfloat16)
    other = generator.family.image_to_image(generator.pipeline)
    assert other.unet is generator.pipeline.unet and other.unet.dtype == torch.bfloat16
