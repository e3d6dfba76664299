"""LoRA on every family, in miniature: it learns, goes on after a stop, and stock diffusers draws with the result."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from likeness.config import build, overlay
from likeness.errors import ConfigError, TrainingError, UsageError
from likeness.models.lora import load_into
from likeness.runtime import Runtime
from likeness.train.recipes import lora, lora_base
from likeness.train.recipes.lora import LoraConfig, LoraRecipe, prepare, settle

CPU = Runtime(torch.device("cpu"))
LOOP = {
    "unit": "steps", "steps": 6, "batch": 4, "learning_rate": 1e-2, "schedule": "constant", "warmup": 0, "ema": 0,
    "log_every": 1, "checkpoint_every": 2, "validate_every": 6,
}  # fmt: skip
WEIGHTS = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def folder(painted, tmp_path_factory):
    return painted(tmp_path_factory.mktemp("painted"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def settings(folder, cache, tmp_path):
    def made(model, **changes):
        values = {"data": str(folder), "model": str(model), "output": str(tmp_path / "run"), "cache": str(cache)}
        return build(LoraConfig, overlay(values | {"resolution": 64, "loop": LOOP}, changes))

    return made


def recipe_of(config, runtime=CPU):
    config, faces, held, weights = settle(config, runtime.world)
    made = LoraRecipe(config, lora_base.load(config, runtime), faces, held, weights)
    prepare(made, lambda stage, done, total: None)
    return made


def metrics(config):
    rows = [json.loads(line) for line in open(f"{config.output}/metrics.jsonl")]
    return [row["held_out"] for row in rows if "held_out" in row]


@pytest.mark.parametrize("family", ["sd15", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sd21", "sdxl"))])
def test_it_learns_and_stock_diffusers_draws_the_same(family, tiny, settings, tmp_path):
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    config = settings(
        tiny(family), validation_prompts=["a red woman"], validation_inference_steps=3, held_out=4,
        **{"loop.steps": 12, "loop.preview_every": 12, "adapter.text_encoder": True, "adapter.alpha": 8.0},
    )  # fmt: skip
    weights = lora.run(config, CPU)
    losses = metrics(config)
    assert losses[-1] < losses[0]
    keys = {key.partition(".")[0] for key in load_file(weights)}
    encoders = {"text_encoder"} | ({"text_encoder_2"} if family == "sdxl" else set())
    assert keys == {"unet"} | encoders
    assert {
        k.partition(".")[0] for k in load_file(weights.parent / "text_encoder_lora_weights.safetensors")
    } == encoders

    stock = (StableDiffusionXLPipeline if family == "sdxl" else StableDiffusionPipeline).from_pretrained(tiny(family))
    stock.load_lora_weights(weights.parent)
    stock.set_progress_bar_config(disable=True)
    drawn = stock(
        "a red woman", num_inference_steps=3, guidance_scale=7.5, height=64, width=64, negative_prompt="",
        generator=torch.Generator().manual_seed(0),
    ).images[0]  # fmt: skip
    sheet = Image.open(next((tmp_path / "run" / "samples").glob("*.png")))
    ours = np.asarray(sheet.crop((4, 4, 68, 68)), int)
    assert np.abs(ours - np.asarray(drawn, int)).max() <= 1
    plain = np.asarray(stock("a red woman", num_inference_steps=3, height=64, width=64, negative_prompt="",
                             generator=torch.Generator().manual_seed(0), cross_attention_kwargs={"scale": 0.0},
                             ).images[0], int)  # fmt: skip
    assert np.abs(plain - ours).max() > 1  # the adapters do something


def test_stopping_and_resuming_gives_the_same_bits_and_every_checkpoint_is_usable(tiny, settings, tmp_path):
    whole = lora.run(settings(tiny("sd15"), output=str(tmp_path / "whole"), flip=0.5), CPU)
    halves = settings(tiny("sd15"), flip=0.5, **{"loop.minutes": 1e-9, "loop.keep": 9})
    for _ in range(2):
        lora.run(halves, CPU)  # a step each
    ended = lora.run(dataclasses.replace(halves, loop=dataclasses.replace(halves.loop, minutes=None)), CPU)
    expected, found = load_file(whole), load_file(ended)
    assert all(torch.equal(expected[k], found[k]) for k in expected)
    kept = sorted(p.name for p in ended.parent.glob("checkpoint-*"))
    assert kept == ["checkpoint-00000004", "checkpoint-00000008", "checkpoint-00000016", "checkpoint-00000024"]
    unet = lora_base.load(halves, CPU).pipeline.unet
    load_into({"unet": unet}, ended.parent / kept[0])
    last = load_file(ended.parent / kept[-1] / WEIGHTS)
    assert all(torch.equal(expected[k], last[k]) for k in expected)


def test_several_processes_draw_the_batch_of_one(tiny, settings):
    config = settings(tiny("sdxl"), flip=0.5, crop="random", crops_cached=2, noise_offset=0.1)
    alone = recipe_of(config)
    half = dataclasses.replace(alone.config, loop=dataclasses.replace(alone.config.loop, batch=2))
    faces = alone.feed.cuts.faces
    for step in range(3):
        shared = {}
        for rank in range(2):
            base = dataclasses.replace(alone.base, runtime=dataclasses.replace(CPU, rank=rank, world=2))
            one = LoraRecipe(half, base, faces, [], [1.0] * len(faces))
            one.feed.latents, one.feed.texts = alone.feed.latents, alone.feed.texts
            batch = one.batch(step)
            shared |= {p: (batch.moments[i], batch.noise[i], batch.offset[i], batch.times[i], batch.frames[i])
                       for i, p in enumerate(one.places.positions(step))}  # fmt: skip
        batch, positions = alone.batch(step), alone.places.positions(step)
        assert sorted(shared) == sorted(positions)
        for i, position in enumerate(positions):
            parts = (batch.moments[i], batch.noise[i], batch.offset[i], batch.times[i], batch.frames[i])
            assert all(torch.equal(a, b) for a, b in zip(parts, shared[position], strict=True))


def test_a_loss_that_is_no_number_stops_with_the_files(tiny, settings):
    with pytest.raises(TrainingError, match=r"step \d+ .*images/\w+\.png.*learning rate"):
        lora.run(settings(tiny("sd15"), **{"loop.learning_rate": 1e30, "loop.clip": None}), CPU)


def test_min_snr_is_right_for_v_and_refused_with_zero_terminal_snr(tiny, settings, assets, tmp_path):
    recipe = recipe_of(settings(tiny("sd21"), min_snr=5.0))
    plain = recipe_of(settings(tiny("sd21")))
    batch = recipe.batch(0)
    with torch.no_grad():
        weighted, unweighted = recipe.loss(batch, torch.Generator()), plain.loss(batch, torch.Generator())
    snr = (recipe.base.alpha_bar / (1 - recipe.base.alpha_bar))[batch.times]
    torch.testing.assert_close(weighted / unweighted, snr.clamp(max=5) / (snr + 1))
    with pytest.raises(ConfigError, match="min_snr"):
        lora.run(settings(assets / "mini", min_snr=5.0), CPU)
    assert not (tmp_path / "run").exists()


def test_what_is_cached_is_freed_and_what_is_trained_is_not_cached(tiny, settings):
    frozen = recipe_of(settings(tiny("sdxl")))
    assert frozen.conditioner is None and frozen.base.pipeline.text_encoder is None
    assert set(frozen.modules) == {"unet"} and frozen.batch(0).words.pooled.shape == (4, 16)
    trained = recipe_of(settings(tiny("sdxl"), **{"adapter.text_encoder": True}))
    batch = trained.batch(0)
    assert batch.words is None and set(trained.modules) == {"unet", "text_encoder", "text_encoder_2"}
    trained.loss(batch, torch.Generator()).mean().backward()
    gradients = [n for n, p in trained.base.pipeline.text_encoder.named_parameters() if p.grad is not None]
    assert gradients and all("lora" in name for name in gradients)


def test_the_cached_batch_trains_as_the_encoded_one(tiny, settings):
    """The same draws, noise and times: only the caches' fp16 lies between the two losses."""
    cached = recipe_of(settings(tiny("sdxl"), flip=0.5))
    fresh = recipe_of(settings(tiny("sdxl"), flip=0.5, cache_latents=False, cache_texts=False))
    with torch.no_grad():
        losses = [r.loss(r.batch(1), torch.Generator()) for r in (cached, fresh)]
    assert cached.batch(1).moments is not None and fresh.batch(1).pixels is not None
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-2, atol=1e-3)


