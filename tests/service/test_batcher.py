"""Who is drawn next and with whom, by artists who hold their batches until they are told to finish."""

import asyncio
from dataclasses import dataclass, field

import pytest

import patient
from likeness.generate.resolve import resolve
from likeness.models.registry import find
from likeness.records import ImageRequest
from likeness.service.batcher import Batcher
from likeness.service.engine import Busy, Failed, Picture
from likeness.service.tickets import Ticket

MINI = find("mini")


@dataclass(eq=False)
class Slow:
    """An `Artist` that paints the seed's number, when the test says so."""

    desk: Batcher | None = None
    free: bool = True
    batches: list[list] = field(default_factory=list)
    left: list = field(default_factory=list)

    def draw(self, batch, sharing):
        self.free = False
        self.batches.append(list(batch))
        self.sharing = sharing

    def leave(self, place):
        self.left.append(place)

    def finish(self):
        for place in self.batches[-1]:
            seed = place.request.seed
            if place in self.left:
                self.desk.gone(place)
            else:
                self.desk.drawn(place, Picture(str(seed).encode(), seed, 128, 128, {}))
        self.free = True
        self.desk.free(self)

    @property
    def seeds(self):
        return [[place.request.seed for place in batch] for batch in self.batches]


def studio(artists=1, **limits):
    crew = [Slow() for _ in range(artists)]
    batcher = Batcher(crew, **({"max_wait": 0} | limits))
    for artist in crew:
        artist.desk = batcher
    return batcher, *crew


def ask(batcher, seed=0, deadline=None, **changes):
    ticket = Ticket(resolve(ImageRequest(**({"prompt": "a man", "seed": seed} | changes)), MINI))
    batcher.submit(ticket, deadline)
    return ticket


def run(test):
    return lambda: patient.run(test())


def kinds(ticket):
    return [event.kind for event in ticket.log]


@run
async def test_alike_requests_go_together_in_their_order_and_others_wait_their_turn():
    batcher, artist = studio(max_batch=3)
    first = ask(batcher, 1)
    for seed, steps in ((2, 5), (3, 30), (4, 5), (5, 30), (6, 30), (7, 30)):
        ask(batcher, seed, steps=steps)
    for _ in range(4):
        artist.finish()
    # 2 came first, so its kind is next although four of the other kind wait; then those, three at a time
    assert artist.seeds == [[1], [2, 4], [3, 5, 6], [7]]
    assert [picture.seed for picture in await first.result()] == [1] and batcher.depth()["waiting"] == 0


@run
async def test_no_kind_starves_another():
    """However many of one kind keep coming, one of another kind is next when it is the oldest."""
    batcher, artist = studio(max_batch=2)
    ask(batcher, 0)
    for seed in range(1, 20):
        ask(batcher, seed)
        if seed == 3:
            rare = ask(batcher, 100, steps=7)
    for _ in range(3):
        artist.finish()
    assert [100] in artist.seeds[:4] and rare.started


@run
async def test_what_makes_pictures_alike():
    base = {"width": 128, "height": 128, "steps": 5, "guidance": 3.0, "scheduler": "ddim"}
    for change, alike in (
        ({"prompt": "a woman"}, True), ({"seed": 9}, True), ({"steps": 6}, False), ({"guidance": 4.0}, False),
        ({"guidance_interval": (0.0, 0.6)}, False),
        ({"scheduler": "euler"}, False), ({"width": 136}, False), ({"negative_prompt": "hat"}, False),
    ):  # fmt: skip
        batcher, artist = studio()
        for asked in ({}, base, base | change):  # the first is drawn while the others wait
            ask(batcher, **asked)
        artist.finish()
        assert (len(artist.batches[-1]) == 2) is alike, change


@run
async def test_a_free_artist_waits_a_moment_for_company():
    batcher, artist = studio(max_wait=0.05, max_batch=3)
    ask(batcher, 1)
    ask(batcher, 2)
    assert not artist.batches
    await asyncio.sleep(0.2)
    assert artist.seeds == [[1, 2]]
    artist.finish()
    for seed in (3, 4, 5):
        ask(batcher, seed)
    assert artist.seeds[-1] == [3, 4, 5]  # a full batch waits for nobody


@run
async def test_free_artists_share_what_waits():
    batcher, one, two = studio(2, max_wait=0.01)
    for seed in range(6):
        ask(batcher, seed)
    await asyncio.sleep(0.1)
    assert one.seeds == [[0, 1, 2]] and two.seeds == [[3, 4, 5]] and (one.sharing, two.sharing) == (2, 2)
    one.finish()
    two.finish()
    ask(batcher, 9)
    await asyncio.sleep(0.1)
    assert one.sharing == 1 and two.sharing == 2  # alone, it has the machine for itself


