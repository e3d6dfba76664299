"""LoRA adapters: stock diffusers draws our picture from our files, and training touches nothing but them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from adapted import SHAPE, adapt, draw, load, parts
from likeness.errors import UsageError
from likeness.models import lora, lora_files
from likeness.models.registry import ASSETS


@pytest.fixture
def folder(tiny):
    return lambda family: ASSETS / "mini" if family == "mini" else tiny(family)


@pytest.mark.parametrize("family", ["sd15", "sd21", "sdxl", "mini"])
def test_stock_diffusers_draws_our_picture_from_our_file_and_from_our_kohya_file(family: str, folder):
    ours = load(folder(family))
    plain = draw(ours)
    adapt(ours)
    drawn = draw(ours)
    assert (drawn - plain).abs().max() > 0.01, "a LoRA that changes nothing would prove nothing"
    file = lora.save("out", parts(ours), SHAPE, {"family": family})

    stock = load(folder(family))
    stock.load_lora_weights("out")
    assert torch.equal(draw(stock), drawn)
    stock.unload_lora_weights()
    assert torch.equal(draw(stock), plain)

    lora_files.convert(file, "kohya.safetensors", "kohya")
    stock.load_lora_weights("kohya.safetensors")
    assert (draw(stock) - drawn).abs().max() <= 1e-5
    lora_files.convert("kohya.safetensors", "back.safetensors", "diffusers")
    before, after = load_file(file), load_file("back.safetensors")
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    assert lora_files.info("back.safetensors").parts == lora_files.info(file).parts


@pytest.mark.parametrize(
    ("family", "shape"),
    [
        ("sdxl", {"dora": True, "targets": ("attention", "conv1")}),
        ("sd15", {"rslora": True, "targets": ("conv", "conv_in"), "text_targets": ("all-linear",)}),
        pytest.param(
            "sd15", {"dora": True, "rslora": True, "dropout": 0.5, "targets": ("all-linear",)}, marks=pytest.mark.slow
        ),
    ],
)
def test_dora_rslora_and_convolutions_survive_the_file(family: str, shape: dict, folder):
    ours = load(folder(family))
    shape = lora.LoraShape(rank=3, alpha=7, text_rank=2, text_alpha=5, text_encoder=True, **shape)
    adapt(ours, shape)
    file = lora.save("out", parts(ours), shape)
    drawn = draw(ours)
    stock = load(folder(family))
    stock.load_lora_weights("out")
    assert torch.equal(draw(stock), drawn)
    lora_files.convert(file, "kohya.safetensors", "kohya")  # stock diffusers drops DoRA there, so through ours
    again = load(folder(family))
    lora.load_into(parts(again), "kohya.safetensors")
    assert (draw(again) - drawn).abs().max() <= 1e-5


def test_the_change_is_alpha_over_rank_times_b_a(tiny):
    """W' = W + alpha / r * B A (Hu et al. 2021, section 4.1), added by hand to a pipeline without adapters."""
    ours = load(tiny("sd15"))
    shape = lora.LoraShape(rank=3, alpha=7, text_encoder=True, text_alpha=6, targets=("attention", "conv1"))
    adapt(ours, shape)
    tensors = load_file(lora.save("out", parts(ours), shape))
    plain = load(tiny("sd15"))
    for key, down in tensors.items():
        if key.endswith(".lora_A.weight"):
            part, _, module = key.removesuffix(".lora_A.weight").partition(".")
            up = tensors[key.replace("lora_A", "lora_B")]
            weight = getattr(plain, part).get_submodule(module.removeprefix("text_model.")).weight
            scale = 7 / 3 if part == "unet" else 6 / 3
            weight.data += scale * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    assert (draw(plain) - draw(ours)).abs().max() < 1e-3  # the sum in another order, in fp32


def test_the_file_tells_stock_readers_rank_and_alpha_and_ours_the_rest(tiny):
    ours = load(tiny("sd15"))
    adapt(ours)
    file = lora.save("out", parts(ours), SHAPE, {"family": "sd15", "steps": 20})
    with safe_open(file, "pt") as opened:
        keys, metadata = set(opened.keys()), opened.metadata()
    config = json.loads(metadata["lora_adapter_metadata"])
    assert (config["unet.r"], config["unet.lora_alpha"]) == (3, 7)
    assert (config["text_encoder.r"], config["text_encoder.lora_alpha"]) == (2, 5)
    assert config["unet.target_modules"] == ["to_k", "to_out.0", "to_q", "to_v"]
    told = json.loads(metadata["likeness"])
    assert told["steps"] == 20 and told["shape"]["rank"] == 3
    text = load_file("out/text_encoder_lora_weights.safetensors")
    assert text.keys() == {key for key in keys if key.startswith("text_encoder.")} and text
    lora.save("unet_only", {"unet": ours.unet}, SHAPE)
    assert [p.name for p in Path("unet_only").iterdir()] == ["pytorch_lora_weights.safetensors"]


