"""The model of groups: what its classes mean, and that stock diffusers reads what it writes."""

import json

import pytest
import torch
from safetensors.torch import load_file

from likeness.errors import ConfigError, ModelNotFound, UsageError
from likeness.models import ddpm

TINY = ddpm.Shape(size=16, channels=(16, 32), layers_per_block=1, attention=(8,), head=16)


def made(groups=("Elves", "Orcs", "Trolls")):
    torch.manual_seed(0)
    return ddpm.GroupModel(ddpm.build(TINY, groups).eval(), ddpm.noise_schedule(), tuple(groups))


@pytest.fixture
def noisy():
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)), torch.tensor([10, 900])


@torch.no_grad()
def test_a_whole_share_is_the_class_and_no_share_is_any_face(noisy):
    model = made()
    for row, number in (({"orcs": 2.0}, 1), ({}, 3)):
        found = model.predict(*noisy, model.weights(row).expand(2, -1))
        torch.testing.assert_close(found, model.unet(*noisy, class_labels=torch.tensor([number] * 2)).sample)
    assert isinstance(model.unet.class_embedding, torch.nn.Embedding)  # it is put back


@torch.no_grad()
def test_a_mixture_enters_past_the_table_as_the_mean_of_its_parts(noisy):
    model = made()
    found = model.predict(*noisy, model.weights({"Elves": 1, "Trolls": 3}).expand(2, -1))
    table = model.unet.class_embedding.weight
    table[1] = 0.25 * table[0] + 0.75 * table[2]
    torch.testing.assert_close(found, model.unet(*noisy, class_labels=torch.tensor([1, 1])).sample)


def test_shares_that_are_no_mixture_are_refused():
    model = made()
    assert model.weights({"Elves": 1, "elves": 1, "Orcs": 2}).tolist() == [0.5, 0.5, 0]
    with pytest.raises(UsageError, match="did you mean 'Trolls'"):
        model.weights({"Trols": 1})
    for wrong in ({"Elves": -1.0, "Orcs": 2.0}, {"Elves": 0.0}, {"Elves": float("nan")}):
        with pytest.raises(UsageError, match="0 or more"):
            model.weights(wrong)


@torch.no_grad()
def test_it_comes_back_and_stock_diffusers_reads_it(tmp_path, noisy):
    from diffusers import UNet2DModel

    model = made()
    ddpm.save(model, tmp_path, about={"size": 16})
    again = ddpm.load(tmp_path)
    assert again.groups == model.groups and again.size == 16 and not again.unet.training
    weights = model.weights({"Orcs": 1}).expand(2, -1)
    assert torch.equal(again.predict(*noisy, weights), model.predict(*noisy, weights))
    stock = UNet2DModel.from_pretrained(tmp_path, subfolder="unet")
    found = stock(*noisy, class_labels=torch.tensor([1, 1])).sample  # another memory layout, so not to the bit
    torch.testing.assert_close(found, model.predict(*noisy, weights))
    assert json.loads((tmp_path / "groups.json").read_text()) == {"groups": list(model.groups), "size": 16}


def test_half_precision_files_load_as_full(tmp_path):
    ddpm.save(made(), tmp_path, half=True)
    stored = load_file(next((tmp_path / "unet").glob("*.safetensors")))
    assert {t.dtype for t in stored.values()} == {torch.float16}
    assert ddpm.load(tmp_path).unet.dtype == torch.float32


def test_a_model_without_groups_draws_in_the_stock_pipeline(tmp_path, noisy):
    from diffusers import DDPMPipeline

    model = made(())
    ddpm.save(model, tmp_path)
    pipeline = DDPMPipeline.from_pretrained(tmp_path)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline(num_inference_steps=2, output_type="np").images
    assert picture.shape == (1, 16, 16, 3) and 0 <= picture.min() < picture.max() <= 1
    assert ddpm.load(tmp_path).groups == () and model.weights({}).shape == (0,)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(ModelNotFound, match="no model of `likeness train ddpm`"):
        ddpm.load(tmp_path)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [((128, 256, 256, 512), 32), ((64, 128, 192, 256), 16), ((16, 32, 96, 192), 4), ((8, 12), 2), ((6, 9), 1)],
)
def test_norms_take_four_channels_or_more(channels, groups):
    """Wide networks keep the 32 groups of the field."""
    assert ddpm.build(ddpm.Shape(16, channels, 1, ())).config.norm_num_groups == groups


def test_norms_can_be_said_and_must_fit():
    assert ddpm.build(ddpm.Shape(16, (16, 32), 1, (), norm_groups=16)).config.norm_num_groups == 16
    for groups in (3, -4):
        with pytest.raises(ConfigError, match="norm_groups must divide"):
            ddpm.build(ddpm.Shape(16, (16, 32), 1, (), norm_groups=groups))
