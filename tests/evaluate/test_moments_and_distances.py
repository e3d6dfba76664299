"""Known answers: identical sets, shifted and scaled Gaussians, torchmetrics, and simulation for the intervals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from likeness.errors import UsageError
from likeness.evaluate import floor
from likeness.evaluate.formulas.distances import frechet, frechet_deviation
from likeness.evaluate.formulas.moments import Moments


def cloud(n: int, size: int = 8, seed: int = 0, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(size, size, generator=torch.Generator().manual_seed(99))  # correlated, alike for all
    return torch.randn(n, size, generator=generator) @ mixed + shift


def test_two_workers_add_up_to_one():
    features = cloud(1000, shift=50.0)  # far from zero, where sums of squares lose digits
    whole = Moments.of(features)
    parts = Moments.of(features[:130]) + Moments.of(features[130:131]) + Moments.of(features[131:])
    assert parts.count == whole.count == 1000
    assert (parts.mean - whole.mean).abs().max() < 1e-9
    assert (parts.covariance - whole.covariance).abs().max() < 1e-9
    assert whole.mean.dtype == whole.covariance.dtype == torch.float64
    assert torch.allclose(whole.covariance, torch.cov(features.double().T), atol=1e-9)


def test_a_part_can_be_taken_out_again():
    features = cloud(1000, shift=50.0)
    left = Moments.of(features) - Moments.of(features[:50])
    wanted = Moments.of(features[50:])
    assert left.count == 950
    assert (left.mean - wanted.mean).abs().max() < 1e-9
    assert (left.covariance - wanted.covariance).abs().max() < 1e-9


def test_an_empty_worker_changes_nothing():
    whole = Moments.of(cloud(20))
    for both in (whole + Moments.empty(8), Moments.empty(8) + whole, Moments.of(torch.zeros(0, 8)) + whole):
        assert both.count == 20 and torch.equal(both.mean, whole.mean) and torch.equal(both.scatter, whole.scatter)
    assert (Moments.empty(8) + Moments.empty(8)).count == 0


def test_moments_survive_a_file(tmp_path):
    whole = Moments.of(cloud(20))
    whole.save(tmp_path / "moments.safetensors")
    back = Moments.load(tmp_path / "moments.safetensors")
    assert back.count == 20 and torch.equal(back.mean, whole.mean) and torch.equal(back.scatter, whole.scatter)


def test_bad_moments_are_named(tmp_path):
    with pytest.raises(UsageError, match="no moments"):
        Moments.load(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"not tensors")
    with pytest.raises(UsageError, match="make it again"):
        Moments.load(tmp_path / "bad.safetensors")
    with pytest.raises(UsageError, match="do not add"):
        Moments.empty(8) + Moments.empty(9)
    with pytest.raises(UsageError, match="two images"):
        _ = Moments.of(torch.zeros(1, 8)).covariance
    with pytest.raises(UsageError, match="cannot be compared"):
        frechet(Moments.of(cloud(20)), Moments.of(cloud(20, 4)))


def test_identical_moments_are_at_distance_nought():
    moments = Moments.of(cloud(50))
    assert frechet(moments, moments) == pytest.approx(0, abs=1e-9)
    flat = Moments.of(cloud(5))  # fewer faces than features: a singular covariance
    assert frechet(flat, flat) == pytest.approx(0, abs=1e-6)


def test_gaussians_have_the_closed_form():
    eye = torch.eye(3, dtype=torch.float64)
    mean = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    plain = Moments(101, torch.zeros(3, dtype=torch.float64), eye * 100)
    moved = Moments(101, mean, eye * 100)
    wide = Moments(101, mean, eye * 900)
    assert frechet(plain, moved) == pytest.approx(float(mean @ mean), abs=1e-12)  # |m|^2
    assert frechet(plain, wide) == pytest.approx(float(mean @ mean) + 3 * (3 - 1) ** 2, abs=1e-9)  # + sum (s_a - s_b)^2
    # covariances that commute: diagonal ones, sum of squared differences of the deviations
    a = Moments(2, mean, torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)))
    b = Moments(2, mean, torch.diag(torch.tensor([4.0, 4.0, 1.0], dtype=torch.float64)))
    assert frechet(a, b) == pytest.approx(1 + 0 + 4, abs=1e-9)
    assert frechet(a, b) == pytest.approx(frechet(b, a), abs=1e-12)


def test_more_noise_is_further():
    real = cloud(400)
    noise = torch.randn(400, 8, generator=torch.Generator().manual_seed(5))
    found = [frechet(Moments.of(real + level * noise), Moments.of(real)) for level in (0, 0.5, 1, 2, 4)]
    assert found == sorted(found) and found[1] > found[0] + 1e-6


def test_frechet_is_that_of_torchmetrics():
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Flat(nn.Module):
        num_features = 12

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

    pictures = torch.rand(2, 60, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    real, drawn = pictures[0], pictures[1].square()
    metric = FrechetInceptionDistance(feature=Flat(), normalize=True, input_img_size=(3, 2, 2))
    metric.update(real, real=True)
    metric.update(drawn, real=False)
    theirs = float(metric.compute())
    assert theirs > 0.1  # far from the zero in which both could agree by accident
    assert frechet(Moments.of(real.flatten(1)), Moments.of(drawn.flatten(1))) == pytest.approx(theirs, rel=1e-5)


def test_the_jackknife_finds_the_spread_of_the_distance():
    """Over many samples of 100, against the deviation that the distance really has."""
    reference = Moments.of(cloud(5000, 4, seed=1, shift=0.5))
    samples = [cloud(100, 4, seed=s) for s in range(2, 122)]
    real = torch.tensor([frechet(Moments.of(s), reference) for s in samples]).std()
    told = torch.tensor([frechet_deviation(s, reference) for s in samples]).mean()
    assert 0.8 < told / real < 1.3
    with pytest.raises(UsageError, match="four images"):
        frechet_deviation(samples[0][:2], reference)


def test_the_floor_is_far_below_another_set_and_a_seed_repeats_it(tmp_path):
    unseen, reference = cloud(300, seed=3), Moments.of(cloud(200, seed=4))
    found = floor.distances(unseen, reference, 200)
    assert len(found) == len(set(found)) == 10 and found == floor.distances(unseen, reference, 200)
    assert max(found) < frechet(Moments.of(cloud(200, seed=5, shift=1.0)), reference)
    with pytest.raises(UsageError, match="needs 301 faces and has 300"):
        floor.distances(unseen, reference, 301)


def test_floor_features_belong_to_their_eye(tmp_path):
    weights, other, file = tmp_path / "a", tmp_path / "b", tmp_path / "floor.safetensors"
    weights.write_bytes(b"weights")
    other.write_bytes(b"retrained")
    features = cloud(10)
    floor.write(file, features, weights)
    assert torch.equal(floor.read(file, weights), features.half().float())
    with pytest.raises(UsageError, match="another eye"):
        floor.read(file, other)
    with pytest.raises(UsageError, match="no floor features"):
        floor.read(tmp_path / "none.safetensors")
    file.write_bytes(b"broken")
    with pytest.raises(UsageError, match="does not hold"):
        floor.read(file)