def test_fresh_adapters_change_nothing_and_come_from_the_seed_alone(tiny):
    drawn = []
    for other in (1, 2):
        pipeline = load(tiny("sd15"))
        plain = draw(pipeline)
        torch.manual_seed(other)
        before = torch.get_rng_state()
        parameters = lora.inject(parts(pipeline), lora.LoraShape(rank=8), seed=5)
        assert torch.equal(torch.get_rng_state(), before)  # a resumed run would drift otherwise
        drawn.append({key: p.detach().clone() for key, p in parameters.items()})
        assert torch.equal(draw(pipeline), plain)
    assert all(torch.equal(drawn[0][k], drawn[1][k]) for k in drawn[0])
    down = torch.cat([t.flatten() for k, t in drawn[0].items() if "lora_A" in k])
    assert abs(down.std() * 8 - 1) < 0.02  # N(0, 1/r^2), as diffusers' examples have it
    other_seed = lora.inject(parts(load(tiny("sd15"))), lora.LoraShape(rank=8), seed=6)
    assert not any(torch.equal(other_seed[k], drawn[0][k]) for k in other_seed if "lora_A" in k)


def test_only_the_adapters_are_trained_and_in_fp32(tiny):
    pipeline = load(tiny("sdxl"))
    networks = {name: part.to(torch.bfloat16) for name, part in parts(pipeline).items()}
    parameters = lora.inject(networks, lora.LoraShape(text_encoder=True))
    trained = [p for part in networks.values() for p in part.parameters() if p.requires_grad]
    assert {id(p) for p in trained} == {id(p) for p in parameters.values()}
    assert {p.dtype for p in trained} == {torch.float32}
    assert {key.partition(".")[0] for key in parameters} == {"unet", "text_encoder", "text_encoder_2"}
    networks["text_encoder"](torch.zeros(1, 77, dtype=torch.long))[0].sum().backward()
    moved = {key for key, p in parameters.items() if p.grad is not None and p.grad.abs().sum() > 0}
    assert moved and all(key.startswith("text_encoder.") and "lora_B" in key for key in moved)  # while B is 0, A waits
    assert lora.inject(parts(load(tiny("sdxl"))), lora.LoraShape()).keys() == {
        key for key in parameters if key.startswith("unet.")
    }


def test_a_file_goes_on_where_it_was(tiny):
    ours = load(tiny("sdxl"))
    adapt(ours)
    file = lora.save("out", parts(ours), SHAPE)
    fresh = load(tiny("sdxl"))
    parameters = lora.load_into(parts(fresh), file)  # brings its own shape
    assert all(p.requires_grad for p in parameters.values()) and not fresh.vae.requires_grad_(False).training
    assert torch.equal(draw(fresh), draw(ours))
    ready = load(tiny("sdxl"))
    lora.inject(parts(ready), SHAPE, seed=9)
    lora.load_into(parts(ready), file)
    assert torch.equal(draw(ready), draw(ours))
    state = lora.lora_state(parts(ready))
    assert state.keys() == load_file(file).keys() and not any(t.requires_grad for t in state.values())


def test_what_does_not_fit_is_refused(tiny):
    ours = load(tiny("sd15"))
    adapt(ours)
    file = lora.save("out", parts(ours), SHAPE)
    with pytest.raises(UsageError, match=r"is for another model: its .* is 16x16, here it is 1024x1024"):
        lora.load_into(parts(load(tiny("sd21"))), file)
    with pytest.raises(UsageError, match="no text_encoder"):
        lora.load_into({"unet": load(tiny("sd15")).unet}, file)
    for shape, said in (({"rank": 4}, "the rank and targets"), ({"alpha": 8}, "another alpha for the unet")):
        ready = load(tiny("sd15"))
        lora.inject(parts(ready), lora.LoraShape(**(vars(SHAPE) | shape)))
        with pytest.raises(UsageError, match=said):
            lora.load_into(parts(ready), file)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"rank": 0}, "at least 1"),
        ({"dropout": 1.0}, "dropout"),
        ({"targets": ()}, "name the modules"),
        ({"text_encoder": True, "text_targets": ("fc1",)}, "cannot load"),
        (
            {"targets": ("attention", "proj_inn")},
            "no module of the UNet2DConditionModel is called 'proj_inn': did you mean 'proj_in'",
        ),
        ({"targets": ("norm1",)}, "cannot change norm1"),
        ({"text_encoder": True, "text_targets": ("attention", "token_embedding")}, "embedding"),
    ],
)
def test_shapes_that_cannot_be_are_refused(shape: dict, said: str, tiny):
    with pytest.raises(UsageError, match=said):
        lora.inject(parts(load(tiny("sd15"))), lora.LoraShape(**shape))
