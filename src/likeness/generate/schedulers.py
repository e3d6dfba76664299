"""Schedulers under the names that people know them by. All are diffusers'; the model's own noise schedule is kept."""

from __future__ import annotations

import re
from typing import Any

from ..config import suggest
from ..errors import MissingExtra, UsageError

_KARRAS = {"use_karras_sigmas": True}
_PLAIN = {"use_karras_sigmas": False}
_DPM = {"algorithm_type": "dpmsolver++", "solver_order": 2}
_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}

# name -> (class in diffusers, what is changed in the model's own configuration)
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "dpm++2m": ("DPMSolverMultistepScheduler", _DPM | _PLAIN),
    "dpm++2m-karras": ("DPMSolverMultistepScheduler", _DPM | _KARRAS),
    "dpm++2m-sde": ("DPMSolverMultistepScheduler", _SDE | _PLAIN),
    "dpm++2m-sde-karras": ("DPMSolverMultistepScheduler", _SDE | _KARRAS),
    "unipc": ("UniPCMultistepScheduler", _PLAIN),
    "deis": ("DEISMultistepScheduler", _PLAIN),
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", _PLAIN),
    "euler-karras": ("EulerDiscreteScheduler", _KARRAS),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", _PLAIN),
    "lms": ("LMSDiscreteScheduler", _PLAIN),
    "lms-karras": ("LMSDiscreteScheduler", _KARRAS),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
}
_ALIASES = {"plms": "pndm", "dpmpp2m": "dpm++2m", "dpmsolver++": "dpm++2m", "euler ancestral": "euler-a"}


def canonical(name: str) -> str:
    """`DPM++ 2M Karras` -> `dpm++2m-karras`. Raises `UsageError` with a suggestion."""
    known = {_squeeze(n): n for n in SCHEDULERS} | {_squeeze(a): n for a, n in _ALIASES.items()}
    found = known.get(_squeeze(name))
    if found is None:
        raise UsageError(f"unknown scheduler {name!r}{suggest(name.lower(), list(SCHEDULERS))}")
    return found


def make(name: str, config: Any) -> Any:
    """A fresh scheduler for a model whose scheduler has this configuration.

    Prediction type, betas, zero terminal SNR and spacing come over. A class that cannot rescale betas itself gets them
    rescaled: a model trained to zero terminal SNR would otherwise start from a noise level that it never saw.
    """
    import diffusers

    class_name, changes = SCHEDULERS[name]
    cls = getattr(diffusers, class_name)
    if config.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in _parameters(cls):
        changes = changes | {"trained_betas": _zero_snr_betas(config)}
    try:
        scheduler = cls.from_config(config, **changes)
    except ImportError:  # diffusers puts a stand-in where a scheduler's own requirement is missing
        raise MissingExtra(f"scheduler {name} needs scipy: pip install scipy, or take another scheduler") from None
    if hasattr(scheduler, "set_begin_index"):
        _start_at_zero(scheduler)
    return scheduler


def times(scheduler: Any, steps: int, strength: float = 1.0) -> list[float]:
    """The times that diffusers' pipelines ask the network at; image-to-image starts on the way (`get_timesteps`)."""
    scheduler.set_timesteps(steps)
    skipped = steps - min(int(steps * strength), steps)
    found: list[float] = scheduler.timesteps[skipped * scheduler.order :].tolist()
    return found


def _start_at_zero(scheduler: Any) -> None:
    """Count steps from 0 instead of looking the first timestep up: Karras spacing at zero terminal SNR rounds several
    noise levels to one timestep, and diffusers then starts at the second and runs off the end."""
    plain = scheduler.set_timesteps

    def set_timesteps(*args: Any, **settings: Any) -> None:
        plain(*args, **settings)
        scheduler.set_begin_index(0)  # image-to-image sets its own right after

    scheduler.set_timesteps = set_timesteps


def _squeeze(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower())


def _parameters(cls: Any) -> set[str]:
    import inspect

    return set(inspect.signature(cls.__init__).parameters)


def _zero_snr_betas(config: Any) -> list[float]:
    """Betas with (almost) no signal left at the end: Lin et al. 2023, algorithm 1; 2**-24 as in diffusers."""
    import torch
    from diffusers import DDIMScheduler

    full = DDIMScheduler.from_config(config).alphas_cumprod.double()
    full[-1] = 2**-24  # sigma-space solvers divide by it
    alphas = torch.cat([full[:1], full[1:] / full[:-1]])
    return (1 - alphas).tolist()
