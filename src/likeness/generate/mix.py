"""Faces of groups and between groups: blended class embeddings, or composed scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ..models.ddpm import GroupModel
from .denoise import denoise
from .guidance import WHOLE, Guidance, Interval, guided
from .mixture import METHODS, check_method

__all__ = ["METHODS", "draw"]


@torch.no_grad()
def draw(
    model: GroupModel,
    parts: Sequence[Mapping[str, float]],
    seeds: Sequence[int],
    steps: int = 30,
    guidance: float = 2.0,
    method: str = "blend",
    scheduler: str = "dpm++2m",
    step: Callable[[], None] = lambda: None,
    noise: Tensor | None = None,
    interval: Interval = WHOLE,
) -> Tensor:
    """Pixels (B, 3, H, W) in about [-1, 1]: picture i of the mixture `parts[i]` (group -> share) from `seeds[i]`.

    `blend` gives the network one class embedding, the mean of the groups' by their shares. `compose` adds up what the
    network says of each group, u + s * sum_g w_g (c_g - u): Liu et al. 2022, "Compositional Visual Generation with
    Composable Diffusion Models", eq. 11, with weights s * w_g. An empty mixture is any face. `noise` (B, 3, H, W): what
    to start from instead of what the seeds give. `interval`: where guidance holds (`guidance.Guidance`). Raises
    `UsageError` for an unknown group or method.
    """
    config = model.scheduler.config
    led = Guidance(guidance, interval, config.num_train_timesteps)
    weights = torch.stack([model.weights(dict(part)) for part in parts])  # (B, G)
    silent = torch.zeros_like(weights)
    used = [g for g in range(weights.shape[1]) if weights[:, g].any()]

    def blend(x: Tensor, t: Tensor) -> Tensor:
        scale = led.at(t)
        if scale == 1 or not used:
            return model.predict(x, t, weights)
        said, unsaid = model.predict(torch.cat([x, x]), torch.cat([t, t]), torch.cat([weights, silent])).chunk(2)
        return guided(said, unsaid, scale)

    def compose(x: Tensor, t: Tensor) -> Tensor:
        unsaid = model.predict(x, t, silent)
        found = unsaid.clone()
        for g in used:
            pure = torch.zeros_like(weights)
            pure[:, g] = 1
            share = weights[:, g].view(-1, 1, 1, 1).to(x.device)
            found += led.at(t) * share * (model.predict(x, t, pure) - unsaid)
        return found

    says = {"blend": blend, "compose": compose}[check_method(method)]

    def network(x: Tensor, t: Tensor) -> Tensor:
        return says(x.contiguous(memory_format=torch.channels_last), t)

    shape = (3, model.size, model.size)
    return denoise(network, config, shape, seeds, steps, scheduler, model.unet.device, step, noise)
