"""Seconds of a LoRA step: `likeness train lora` against the plain loop of diffusers' example, in one process, in turns.

The plain loop encodes pictures and captions at every step, as examples/text_to_image/train_text_to_image_lora.py does
(its SDXL sister for SDXL): same networks, adapters, batch, precision, optimizer and pictures; it is given pictures that
are decoded already. Rows: `mini` with its own weights; SD 1.5 and SDXL shapes with random weights (SDXL on a GPU only).
`bare` is the forward and backward pass of what is trained and nothing else. Ratios are medians over turns.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image

from likeness.config import build
from likeness.files import write_json
from likeness.models.conditioning import Conditioner, time_ids
from likeness.models.stable_diffusion import quiet
from likeness.runtime import Runtime, choose
from likeness.train.loop import advance, prepare
from likeness.train.recipes import lora, lora_base
from likeness.train.recipes.lora import LoraConfig, LoraRecipe

TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12}
TEXT_2 = {"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20, "num_hidden_layers": 32}
BETAS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
}
XL = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20), "cross_attention_dim": 2048,
    "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip
SD = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
UNETS: dict[str, dict[str, Any]] = {"sd15": SD, "sdxl": {"sample_size": 128, **XL}}
Step = Callable[[int], None]
BATCHES = {"mini": 16, "sd15": 2, "sdxl": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=list(BATCHES), nargs="+", help="default: mini and sd15; on a GPU sdxl too")
    parser.add_argument("--turns", type=int, default=0, help="default: 5 for mini, 3 for the others")
    parser.add_argument(
        "--steps", type=int, default=0, help="steps in a turn; default 4 for mini, 1 (GPU: 8) for others"
    )
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--size", type=int, default=0, help="default: mini 128; others 256, on a GPU 512 and 1024")
    parser.add_argument("--threads", type=int, default=0, help="default: what torch takes")
    parser.add_argument("--device", default=None)
    parser.add_argument("--precision", default=None, help="default: bf16 on a GPU, fp32 elsewhere")
    parser.add_argument("--output", type=Path, default=Path("runs/bench/train_lora.json"))
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    gpu = choose(options.device).device.type == "cuda"
    runtime = choose(options.device, options.precision or ("bf16" if gpu else "fp32"))
    rows = [measure(name, options, runtime) for name in options.only or (BATCHES if gpu else ("mini", "sd15"))]
    show(rows)
    facts = {"torch": torch.__version__, "threads": torch.get_num_threads(), "machine": platform.machine()}
    device = torch.cuda.get_device_name() if gpu else "cpu"
    write_json(options.output, {"rows": rows, "device": device, "precision": runtime.precision, **facts})
    print(f"{device}, {runtime.precision}, {facts['threads']} threads; written to {options.output}")


def measure(name: str, options: argparse.Namespace, runtime: Runtime) -> dict[str, Any]:
    """One family: ours, the plain loop and the bare passes, in turns; then each alone, for its memory."""
    gpu = runtime.device.type == "cuda"
    size = options.size or {"mini": 128, "sd15": 512 if gpu else 256, "sdxl": 1024}[name]
    batch = options.batch or (4 if name == "sd15" and gpu else BATCHES[name])
    turns = options.turns or (5 if name == "mini" else 3)
    steps = options.steps or (8 if gpu else 4 if name == "mini" else 1)
    with tempfile.TemporaryDirectory() as folder, quiet():
        loop = {"batch": batch, "learning_rate": 1e-4, "schedule": "constant", "warmup": 0, "ema": 0}
        values = {
            "data": str(pictures(Path(folder) / "faces", 2 * batch, size)), "resolution": size, "flip": 0.5,
            "model": "mini" if name == "mini" else str(random_weights(name, Path(folder) / "model")),
            "cache": f"{folder}/cache", "held_out": 0, "output": f"{folder}/run", "loop": loop,
        }  # fmt: skip
        config = build(LoraConfig, values)
        memory = {side: alone(side, config, runtime) for side in SIDES}
        found = race({side: make(config, runtime) for side, make in SIDES.items()}, turns, steps, runtime)
    row: dict[str, Any] = {"model": name, "size": size, "batch": batch, "turns": turns, "steps": steps}
    row |= {"seconds_per_step": {side: statistics.median(v["wall"]) / steps for side, v in found.items()}}
    row |= {"least": {side: min(v["wall"]) / steps for side, v in found.items()}, "peak_gib": memory}
    for clock in ("wall", "cpu"):
        row[f"faster_than_plain_{clock}"] = ratio(found["plain"][clock], found["likeness"][clock])
        row[f"step_over_bare_{clock}"] = ratio(found["likeness"][clock], found["bare"][clock])
    return row


def ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def race(sides: dict[str, Step], turns: int, steps: int, runtime: Runtime) -> dict[str, dict[str, list[float]]]:
    """Seconds of `steps` steps a turn, by the clock and of the processor."""
    found: dict[str, dict[str, list[float]]] = {side: {"wall": [], "cpu": []} for side in sides}
    for step in sides.values():
        step(0)  # warms up
    for turn in range(turns):
        order = list(sides.items())
        for side, step in order if turn % 2 == 0 else reversed(order):
            wall, cpu = time.perf_counter(), time.process_time()
            for i in range(steps):
                step(1 + turn * steps + i)
            if runtime.device.type == "cuda":
                torch.cuda.synchronize()
            found[side]["wall"].append(time.perf_counter() - wall)
            found[side]["cpu"].append(time.process_time() - cpu)
    return found


def alone(side: str, config: LoraConfig, runtime: Runtime) -> float:
    """GiB at the peak of two steps in a process of its own: of the GPU's memory, or of all that the process holds."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(peak, side, config, runtime).result()