@run
async def test_a_request_of_several_pictures_is_whole_when_the_last_has_come():
    batcher, artist = studio(max_batch=2)
    ticket = ask(batcher, 7, count=3)
    artist.finish()
    assert not ticket.over and kinds(ticket) == ["queued", "started", "picture", "picture"]
    artist.finish()
    assert [picture.seed for picture in await ticket.result()] == [7, 8, 9] and kinds(ticket)[-1] == "done"
    assert [event.kind async for event in ticket.events()] == kinds(ticket)  # a late listener hears everything


@run
async def test_the_queue_is_bounded_and_says_when_to_come_again():
    batcher, artist = studio(queue=3)
    for seed in range(4):
        ask(batcher, seed)  # one is drawn, three wait
    with pytest.raises(Busy) as busy:
        ask(batcher, 4)
    assert 1 <= busy.value.retry_after <= batcher.seconds and batcher.depth()["waiting"] == 3
    artist.finish()
    ask(batcher, 5)
    assert batcher.depth()["waiting"] == 1


@run
async def test_a_request_larger_than_the_queue_is_taken_when_nobody_waits():
    batcher, artist = studio(queue=2, max_batch=8)
    ask(batcher, 0)
    ticket = ask(batcher, 1, count=5)
    artist.finish()
    artist.finish()
    assert len(await ticket.result()) == 5


@run
async def test_cancelling_in_the_queue_frees_the_place_at_once_and_moves_the_others_up():
    batcher, artist = studio(queue=2)
    ask(batcher, 0)
    first, second = ask(batcher, 1, steps=5), ask(batcher, 2, steps=6)
    assert second.log[-1].position == 1
    first.cancel()
    assert kinds(first)[-1] == "cancelled" and second.log[-1].position == 0
    ask(batcher, 3)  # there is room again
    artist.finish()
    assert artist.seeds[-1] == [2] and not artist.left
    with pytest.raises(Failed) as failed:
        await first.result()
    assert failed.value.kind == "cancelled"


@run
async def test_cancelling_in_the_batch_tells_the_artist_and_spares_the_mates():
    batcher, artist = studio()
    ask(batcher, 0)
    first, second = ask(batcher, 1), ask(batcher, 2)
    artist.finish()
    first.cancel()
    assert first.over and [place.request.seed for place in artist.left] == [1]
    artist.finish()
    assert [picture.seed for picture in await second.result()] == [2]
    assert batcher.counts["left"] == 1 and batcher.depth()["running"] == 0
    second.cancel()  # no harm when it is over
    assert kinds(second)[-1] == "done"


@run
async def test_a_deadline_ends_waiting_and_drawing_alike():
    batcher, artist = studio()
    drawn, waiting, patient = ask(batcher, 0, 0.05), ask(batcher, 1, 0.05), ask(batcher, 2, 60)
    for late in (drawn, waiting):
        with pytest.raises(Failed, match=r"not finished within 0\.05 s") as failed:
            await late.result()
        assert failed.value.kind == "expired"
    assert [place.request.seed for place in artist.left] == [0]
    artist.finish()
    artist.finish()
    assert artist.seeds == [[0], [2]] and len(await patient.result()) == 1


@run
async def test_a_crash_fails_what_was_being_drawn_and_nothing_else():
    batcher, one, two = studio(2)
    lost, safe = ask(batcher, 0), ask(batcher, 1)
    waiting = ask(batcher, 2, steps=4)
    one.free = False
    batcher.crashed(one)
    assert kinds(lost)[-1] == "failed" and lost.failure.kind == "crash"
    two.finish()
    two.finish()
    assert await safe.result() and await waiting.result() and batcher.counts["crashes"] == 1


@run
async def test_half_a_request_that_crashed_is_not_drawn_on():
    batcher, artist = studio(max_batch=2)
    ticket = ask(batcher, 0, count=5)
    batcher.crashed(artist)
    assert ticket.over and batcher.depth()["waiting"] == 0


@run
async def test_steps_of_one_request_are_told_once():
    batcher, artist = studio()
    ticket = ask(batcher, 0, count=2, steps=2)
    for done in (1, 2):
        for place in artist.batches[0]:
            batcher.stepped(place, done, 2)
    assert [event.step for event in ticket.log if event.kind == "step"] == [1, 2]
