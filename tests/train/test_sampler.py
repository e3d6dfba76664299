import numpy as np
import pytest
import torch

from likeness.errors import UsageError
from likeness.train.sampler import Sampler, noise_for, sample_seed, step_generator, times_for


def test_an_epoch_is_a_permutation_and_epochs_differ():
    sampler = Sampler(12, batch=4, seed=3)
    epochs = [[i for step in range(3 * e, 3 * e + 3) for i in sampler.indices(step)] for e in range(2)]
    assert [sorted(e) for e in epochs] == [list(range(12))] * 2
    assert epochs[0] != epochs[1]


def test_any_step_can_be_asked_for_at_once():
    walked = Sampler(7, batch=3, seed=0)
    in_order = [walked.indices(step) for step in range(20)]
    assert [Sampler(7, batch=3, seed=0).indices(step) for step in reversed(range(20))] == in_order[::-1]


def test_workers_share_the_single_worker_order():
    alone = Sampler(10, batch=4, seed=5)
    pair = [Sampler(10, batch=2, seed=5, rank=r, world=2) for r in (0, 1)]
    for step in range(6):
        assert sorted(pair[0].indices(step) + pair[1].indices(step)) == sorted(alone.indices(step))


def test_weights_are_ratios_of_how_often():
    weights = np.array([5.0] + [1.0] * 99)
    sampler = Sampler(100, batch=100, seed=0, weights=weights)
    drawn = np.bincount(np.concatenate([sampler.indices(s) for s in range(400)]), minlength=100)
    assert 4.5 < drawn[0] / drawn[1:].mean() < 5.5


def test_randomness_is_a_function_of_seed_and_place():
    assert sample_seed(0, 1) == sample_seed(0, 1) != sample_seed(1, 1) != sample_seed(0, 2)
    one, again, other = (torch.randn(3, generator=step_generator(0, s)) for s in (4, 4, 5))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_noise_and_times_belong_to_the_place_and_not_to_who_draws_them():
    whole, times = noise_for(0, range(8), (2, 3)), times_for(0, range(8), 1000)
    pair = [Sampler(10, batch=4, seed=0, rank=r, world=2).positions(0) for r in (0, 1)]
    for positions in pair:
        assert torch.equal(noise_for(0, positions, (2, 3)), whole[positions])
        assert torch.equal(times_for(0, positions, 1000), times[positions])
    assert not torch.equal(noise_for(1, range(8), (2, 3)), whole)
    many = times_for(0, range(3000), 10)
    assert torch.bincount(many, minlength=10).min() > 230  # uniform: 300 each; 4 deviations are 66
    noise = noise_for(0, range(3000), (10,))
    assert abs(noise.mean()) < 0.03 and abs(noise.std() - 1) < 0.03


def test_no_images_is_an_error():
    with pytest.raises(UsageError, match="no training images"):
        Sampler(0, 1, 0)