def peak(side: str, config: LoraConfig, runtime: Runtime) -> float:
    with quiet():
        step, gpu = SIDES[side](config, runtime), runtime.device.type == "cuda"
        if gpu:
            torch.cuda.reset_peak_memory_stats()  # loading and filling caches is not training
        else:
            Path("/proc/self/clear_refs").write_text("5")  # the same for a process, on Linux
        for number in range(2):
            step(number)
    if gpu:
        return round(torch.cuda.max_memory_allocated() / 2**30, 2)
    told = Path("/proc/self/status").read_text()
    return round(int(told.partition("VmHWM:")[2].split()[0]) / 2**20, 2)


READY: dict[str, tuple[LoraRecipe, Any]] = {}


def ready(config: LoraConfig, runtime: Runtime) -> tuple[LoraRecipe, Any]:
    """What training would step on, caches filled; made once for a run folder: `ours` and `bare` share the networks."""
    if config.output not in READY:
        READY.clear()  # those of the row before
        config, faces, _, weights = lora.settle(config)
        recipe = LoraRecipe(config, lora_base.load(config, runtime), faces, [], weights)
        lora.prepare(recipe, lambda stage, done, total: None)
        READY[config.output] = recipe, prepare(recipe, config.loop, runtime)
    return READY[config.output]


def ours(config: LoraConfig, runtime: Runtime) -> Step:
    """A step of the training loop, batch and all."""
    recipe, trained = ready(config, runtime)

    def step(number: int) -> None:
        advance(recipe, number, recipe.config.loop, runtime, trained)

    return step


def bare(config: LoraConfig, runtime: Runtime) -> Step:
    """Forward and backward of the UNet with its adapters on tensors that lie ready; nothing else."""
    recipe, _ = ready(config, runtime)
    batch, unet = recipe.batch(0), recipe.base.pipeline.unet
    x = batch.noise.to(runtime.device).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        words = recipe._conditioning(batch)
    sizes = {} if batch.frames is None else {"text_embeds": words.pooled, "time_ids": batch.frames.to(words.hidden)}

    def step(_: int) -> None:
        with runtime.autocast():
            out = unet(x, batch.times.to(runtime.device), words.hidden, added_cond_kwargs=sizes, return_dict=False)[0]
            loss = out.float().square().mean()
        loss.backward()
        for module in recipe.modules.values():
            module.zero_grad(set_to_none=True)

    return step


