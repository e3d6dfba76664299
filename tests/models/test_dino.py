"""Models that draw from an embedding, and the encoders that give it: held to the libraries that they are made of."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from likeness.errors import ConfigError, ModelNotFound, UsageError
from likeness.generate import schedulers
from likeness.generate.faces import draw
from likeness.models import dino, encoders, eye
from likenesses import CPU, build, saved


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("dino") / "model")


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    """A DINOv2 of two layers in a folder as the hub has it."""
    from transformers import Dinov2Config, Dinov2Model

    place = tmp_path_factory.mktemp("dinov2")
    torch.manual_seed(0)
    Dinov2Model(
        Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14)
    ).save_pretrained(place)
    said = {"crop_size": {"height": 28, "width": 28}, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.25]}
    (place / "preprocessor_config.json").write_text(json.dumps(said))
    return place


def test_the_folder_draws_with_stock_parts_alone(folder):
    """What docs/from_face.md shows: diffusers, ten lines, the same picture as ours."""
    from diffusers import AutoencoderTiny, DDIMScheduler, UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet")
    vae = AutoencoderTiny.from_pretrained(folder, subfolder="vae")
    scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler", clip_sample=False)
    about = json.loads((folder / "dino.json").read_text())
    embedding = torch.randn(1, len(about["mean"]), generator=torch.Generator().manual_seed(1))
    both = torch.cat([embedding, torch.zeros_like(embedding)])
    x = torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(7))
    scheduler.set_timesteps(4)
    with torch.no_grad():
        for t in scheduler.timesteps:
            found = unet(torch.cat([x, x]), t, None, added_cond_kwargs={"image_embeds": both}).sample
            x = scheduler.step(found[1:] + 3 * (found[:1] - found[1:]), t, x).prev_sample
        pixels = vae.decode(x / vae.config.scaling_factor).sample
    ours = draw(dino.load(folder), embedding, [7], steps=4, guidance=3.0, scheduler="ddim")
    assert unet.dtype == vae.dtype == torch.float32 and pixels.shape == (1, 3, 32, 32)
    torch.testing.assert_close(ours, pixels, atol=1e-4, rtol=1e-4)


def test_weights_are_stored_in_half_and_tell_no_folder_of_this_machine(folder):
    stored = [load_file(f) for f in folder.rglob("*.safetensors")]
    assert len(stored) == 2 and {t.dtype for tensors in stored for t in tensors.values()} == {torch.float16}
    configs = [f.read_text() for f in folder.rglob("*.json")]
    assert len(configs) == 4 and not any("_name_or_path" in text for text in configs)


def test_a_run_folder_is_read_by_its_final_model(folder, tmp_path):
    (tmp_path / "final_model").symlink_to(folder)
    assert dino.holds(tmp_path) and dino.load(tmp_path).about == dino.load(folder).about
    assert not dino.holds(folder / "unet")
    with pytest.raises(ModelNotFound, match="no model of `likeness train dino`"):
        dino.load(folder / "unet")


def test_a_damaged_description_is_said_to_be_so(folder, tmp_path):
    (tmp_path / "unet").symlink_to(folder / "unet")
    (tmp_path / "dino.json").write_text('{"encoder": "eye"}')
    with pytest.raises(UsageError, match="damaged"):
        dino.load(tmp_path)


@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"])
@pytest.mark.parametrize("solver", ["ddim", "dpm++2m", "euler", "unipc"])
def test_every_noise_schedule_is_drawn_with_as_it_was_trained(beta_schedule, solver, tmp_path):
    """A solver that did not know the schedule would take its own default, and start from another noise level."""
    trained = dino.noise_schedule(beta_schedule, "v_prediction", False)
    trained.save_pretrained(tmp_path)  # as a user has it: from a file
    again = type(trained).from_pretrained(tmp_path)
    torch.testing.assert_close(again.alphas_cumprod, trained.alphas_cumprod, atol=1e-6, rtol=1e-4)
    for config in (trained.config, again.config):  # in memory and from the file: diffusers treats them unlike
        made = schedulers.make(solver, config)
        torch.testing.assert_close(made.alphas_cumprod, trained.alphas_cumprod, atol=1e-6, rtol=1e-4)


def test_the_schedules_differ():
    names = ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid")
    halfway = {float(dino.noise_schedule(name, "epsilon", False).alphas_cumprod[500]) for name in names}
    assert len(halfway) == 4


def test_the_embedding_matters_to_the_network():
    model = build()
    x, t = torch.randn(2, 8, 4, 4), torch.tensor([500, 500])
    other = torch.randn(2, len(model.about.mean))
    with torch.no_grad():
        assert not torch.allclose(model.predict(x, t, other), model.predict(x, t, torch.zeros_like(other)), atol=1e-4)


def test_a_model_of_pixels_has_no_autoencoder(tmp_path):
    dino.save(build(pixels=True), tmp_path)
    model = dino.load(tmp_path)
    assert model.shape == (3, 32, 32) and model.vae is None and not (tmp_path / "vae").exists()
    assert torch.equal(model.decode(torch.ones(1, 3, 32, 32)), torch.ones(1, 3, 32, 32))


def test_a_side_that_the_autoencoder_cannot_halve_is_refused():
    with pytest.raises(ConfigError, match="multiple of 8"):
        dino.build(dino.Shape(size=36), 8, dino.load_vae("mini"))


def test_a_pipelines_unet_lends_what_fits(tiny):
    """Of SD's tiny twin all but its text parts: what it knows of pictures, not of words."""
    unet = dino.build(dino.Shape(size=64, channels=(32, 32), attention=(32,), width=16), 24)
    before = {k: v.clone() for k, v in unet.state_dict().items()}
    dino.take_over(unet, tiny("sd15"))
    after = unet.state_dict()
    theirs = load_file(tiny("sd15") / "unet" / "diffusion_pytorch_model.safetensors")
    fits = {k for k, v in theirs.items() if k in after and after[k].shape == v.shape}
    assert all(torch.equal(after[k], theirs[k]) for k in fits)
    assert all(torch.equal(after[k], before[k]) for k in after.keys() - fits)
    assert {k.split(".")[0] for k in after.keys() - fits} == {
        "encoder_hid_proj",
        "add_embedding",
        "conv_in",
        "conv_out",
    }


