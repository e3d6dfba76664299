"""The safety checker of Stable Diffusion: CLIP's view of a picture against a list of concepts (Rando et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ModelNotFound, UsageError
from ..models import hub
from ..models.stable_diffusion import quiet

REPOSITORY = "CompVis/stable-diffusion-safety-checker"
REVISION = "cb41f3a270d63d454d385fc2e4f571c487c253c5"
FOLDER = "safety_checker"
# of CLIP's training (Radford et al. 2021)
MEAN, SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Checker:
    """diffusers' `StableDiffusionSafetyChecker`, asked for its opinion only: pictures are not painted over."""

    def __init__(self, network: Any, device: Any) -> None:
        self.network = network.eval().to(device)
        self.side = int(network.config.vision_config.image_size)
        self.device = device

    @classmethod
    def find(cls, model: Path, device: Any) -> Checker:
        """The model's own checker if its folder has one, else the published one. Raises `UsageError`."""
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

        own = model / FOLDER
        place = own if (own / "config.json").is_file() else _published(model)
        try:
            with quiet():
                return cls(StableDiffusionSafetyChecker.from_pretrained(place), device)
        except (OSError, ValueError, RuntimeError, AttributeError, TypeError) as error:
            raise UsageError(f"the safety checker in {place} cannot be loaded ({_short(error)}): {_REMEDY}") from None

    def flags(self, pictures: Sequence[Any]) -> list[bool]:
        """For each PIL image, whether it shows what is not to be shown."""
        import numpy as np
        import torch
        from PIL import Image, ImageOps

        square = [ImageOps.fit(p.convert("RGB"), (self.side,) * 2, Image.Resampling.BICUBIC) for p in pictures]
        pixels = torch.from_numpy(np.stack([np.asarray(p, np.float32) for p in square])) / 255  # (B, H, W, 3)
        pixels = (pixels - torch.tensor(MEAN)) / torch.tensor(SPREAD)
        unused = [np.zeros((1, 1, 3))] * len(square)  # it would paint these black
        with quiet():
            _, found = self.network(clip_input=pixels.permute(0, 3, 1, 2).to(self.device), images=unused)
        return [bool(flag) for flag in found]


_REMEDY = f"put {REPOSITORY} into the model's folder as {FOLDER}/, or serve without one: --no-safety-checker"


def _published(model: Path) -> Path:
    for revision in (REVISION, None):
        if (found := hub.cached(REPOSITORY, "config.json", revision)) is not None:
            return found.parent
    if not hub.hub_reachable():
        raise UsageError(f"no safety checker for {model.name}, and {hub.hub()} cannot be reached: {_REMEDY}")
    try:
        return hub.fetch(REPOSITORY, REVISION)
    except Exception as error:  # the hub client raises a wide family
        raise ModelNotFound(f"no safety checker: {hub.explain(REPOSITORY, error)}; {_REMEDY}") from None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
