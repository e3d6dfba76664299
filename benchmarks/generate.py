"""Seconds per face of `mini`: `FaceGenerator` against stock diffusers, same weights, steps, scheduler and seeds.

The two take turns in one process (A B, B A, ...), so that what else the machine does falls on both alike; the pictures
are compared to the bit. The ratio is the median over turns of ours / stock: at most 1 means no slower.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from likeness import FaceGenerator, ImageRequest
from likeness.files import write_json
from likeness.models.stable_diffusion import quiet

PROMPT = "A smiling woman in her thirties with long black hair, brown skin and earrings looks into the camera."
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--turns", type=int, default=0, help="default: 9 for single faces, 3 for batches")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=0, help="default: what torch takes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, default=Path("runs/bench/generate.json"))
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    generator = FaceGenerator(device=options.device, batch_size=max(options.batches))
    with quiet():
        from diffusers import StableDiffusionPipeline

        stock = StableDiffusionPipeline.from_pretrained(generator.path).to(options.device)
    stock.set_progress_bar_config(disable=True)
    rows = [measure(generator, stock, options, size) for size in options.batches]
    show(rows)
    versions = {"torch": torch.__version__, "threads": torch.get_num_threads(), "machine": platform.machine()}
    write_json(options.output, {"rows": rows, "steps": options.steps, "device": options.device, **versions})
    print(f"{options.steps} steps on {options.device}, {versions['threads']} threads; written to {options.output}")


def measure(generator: Any, stock: Any, options: argparse.Namespace, size: int) -> dict[str, Any]:
    """Both sides in turns at one batch size."""
    (resolved,) = {s.request for s in generator.generate(ImageRequest(PROMPT, steps=1, seed=SEED))}

    def ours() -> list[Any]:
        return [s.image for s in generator.generate(ImageRequest(PROMPT, steps=options.steps, seed=SEED, count=size))]

    def theirs() -> list[Any]:
        generators = [torch.Generator("cpu").manual_seed(SEED + i) for i in range(size)]
        settings = {"num_inference_steps": options.steps, "guidance_scale": resolved.guidance}
        return stock([PROMPT] * size, generator=generators, **settings).images

    a, b = ours(), theirs()  # also warms both up
    turns = options.turns or (9 if size == 1 else 3)
    wall: dict[str, list[float]] = {"likeness": [], "diffusers": []}
    cpu: dict[str, list[float]] = {"likeness": [], "diffusers": []}
    for turn in range(turns):
        sides = [("likeness", ours), ("diffusers", theirs)]
        for name, draw in sides if turn % 2 == 0 else reversed(sides):
            passed, worked = seconds(draw, options.device)
            wall[name].append(passed / size)
            cpu[name].append(worked / size)
    return {
        "batch": size,
        "turns": turns,
        "seconds_per_face": {name: statistics.median(found) for name, found in wall.items()},
        "least": {name: min(found) for name, found in wall.items()},
        "cpu_seconds_per_face": {name: statistics.median(found) for name, found in cpu.items()},
        "ratio": ratio(wall),
        "cpu_ratio": ratio(cpu),
        "identical": all(np.array_equal(x, y) for x, y in zip(a, b, strict=True)),
    }


def seconds(draw: Callable[[], Any], device: str) -> tuple[float, float]:
    """By the clock, and of processor time: on a busy machine only the second, with one thread, can be trusted."""
    started, worked = time.perf_counter(), time.process_time()
    draw()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started, time.process_time() - worked


def ratio(times: dict[str, list[float]]) -> float:
    return statistics.median(x / y for x, y in zip(times["likeness"], times["diffusers"], strict=True))


def show(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'batch':>5}  {'side':<10}{'s / face':>9}{'least':>9}{'faces / s':>11}{'CPU s':>14}{'ratio':>8}{'of CPU':>8}"
    )
    for row in rows:
        for name, found in row["seconds_per_face"].items():
            line = f"{row['batch']:>5}  {name:<10}{found:9.3f}{row['least'][name]:9.3f}{1 / found:11.2f}"
            line += f"{row['cpu_seconds_per_face'][name]:14.3f}"
            print(line + (f"{row['ratio']:8.3f}{row['cpu_ratio']:8.3f}" if name == "likeness" else ""))
        print(f"{'':>5}  pictures are {'the same to the bit' if row['identical'] else 'NOT THE SAME'}")


if __name__ == "__main__":
    main()