def test_a_pipeline_of_another_shape_lends_nothing(tiny):
    unet = dino.build(dino.Shape(size=32, channels=(48, 48), attention=(16,), width=16), 24)
    with pytest.raises(ConfigError, match=r"channels \[32, 32\].*width 16"):
        dino.take_over(unet, tiny("sd15"))


def test_eyes_embedding_is_its_towers_before_the_projection():
    from transformers import CLIPVisionModel

    tower = CLIPVisionModel.from_pretrained(eye.ASSET, dtype=torch.float32).eval()
    pixels = torch.rand(2, 3, 128, 128) * 2 - 1
    found = encoders.load("eye", CPU).embed(pixels)
    with torch.no_grad():
        said = tower(pixel_values=pixels)
    assert found.shape == (2, 2 * tower.config.hidden_size)
    torch.testing.assert_close(found[:, : tower.config.hidden_size], said.pooler_output, atol=1e-4, rtol=1e-4)


def test_dinov2s_embedding_is_its_first_token_beside_the_mean_of_its_patches(dinov2):
    from transformers import Dinov2Model

    picture = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    encoder = encoders.load(str(dinov2), CPU)
    found = encoder.embed(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1)
    mean, deviation = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.3, 0.25])
    prepared = torch.from_numpy((picture / 255 - mean) / deviation).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        tokens = Dinov2Model.from_pretrained(dinov2).eval()(prepared).last_hidden_state
    wanted = torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)
    assert encoder.width == found.shape[1] == 32
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_a_larger_picture_is_made_smaller_without_aliasing(dinov2):
    """Stripes of one pixel average to grey; sampled without a filter they would become black or white."""
    encoder = encoders.load(str(dinov2), CPU)
    stripes = torch.ones(1, 3, 112, 112)
    stripes[..., ::2] = -1
    grey = encoder.embed(torch.zeros(1, 3, 28, 28))
    black, seen = encoder.embed(-torch.ones(1, 3, 28, 28)), encoder.embed(stripes)
    assert (seen - grey).norm() < 0.2 * (black - grey).norm()


def test_two_versions_of_an_encoder_have_two_revisions(dinov2, tmp_path):
    from transformers import Dinov2Model

    other = Dinov2Model.from_pretrained(dinov2)
    with torch.no_grad():
        other.layernorm.weight += 1
    other.save_pretrained(tmp_path)
    assert encoders.load(str(tmp_path), CPU).revision != encoders.load(str(dinov2), CPU).revision


@pytest.mark.parametrize("name", ["eyes", "sd15", "nowhere/at/all"])
def test_an_encoder_that_is_none_is_told_apart(name):
    with pytest.raises(ModelNotFound, match="choose eye, dinov2-small"):
        encoders.load(name, CPU)


def test_a_folder_of_another_network_is_no_encoder(folder):
    with pytest.raises(ModelNotFound, match="no image encoder"):
        encoders.load(str(folder / "unet"), CPU)


def test_pictures_are_those_of_pillow_at_the_encoders_own_size():
    """`embed` takes pixels as `to_pixels` gives them: one road for training files and for photos."""
    from likeness.models.pixels import to_pixels

    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8))
    once, twice = (encoders.load("eye", CPU).embed(to_pixels([picture], 128)) for _ in range(2))
    assert torch.equal(once, twice) and torch.isfinite(once).all()