def test_half_precision_has_nearly_the_loss_of_full(tiny, settings):
    """Under autocast, as the loop and the hooks call it; frozen weights are halves, adapters are not."""
    losses = {}
    for precision in ("fp32", "bf16", "fp16"):
        recipe = recipe_of(settings(tiny("sdxl")), dataclasses.replace(CPU, precision=precision))
        with torch.no_grad(), recipe.base.runtime.autocast():
            losses[precision] = recipe.loss(recipe.batch(0), torch.Generator())
            assert np.isfinite(recipe.validate()["held_out"])
        dtypes = {p.dtype for p in recipe.modules["unet"].parameters() if p.requires_grad}
        assert dtypes == {torch.float32} and recipe.base.pipeline.unet.conv_in.weight.dtype == recipe.base.runtime.dtype
    torch.testing.assert_close(losses["bf16"], losses["fp32"], rtol=2e-2, atol=0)
    torch.testing.assert_close(losses["fp16"], losses["fp32"], rtol=5e-3, atol=0)


def test_gradient_checkpointing_gives_the_same_gradient(tiny, settings):
    gradients = []
    for checkpointing in (False, True):
        recipe = recipe_of(
            settings(tiny("sd15"), gradient_checkpointing=checkpointing, **{"adapter.text_encoder": True})
        )
        for module in recipe.modules.values():
            module.train()
        recipe.loss(recipe.batch(0), torch.Generator()).mean().backward()
        gradients.append([p.grad for m in recipe.modules.values() for p in m.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_a_size_that_the_autoencoder_cannot_halve_is_refused(tiny, settings):
    with pytest.raises(UsageError, match="resolution 60: give a multiple of 8"):
        lora.run(settings(tiny("sd15"), resolution=60), CPU)
