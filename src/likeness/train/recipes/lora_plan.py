"""What a LoRA run will take, before it starts: steps, trainable parameters, memory by a formula, time by two steps.

Memory = weights (bytes of the run's precision, the autoencoder's and the adapters' in fp32)
       + adapters x (gradient + optimizer + average) + activations,
where activations are the bytes that autograd keeps of one forward pass, found on the meta device, where nothing is
computed; an attention keeps its inputs and its output, as the fused kernels do.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...models import lora
from ...models.conditioning import Conditioning
from ...models.registry import find, present
from ...runtime import Runtime
from ..footprint import GIB, OPTIMIZER_BYTES, activations
from . import lora_base
from .lora import LoraRecipe, adapt, settle
from .lora_base import ENCODERS
from .lora_config import LoraConfig
from .lora_feed import Batch

QUICK = 100_000_000  # a UNet of so many parameters steps quickly enough on a CPU to be timed


def plan(config: LoraConfig, runtime: Runtime) -> dict[str, Any]:
    """The settings as resolved, and under "plan" what they will take. Raises `UsageError` without data."""
    config, faces, held, weights = settle(config, runtime.world)
    steps = -(-config.loop.images // config.loop.step_images(runtime.world))
    found: dict[str, Any] = {
        "faces": len(faces), "held_out": len(held), "images": config.loop.images, "steps": steps,
        "device": str(runtime.device), "precision": runtime.precision,
    }  # fmt: skip
    spec = find(config.model)
    folder = present(spec)
    if folder is None:
        found["unknown"] = f"parameters, memory and time: {spec.name} is not on this disk yet"
    elif not (folder / "unet" / "config.json").is_file():
        found["unknown"] = "parameters, memory and time: the model is a single file, which is read when training starts"
    else:
        found |= memory(config, folder, spec.family, config.resolution or spec.size, runtime)
        if runtime.device.type == "cpu" and found["parameters"]["unet"] > QUICK:
            found["unknown"] = "time: too large a model to try on a CPU"
        else:
            found |= timing(LoraRecipe(config, lora_base.load(config, runtime), faces, [], weights), steps)
    return dataclasses.asdict(config) | {"plan": found}


def memory(config: LoraConfig, folder: Path, family: str, size: int, runtime: Runtime) -> dict[str, Any]:
    """Parameters, and GiB by kind."""
    networks = on_meta(folder)
    vae = networks.pop("vae")
    frozen = {name: sum(p.numel() for p in part.parameters()) for name, part in networks.items()}
    trained = lora.inject(networks, config.adapter)
    adapters = sum(p.numel() for p in trained.values())
    half = 4 if runtime.precision == "fp32" else 2
    kept = 4 + 4 + OPTIMIZER_BYTES[config.loop.optimizer] + 4 * bool(config.loop.ema)
    parts = {
        "weights": half * sum(frozen.values()) + 4 * sum(p.numel() for p in vae.parameters()),
        "adapters": kept * adapters,
        "activations": kept_activations(config, networks, family, size) * half // 4,
    }
    shown = {name: round(value / GIB, 3) for name, value in (parts | {"total": sum(parts.values())}).items()}
    return {"parameters": frozen | {"trainable": adapters}, "memory_gib": shown}


def on_meta(folder: Path) -> dict[str, nn.Module]:
    """The networks of a pipeline's folder, without weights."""
    from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    classes = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
    with torch.device("meta"):
        vae = classes[index["vae"][1]].from_config(str(folder / "vae"))
        found: dict[str, nn.Module] = {"unet": UNet2DConditionModel.from_config(str(folder / "unet")), "vae": vae}
        for name in ENCODERS:
            if (folder / name).is_dir():
                of = CLIPTextModelWithProjection if "Projection" in index[name][1] else CLIPTextModel
                found[name] = of(CLIPTextConfig.from_pretrained(folder / name))
    return found


def kept_activations(config: LoraConfig, networks: dict[str, Any], family: str, size: int) -> int:
    """Bytes that autograd keeps of a forward pass in fp32; networks are on the meta device, adapters in."""
    unet, batch = networks["unet"].train(), config.loop.batch
    if config.gradient_checkpointing:
        unet.enable_gradient_checkpointing()

    def forward() -> None:
        if config.adapter.text_encoder:
            for name in sorted(set(networks) & set(ENCODERS)):
                networks[name].train()(torch.zeros(batch, 77 * config.windows, dtype=torch.long)[:, :77])
        words = torch.zeros(batch, 77 * config.windows, unet.config.cross_attention_dim)
        x = torch.zeros(batch, unet.config.in_channels, size // 8, size // 8)
        sizes = {}
        if family == "sdxl":
            pooled = unet.config.projection_class_embeddings_input_dim - 6 * unet.config.addition_time_embed_dim
            sizes = {"text_embeds": torch.zeros(batch, pooled), "time_ids": torch.zeros(batch, 6)}
        unet(x, torch.zeros(batch, dtype=torch.long), words, added_cond_kwargs=sizes)

    return activations(networks.values(), forward)


def timing(recipe: LoraRecipe, steps: int) -> dict[str, Any]:
    """Seconds of a step of the real networks on random latents; on a GPU the true memory too."""
    runtime = recipe.base.runtime
    adapt(recipe)
    for module in recipe.modules.values():
        module.to(runtime.device).train()
    batch, seconds = random_batch(recipe), 0.0
    for _ in range(3):  # the last counts
        started = time.perf_counter()
        with runtime.autocast():
            loss = recipe.loss(batch, torch.Generator()).mean()
        loss.backward()
        if runtime.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = (time.perf_counter() - started) * recipe.config.loop.accumulation
    found = {"seconds_per_step": round(seconds, 3), "hours": round(seconds * steps / 3600, 2)}
    if runtime.device.type == "cuda":
        found["measured_gib"] = round(torch.cuda.max_memory_allocated() / GIB, 3)
    return found


def random_batch(recipe: LoraRecipe) -> Batch:
    """A batch as the caches would give it, of noise; captions as text where text encoders are trained."""
    feed, size, count = recipe.feed, recipe.size // recipe.scale, recipe.config.loop.batch
    unet, trained = recipe.base.pipeline.unet.config, recipe.config.adapter.text_encoder
    noise = torch.randn(count, feed.channels, size, size)
    words = Conditioning(torch.randn(count, 77 * recipe.config.windows, unet.cross_attention_dim))
    frames = None
    if feed.sized:
        pooled = unet.projection_class_embeddings_input_dim - 6 * unet.addition_time_embed_dim
        words = dataclasses.replace(words, pooled=torch.randn(count, pooled))
        frames = torch.tensor([[recipe.size, recipe.size, 0, 0, recipe.size, recipe.size]] * count)
    times = torch.randint(feed.steps, (count,))
    return Batch(
        noise, torch.randn_like(noise), torch.zeros(count, feed.channels, 1, 1), times, ["a photo of a person"] * count,
        torch.randn_like(noise), None, None if trained else words, frames,
    )  # fmt: skip
