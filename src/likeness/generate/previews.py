"""What a picture would be if drawing stopped now: from a solver's step to latents, and from latents to a small JPEG."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

LARGEST = 256  # pixels of a preview's longer side
# latents (4) -> red, green, blue in 0 to 1, each with an offset: linear fits, good enough to see what comes
COLOURS: dict[str, tuple[tuple[tuple[float, ...], ...], tuple[float, float, float]]] = {
    # keturn 2022, discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling; pixels in -1 to 1 there
    "sd": (
        ((0.149, 0.0935, -0.079, -0.092), (0.1035, 0.143, 0.0945, -0.1355), (0.104, 0.0865, 0.132, -0.2365)),
        (0.5, 0.5, 0.5),
    ),
    # T. A. Vass 2024, huggingface.co/blog/TimothyAlexisVass/explaining-the-sdxl-latent-space; in 255ths there
    "sdxl": (
        ((0.235, -0.235, 0.098, -0.275), (0.235, -0.02, 0.059, -0.196), (0.235, 0.039, -0.02, -0.137)),
        (0.588, 0.549, 0.51),
    ),
}


def watch(scheduler: Any) -> Callable[[], Tensor]:
    """Look on at each step of a fresh solver; the function gives the clean latents as guessed at the last step."""
    plain = scheduler.step
    seen: dict[str, Any] = {}

    @functools.wraps(plain)  # pipelines ask its signature what it takes
    def step(model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **settings: Any) -> Any:
        found = plain(model_output, timestep, sample, *args, **settings)
        seen.update(said=model_output, at=timestep, noisy=sample, index=getattr(scheduler, "step_index", None))
        return found

    scheduler.step = step
    return lambda: clean(scheduler, **seen)


def clean(scheduler: Any, said: Tensor, at: Any, noisy: Tensor, index: int | None) -> Tensor:
    """Clean latents (B, C, h, w) from noisy ones and what the network said of them at timestep `at`.

    With signal a and noise s of a variance-preserving process: x0 = (x - s e) / a for a network that says the noise,
    x0 = a x - s v for one that says v (Salimans & Ho 2022, app. D). `index` is the solver's count behind the step.
    """
    if hasattr(scheduler, "sigmas") and index is not None:
        sigma = scheduler.sigmas[index - 1].to(noisy)  # noise to signal
        signal = (1 + sigma**2) ** -0.5
        noise = sigma * signal
        if float(scheduler.init_noise_sigma) != 1:  # it keeps x = x0 + sigma e
            noisy = noisy * signal
    else:
        signal = scheduler.alphas_cumprod[int(at)].to(noisy) ** 0.5
        noise = (1 - signal**2) ** 0.5
    kind = scheduler.config.prediction_type
    if kind == "sample":
        return said
    if kind == "v_prediction":
        return signal * noisy - noise * said
    return (noisy - noise * said) / signal.clamp(min=1e-3)


def jpeg(pixels: Tensor, size: tuple[int, int]) -> bytes:
    """(3, H, W) in 0 to 1 -> JPEG in the shape of a picture of `size`, no larger than `LARGEST`."""
    from PIL import Image

    array = (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    scale = min(1.0, LARGEST / max(size))
    wanted = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    image = Image.fromarray(array)
    with io.BytesIO() as file:
        (image if image.size == wanted else image.resize(wanted, Image.Resampling.BICUBIC)).save(
            file, "JPEG", quality=80
        )
        return file.getvalue()


def colours(latents: Tensor, kind: str) -> Tensor:
    """(1, 4, h, w) -> (3, h, w) in 0 to 1 by a linear map of `COLOURS`."""
    rows, offset = COLOURS[kind]
    weights = torch.tensor(rows).to(latents)
    return torch.einsum("rc,chw->rhw", weights, latents[0]) + torch.tensor(offset).to(latents)[:, None, None]
