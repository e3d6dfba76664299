import pytest
import torch

from likeness.errors import ConfigError
from likeness.models.mini import noise_schedule
from likeness.train import objective


def test_targets_agree_with_diffusers():
    scheduler = noise_schedule()
    x, noise = torch.randn(4, 8, 4, 4), torch.randn(4, 8, 4, 4)
    t = torch.tensor([0, 10, 500, 999])
    alpha_bar = scheduler.alphas_cumprod[t]
    torch.testing.assert_close(objective.noised(x, noise, alpha_bar), scheduler.add_noise(x, noise, t))
    torch.testing.assert_close(
        objective.target(x, noise, alpha_bar, "v_prediction"), scheduler.get_velocity(x, noise, t)
    )
    assert objective.target(x, noise, alpha_bar, "epsilon") is noise


@pytest.mark.parametrize("prediction", objective.PREDICTIONS)
def test_min_snr_weighs_the_error_on_x_alike_for_every_prediction(prediction):
    # Hang et al. 2023: in terms of x the weight is min(SNR, g). An error d on x is sqrt(SNR) d on epsilon and
    # d / sqrt(1 - alpha_bar) = sqrt(SNR + 1) d on v (with alpha_bar = SNR / (SNR + 1)).
    alpha_bar = torch.tensor([0.01, 0.3, 0.9, 0.99])
    snr = alpha_bar / (1 - alpha_bar)
    error = snr if prediction == "epsilon" else snr + 1
    torch.testing.assert_close(objective.weight(alpha_bar, prediction, 5.0) * error, snr.clamp(max=5.0))


def test_the_step_that_sampling_starts_from_is_trained():
    alpha_bar = noise_schedule().alphas_cumprod[-1:]
    assert alpha_bar.item() < 1e-6  # zero terminal SNR: nothing of the picture is left
    assert objective.weight(alpha_bar, "v_prediction").item() == 1
    assert objective.weight(alpha_bar, "v_prediction", 5.0).item() < 1e-6  # why the combination is refused


@pytest.mark.parametrize(
    ("prediction", "zero", "min_snr", "word"),
    [
        ("v_prediction", True, 5.0, "min_snr"),
        ("epsilon", True, None, "v_prediction"),
        ("flow", False, None, "prediction"),
    ],
)
def test_combinations_that_train_badly_are_refused(prediction, zero, min_snr, word):
    with pytest.raises(ConfigError, match=word):
        objective.check(prediction, zero, min_snr)
