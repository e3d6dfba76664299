"""Several processes on one store, and processes that are killed: nothing lost, doubled, half-written or left over."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from likeness.service.store import Entry, NewEntry, Store
from store_places import PLACES, files, place, start

LATER = 7200  # seconds: whatever nothing names may go by then


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


def everything(store: Store) -> list[Entry]:
    found, cursor = [], None
    while True:
        page = store.search("local", before=cursor, limit=200)
        found += page.entries
        if (cursor := page.next) is None:
            return found


def whole(store: Store, folder: Path) -> None:
    """Every entry has its picture, every file is whole, and after a while no other file is there."""
    named = {entry.digest for entry in everything(store)}
    for digest in named:
        assert digest is not None and (found := store.picture(digest)) is not None
        assert hashlib.sha256(found).hexdigest() == digest
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
        elif path.is_file():
            os.utime(path, (0, 0))  # a leftover of a killed process, as it will be in an hour
    later = Store.open(store.database.name, folder, ttl=0, clock=lambda: time.time() + LATER)
    assert files(folder) == named and later.counts()["pictures"] == len(named)
    later.close()


def crowd(url: str, folder: Path, processes: int, rounds: int) -> None:
    working = [start("mixed", url, folder, number, rounds) for number in range(processes)]
    said = [(process.communicate(timeout=300), process.returncode) for process in working]
    assert not [errors for (_, errors), code in said if code]
    lines = [line.split() for (output, _), _ in said for line in output.splitlines()]
    told = {word: [line[1] for line in lines if line[0] == word] for word in ("recorded", "deleted", "favourite")}

    assert len(told["recorded"]) == len(set(told["recorded"])) >= processes * rounds
    assert not [name for name, times in Counter(told["deleted"]).items() if times > 1]  # one of them deleted it
    store = Store.open(url, folder)
    left = everything(store)
    assert len(left) == len({entry.id for entry in left})
    assert {entry.id for entry in left} == set(told["recorded"]) - set(told["deleted"])
    assert {entry.id for entry in left if entry.favourite} == set(told["favourite"]) - set(told["deleted"])
    assert told["deleted"] and told["favourite"]
    digests = {line[1]: line[2] for line in lines if line[0] == "recorded"}
    assert not [entry for entry in left if entry.digest != digests[entry.id]]
    whole(store, folder)
    store.close()


def killed(url: str, folder: Path, times: int) -> None:
    dice, answered = random.Random(7), {}
    for number in range(times):
        working = [start("endless", url, folder, 2 * number + n, 0) for n in range(2)]
        for process in working:
            assert process.stdout and process.stdout.readline()  # it writes by now
        time.sleep(dice.uniform(0, 0.2))
        for process in working:
            process.kill()
        for process in working:
            lines = [line.split() for line in process.communicate()[0].splitlines()]
            answered |= {line[1]: line[2] for line in lines if len(line) == 3 and len(line[2]) == 64}
    store = Store.open(url, folder)
    found = {entry.id: entry.digest for entry in everything(store)}
    assert answered.items() <= found.items()  # more may be there: recorded, and killed before the answer
    whole(store, folder)
    store.close()


def test_two_processes_at_once(url: str, tmp_path: Path):
    crowd(url, tmp_path / "pictures", 2, 6)


@pytest.mark.slow
def test_five_processes_at_once(url: str, tmp_path: Path):
    crowd(url, tmp_path / "pictures", 5, 25)


def test_a_killed_server_loses_nothing(url: str, tmp_path: Path):
    killed(url, tmp_path / "pictures", 1)


@pytest.mark.slow
def test_servers_killed_ten_times_lose_nothing(url: str, tmp_path: Path):
    killed(url, tmp_path / "pictures", 10)


def test_processes_that_remember_one_caption_agree_on_it(url: str, tmp_path: Path):
    """The first one's stays: both answer it from then on."""
    working = [start("captions", url, tmp_path / "pictures", number, 6) for number in range(2)]
    said = [process.communicate(timeout=300)[0].splitlines() for process in working]
    assert len(said[0]) == 6 and said[0] == said[1]


DYING = """
import os, signal, sys
from pathlib import Path
from likeness.service.store import NewEntry, Store, loose, migrations, pictures
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
url, folder, moment = sys.argv[1:]
store = Store.open(url, folder)
real = os.replace
if moment == "in the middle of the file":
    whole = Path.write_bytes
    Path.write_bytes = lambda path, data: (whole(path, data[:1000]), die())
elif moment == "before the renaming":
    os.replace = die
elif moment == "before the row":
    store.record = die
elif moment == "before the row is committed":
    import likeness.service.store.history as history
    history._entry = die
digest = store.put_picture(b"picture" * 1000)
entry = store.record(NewEntry("local", "image", "dying", {}, digest=digest))
if moment == "between the file's removal and the commit":
    loose.delete = die
    store._clock = lambda: entry.created.timestamp() + 3600
    store.delete(entry.id, "local")
"""
MOMENTS = (
    "in the middle of the file",
    "before the renaming",
    "before the row",
    "before the row is committed",
    "between the file's removal and the commit",
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_death_at_the_worst_moment(tmp_path: Path, moment: str):
    url, folder = place("sqlite", tmp_path), tmp_path / "pictures"
    process = start(url, folder, moment, code=DYING)
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == -9, errors
    store = Store.open(url, folder)
    assert everything(store) == []  # no entry without its picture, and the deleted one stays deleted
    digest = hashlib.sha256(b"picture" * 1000).hexdigest()
    assert store.picture(digest) in (None, b"picture" * 1000)
    again = store.record(NewEntry("local", "image", "again", {}, digest=store.put_picture(b"picture" * 1000)))
    assert again.digest == digest and store.picture(digest) == b"picture" * 1000
    store.delete(again.id, "local")
    whole(store, folder)  # and nothing of the dead process stays
    assert files(folder) == set()
    store.close()