def plain(config: LoraConfig, runtime: Runtime) -> Step:
    """The example's loop. Frozen parts in the precision of the run; pictures decoded, cut and mirrored beforehand."""
    base = lora_base.load(config, runtime)
    pipeline, device = base.pipeline, runtime.device
    vae, unet = pipeline.vae.requires_grad_(False), pipeline.unet
    for network in (vae, *base.networks.values()):
        network.to(device, runtime.dtype)
    lora.lora.inject(base.networks, config.adapter, 0)
    unet.train()
    parameters = [p for p in unet.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8)
    scaler = torch.amp.GradScaler(device.type, enabled=runtime.precision == "fp16")
    config, faces, _, weights = lora.settle(config)
    feed = LoraRecipe(config, base, faces, [], weights)
    pixels = torch.stack([feed.feed.cuts.pixels(i, (0.5, 0.5), i % 2 == 1) for i in range(len(faces))])
    conditioner, alpha_bar = Conditioner(pipeline.components, base.spec.family), base.alpha_bar.to(device)
    frames = time_ids((config.resolution, config.resolution), (0, 0), (config.resolution, config.resolution)).to(device)

    def step(number: int) -> None:
        chosen = [(number * config.loop.batch + i) % len(faces) for i in range(config.loop.batch)]
        with runtime.autocast():
            with torch.no_grad():
                encoded = vae.encode(pixels[chosen].to(device, runtime.dtype))
                x = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.sample()
                x = x * vae.config.scaling_factor
                words = conditioner.encode([faces[i].text for i in chosen])
            noise, times = torch.randn_like(x), torch.randint(len(alpha_bar), (len(x),), device=device)
            a = alpha_bar[times].view(-1, 1, 1, 1).to(x.dtype)
            noisy = a.sqrt() * x + (1 - a).sqrt() * noise
            told = {"text_embeds": words.pooled, "time_ids": frames.repeat(len(x), 1)}
            sizes = {} if words.pooled is None else told
            found = unet(noisy, times, words.hidden, added_cond_kwargs=sizes).sample
            wanted = noise if base.prediction == "epsilon" else a.sqrt() * noise - (1 - a).sqrt() * x
            loss = F.mse_loss(found.float(), wanted.float())
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        loss.detach().item()  # the example logs every step

    return step


SIDES: dict[str, Callable[[LoraConfig, Runtime], Step]] = {"likeness": ours, "plain": plain, "bare": bare}


def pictures(folder: Path, count: int, size: int) -> Path:
    """Captioned noise at the size of training."""
    import numpy as np

    (folder / "images").mkdir(parents=True)
    random, rows = np.random.default_rng(0), []
    for i in range(count):
        Image.fromarray(random.integers(0, 256, (size, size, 3), np.uint8)).save(folder / "images" / f"{i}.png")
        rows.append({"file_name": f"images/{i}.png", "text": f"a smiling woman with long hair, number {i}"})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


def random_weights(name: str, folder: Path) -> Path:
    """A pipeline of the true shapes, saved with random weights; the tokenizer is mini's."""
    from diffusers import (
        AutoencoderKL,
        DDPMScheduler,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    from likeness.models.registry import ASSETS

    tokenizer = CLIPTokenizer.from_pretrained(ASSETS / "mini" / "tokenizer")
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, **blocks)
    ids = {k: getattr(tokenizer, k) for k in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = CLIPTextModel(CLIPTextConfig(vocab_size=49408, projection_dim=768, **TEXT, **ids))
    parts = {"vae": vae, "unet": UNet2DConditionModel(**UNETS[name]), "tokenizer": tokenizer, "text_encoder": text,
             "scheduler": DDPMScheduler(**BETAS)}  # fmt: skip
    if name == "sdxl":
        second = CLIPTextModelWithProjection(CLIPTextConfig(vocab_size=49408, projection_dim=1280, **TEXT_2, **ids))
        made = StableDiffusionXLPipeline(tokenizer_2=tokenizer, text_encoder_2=second, **parts)
    else:
        none = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        made = StableDiffusionPipeline(**none, **parts)
    made.save_pretrained(folder)
    return folder


def show(rows: list[dict[str, Any]]) -> None:
    print(f"{'model':<6}{'px':>6}{'batch':>7}  {'side':<10}{'s / step':>10}{'least':>9}{'peak GiB':>10}")
    for row in rows:
        for side, seconds in row["seconds_per_step"].items():
            line = f"{row['model']:<6}{row['size']:>6}{row['batch']:>7}  {side:<10}{seconds:10.3f}"
            print(f"{line}{row['least'][side]:9.3f}{row['peak_gib'][side]:10.2f}")
        for clock in ("wall", "cpu"):
            plain_, bare_ = row[f"faster_than_plain_{clock}"], row[f"step_over_bare_{clock}"]
            print(f"{'':>21}{plain_:.2f}x the plain loop's speed, {bare_:.3f}x the bare passes' time ({clock})")


if __name__ == "__main__":
    main()
