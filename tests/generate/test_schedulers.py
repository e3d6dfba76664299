import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, PNDMScheduler

from likeness.errors import UsageError
from likeness.generate.schedulers import SCHEDULERS, canonical, make
from likeness.models.registry import ASSETS
from likeness.provenance import SAMPLERS

CONFIG = DPMSolverMultistepScheduler.load_config(ASSETS / "mini" / "scheduler")


def test_names_are_read_as_people_write_them():
    for written, name in {
        "DPM++ 2M Karras": "dpm++2m-karras", "DPM++ 2M": "dpm++2m", "Euler a": "euler-a",
        "PLMS": "pndm", "DDIM": "ddim",
        "dpm++_2m": "dpm++2m", "UniPC": "unipc",
    }.items():  # fmt: skip
        assert canonical(written) == name
    with pytest.raises(UsageError, match="unknown scheduler"):
        canonical("fast")


def test_recipes_have_a_name_for_each():
    assert set(SAMPLERS) == set(SCHEDULERS)
    assert len(set(SAMPLERS.values())) == len(SAMPLERS)  # two alike could not be read back


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_training_schedule_is_kept(name):
    """v-prediction, trailing spacing, and no signal left at the end: a model trained so draws mud otherwise."""
    scheduler = make(name, CONFIG)
    assert scheduler.config.prediction_type == "v_prediction"
    assert scheduler.config.timestep_spacing == "trailing"
    assert scheduler.alphas_cumprod[-1] < 1e-6
    reference = DPMSolverMultistepScheduler.from_config(CONFIG).alphas_cumprod
    assert torch.allclose(scheduler.alphas_cumprod[:-1].float(), reference[:-1], atol=1e-4)
    scheduler.set_timesteps(4)
    assert float(scheduler.timesteps[0]) >= 998


def test_models_without_zero_snr_keep_their_betas():
    own = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True)
    for name in SCHEDULERS:
        assert torch.allclose(make(name, own.config).betas.float(), own.betas, atol=1e-7), name


def test_karras_at_zero_snr_runs_to_its_end():
    scheduler = make("dpm++2m-karras", CONFIG)
    scheduler.set_timesteps(24)
    x = torch.zeros(1, 8, 4, 4)
    for t in scheduler.timesteps:
        x = scheduler.step(torch.zeros_like(x), t, x).prev_sample
    assert torch.isfinite(x).all()
