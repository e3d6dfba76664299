"""The loss as a table and a picture, and its mean by epoch."""

import csv

import numpy as np
import pytest
from PIL import Image

from likeness.runs import RunFolder
from likeness.train.curve import draw, losses, merged, ticks, write_curve
from likeness.train.epochs import epochs, mean_between
from likeness.train.hooks import State


def test_the_table_has_a_row_for_each_count_of_images(tmp_path):
    run = RunFolder(tmp_path)
    run.log(8, loss=1.0, learning_rate=0.1)
    run.log(16, loss=0.5, learning_rate=0.1)
    run.log(16, epoch=1, epoch_loss=0.75)
    write_curve(run)
    run.close()
    with open(tmp_path / "loss.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["images"], r["loss"], r["epoch"], r["epoch_loss"]) for r in rows] == [
        ("8", "1.0", "", ""), ("16", "0.5", "1", "0.75"),
    ]  # fmt: skip
    with Image.open(tmp_path / "training_loss.png") as picture:
        assert picture.size == (1200, 700)


def test_nothing_logged_writes_nothing_and_no_loss_draws_nothing(tmp_path):
    run = RunFolder(tmp_path)
    write_curve(run)
    assert not list(tmp_path.iterdir())
    run.log(8, speed=3.0)
    write_curve(run)
    run.close()
    assert (tmp_path / "loss.csv").exists() and not (tmp_path / "training_loss.png").exists()


def darkest_row(picture, colour, columns):
    """Mean height of a colour's pixels within `columns`, in pixels from the top, below the legend."""
    pixels = np.asarray(picture).astype(int)[62:640, columns]
    rows = np.nonzero((np.abs(pixels - colour).sum(-1) < 60).any(1))[0]
    assert len(rows), "the curve is not there"
    return rows.mean()


@pytest.mark.parametrize("least", [0.01, -1.0])
def test_a_falling_loss_falls_on_the_picture(least):
    falling = [(i * 100, least + 1 / i) for i in range(1, 50)]
    picture = draw({"epoch_loss": falling})
    colour = np.array([0x1F, 0x4E, 0x8C])
    assert darkest_row(picture, colour, slice(92, 150)) < darkest_row(picture, colour, slice(1000, 1160)) - 100


def test_one_point_and_equal_points_can_be_drawn():
    assert draw({"loss": [(8, 0.5)]}).size == draw({"loss": [(8, 0.0), (16, 0.0)]}).size


def test_numbers_that_are_not_finite_are_left_out():
    rows = merged([{"images": 8, "loss": float("nan")}, {"images": 16, "loss": 1.0, "speed": 2.0}])
    assert losses(rows) == {"loss": [(16, 1.0)]}


def test_ticks_are_round_and_within():
    assert ticks(0, 100, False) == [0, 20, 40, 60, 80, 100]
    assert ticks(0.02, 0.6, True) == [0.02, 0.05, 0.1, 0.2, 0.5]
    assert all(1e-9 <= t <= 1e9 for t in ticks(1e-9, 1e9, True)) and 0.5 in ticks(0.4, 0.6, False)


def test_the_mean_of_an_epoch_weighs_rows_by_what_they_share_with_it():
    rows = [(6, 1.0), (12, 3.0), (18, 8.0)]
    assert mean_between(rows, 0, 10) == pytest.approx((6 * 1 + 4 * 3) / 10)
    assert mean_between(rows, 10, 20) == pytest.approx((2 * 3 + 6 * 8) / 8)  # the last two are not logged yet
    assert mean_between([], 0, 10) is None


def play(run, losses_, stop=None, begin=0):
    """A run of steps of 4 images and epochs of 10, logged every 4, as the loop would."""
    hook = epochs(run, 10)
    for i, loss in enumerate(losses_):
        images = 4 * (i + 1)
        if begin < images <= (stop or 10**9):
            run.log(images, loss=loss)
            hook(State(images=images, total=4 * len(losses_), step_images=4))


def test_a_run_that_goes_on_logs_the_same_epochs(tmp_path):
    values = [float(i) for i in range(1, 11)]
    whole, halves = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "halves")
    play(whole, values)
    play(halves, values, stop=24)
    halves.forget_after(16)
    play(halves, values, begin=16)
    rows = [[r for r in run.metrics() if "epoch" in r] for run in (whole, halves)]
    for run in (whole, halves):
        run.close()
    assert rows[0] == rows[1] and [r["epoch"] for r in rows[0]] == [1, 2, 3, 4]
    assert rows[0][0]["epoch_loss"] == pytest.approx((4 * 1 + 4 * 2 + 2 * 3) / 10)
