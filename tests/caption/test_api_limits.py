"""The limiter's promise over any window, what a server's "wait" means, and how long to back off."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from types import SimpleNamespace

import pytest
from unruly import Arrival, peak

import patient
from likeness.caption import limits
from likeness.caption.limits import Limiter, backoff, retry_after
from likeness.errors import UsageError

WINDOW = 0.3


@pytest.fixture(autouse=True)
def _exact_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limiter looks at the clock of a loop on which nothing is ever late."""
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=patient.monotonic, time=time.time))


async def send(limiter: Limiter, arrivals: list[Arrival], reserved: int, took: int, delay: float = 0.0) -> None:
    """A request: granted, then sent, then arrived after `delay`, then answered."""
    grant = await limiter.acquire(reserved)
    limiter.sent(grant)
    await asyncio.sleep(delay)
    arrivals.append(Arrival(patient.monotonic(), took))
    limiter.settle(grant, took)


def run(limiter: Limiter, count: int, reserved: int = 0, took: int = 0, delay: float = 0.0) -> list[Arrival]:
    arrivals: list[Arrival] = []

    async def all_of_them() -> None:
        await asyncio.gather(*(send(limiter, arrivals, reserved, took, delay) for _ in range(count)))

    patient.run(all_of_them())
    return arrivals


def test_the_checker_finds_the_fullest_window_wherever_it_lies():
    """The tests trust `peak`, so it is checked by trying every window by hand."""
    times = [0.0, 0.1, 0.95, 1.0, 1.05, 1.9, 3.0]
    arrivals = [Arrival(t, 10 * i) for i, t in enumerate(times)]
    most = max(sum(1 for u in times if t - 1 < u <= t) for t in times)
    assert peak(arrivals, 1.0, lambda a: 1) == most == 4
    tokens = max(sum(a.tokens for a in arrivals if t - 1 < a.at <= t) for t in times)
    assert peak(arrivals, 1.0, lambda a: a.tokens) == tokens


def test_no_window_sees_more_requests_than_the_limit_and_none_is_wasted():
    arrivals = run(Limiter(requests=10, window=WINDOW), 35)
    assert len(arrivals) == 35
    assert peak(arrivals, WINDOW, lambda a: 1) == 10  # not more, and not less either: the limit is used


def test_requests_that_arrive_late_count_from_when_they_may_arrive():
    """The slowest way to the server must not push two windows' requests together."""
    limiter = Limiter(requests=5, window=WINDOW)
    assert peak(run(limiter, 15, delay=limiter.margin * 0.8), WINDOW, lambda a: 1) <= 5


def test_a_request_that_never_comes_back_counts_for_one_window_only():
    limiter = Limiter(requests=2, window=WINDOW)

    async def go() -> float:
        limiter.sent(await limiter.acquire())  # never settled
        await limiter.acquire()  # not even sent: it holds its place until it is
        started = patient.monotonic()
        await asyncio.wait_for(limiter.acquire(), 5)
        return patient.monotonic() - started

    assert WINDOW <= patient.run(go()) <= WINDOW + limiter.margin + 1e-6


def test_tokens_are_reserved_before_and_settled_after():
    """What is reserved keeps others out until it is settled; what was settled makes room again."""
    arrivals = run(Limiter(tokens=100, window=WINDOW), 3, reserved=100, took=20)
    assert peak(arrivals, WINDOW, lambda a: a.tokens) <= 100
    assert peak(arrivals, WINDOW, lambda a: 1) == 1  # in flight it may still cost 100: nothing else fits beside it
    arrivals = run(Limiter(tokens=100, window=WINDOW), 12, reserved=30, took=20)
    assert 80 <= peak(arrivals, WINDOW, lambda a: a.tokens) <= 100


def test_a_request_larger_than_the_limit_is_an_error_that_names_the_setting():
    with pytest.raises(UsageError, match="tokens_per_minute is 100"):
        run(Limiter(tokens=100), 1, reserved=101)


def test_a_pause_holds_everybody():
    limiter = Limiter(window=WINDOW)
    arrivals: list[Arrival] = []

    async def go() -> float:
        limiter.pause(0.2)
        started = patient.monotonic()
        await asyncio.gather(*(send(limiter, arrivals, 0, 0) for _ in range(3)))
        return started

    started = patient.run(go())
    assert len(arrivals) == 3 and min(a.at for a in arrivals) - started == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "2", "retry-after-ms": "150"}, 0.15),
        ({"retry-after": formatdate(1000 + 30, usegmt=True), "date": formatdate(1000, usegmt=True)}, 30),
        ({"retry-after": formatdate(1000, usegmt=True), "date": formatdate(1060, usegmt=True)}, 0),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers) == seconds


def test_a_date_without_the_servers_clock_is_taken_by_ours():
    wait = retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert wait is not None and 25 < wait <= 30


def test_backoff_grows_twofold_up_to_its_limit_and_uses_the_whole_range():
    for attempt, most in ((0, 1.0), (3, 8.0), (10, 60.0)):
        drawn = [backoff(attempt) for _ in range(400)]
        assert 0 <= min(drawn) < 0.1 * most and 0.9 * most < max(drawn) <= most
