"""The store in one process: pictures under their hash, history per owner, search, pages, deletion, what is refused."""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from likeness.errors import MissingExtra, UsageError
from likeness.service.store import Cached, Entry, NewEntry, PictureGone, Store, StoreError
from store_places import PLACES, files, place


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=PLACES)
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = Store.open(place(request.param, tmp_path), tmp_path / "pictures", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def local(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = Store.open(place("sqlite", tmp_path), tmp_path / "pictures", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def draw(store: Store) -> Callable[..., Entry]:
    """Record an entry; its picture too where there is one."""

    def drawn(prompt: str = "a face", png: bytes = b"png", owner: str = "local", **facts: object) -> Entry:
        entry = {"kind": "image", "request": {}, "digest": store.put_picture(png)} | facts
        return store.record(NewEntry(owner=owner, prompt=prompt, **entry))  # type: ignore[arg-type]

    return drawn


def prompts(store: Store, **asked: object) -> list[str]:
    return [entry.prompt for entry in store.search("local", **asked).entries]  # type: ignore[arg-type]


def test_an_entry_comes_back_as_it_was_recorded(store: Store, clock: Clock):
    digest = store.put_picture(b"bytes of a picture")
    asked = {"steps": 20, "loras": [["glasses", 0.5]], "odd": "\0\ud800 ü"}
    new = NewEntry(
        "local", "image", "Frau mit Brille, 50 %", asked, "blurry", 2**64 - 1, digest, 128, 96, "mini", "f1",
        {"gender": "female"}, "parent", 1.5,
    )  # fmt: skip
    entry = store.record(new)
    assert {name: getattr(entry, name) for name in new.__dataclass_fields__} == vars(new)
    assert store.entry(entry.id, "local") == entry and not entry.favourite
    assert entry.created.tzinfo is UTC
    assert abs(entry.created - datetime.fromtimestamp(clock.now, UTC)) < timedelta(seconds=0.01)
    assert store.picture(digest) == b"bytes of a picture"
    caption = store.record(NewEntry("local", "caption", "a woman", {}))
    assert caption.digest is None and store.search("local", kind="caption").entries == (caption,)


def test_a_picture_is_written_once_and_mended_when_it_is_damaged(store: Store, tmp_path: Path, caplog):
    digest = store.put_picture(b"picture")
    assert digest == hashlib.sha256(b"picture").hexdigest()
    (path,) = (p for p in (tmp_path / "pictures").rglob("*.png"))
    before = path.stat()
    assert store.put_picture(b"picture") == digest and path.stat().st_ino == before.st_ino  # not written again
    path.write_bytes(b"pict")
    with caplog.at_level(logging.ERROR):
        assert store.picture(digest) is None and digest in caplog.text  # half a picture is none
    assert store.put_picture(b"picture") == digest and store.picture(digest) == b"picture"


def test_names_from_outside_reach_no_file_and_no_row(store: Store, draw, tmp_path: Path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    draw()
    for name in ("../secret", "../../etc/passwd", "", "\0", "A" * 64, "0" * 63, "0" * 64 + "\n", "\ud800", "é" * 64):
        assert store.picture(name) is None
        assert store.entry(name, "local") is None
        assert not store.delete(name, "local") and not store.favourite(name, "local", True)
    for cursor in ("", "x", "\0", "0" * 27, "ZZZZZZZZZZZZZZZZZZZZZZZZZZ"):
        with pytest.raises(UsageError, match="cursor"):
            store.search("local", before=cursor)
    with pytest.raises(UsageError, match="limit"):
        store.search("local", limit=0)


def test_no_entry_without_its_picture(store: Store):
    with pytest.raises(PictureGone, match="ask again"):
        store.record(NewEntry("local", "image", "a face", {}, digest="0" * 64))
    assert store.search("local").entries == ()
    with pytest.raises(UsageError, match="image or caption"):
        store.record(NewEntry("local", "film", "a face", {}))


def test_search_reads_every_script_and_no_sign_means_something_else(store: Store, draw):
    for prompt in (
        "ÄLTERE FRAU mit Straße",
        "100% grey_hair",
        "100 grey hair",
        "ΣΟΦΟΣ",
        "ｗｉｄｅ",
        "a\\b",
        "ČAPKA",
        "é",
    ):
        draw(prompt)
    found = {
        "ältere frau": "ÄLTERE FRAU mit Straße", "STRASSE": "ÄLTERE FRAU mit Straße", "100%": "100% grey_hair",
        "grey_": "100% grey_hair", "σοφος": "ΣΟΦΟΣ", "wide": "ｗｉｄｅ", "a\\": "a\\b", "čapka": "ČAPKA",
        "E\N{COMBINING ACUTE ACCENT}": "é",
    }  # fmt: skip
    assert {text: prompts(store, text=text) for text in found} == {text: [p] for text, p in found.items()}
    assert prompts(store, text="%%") == prompts(store, text="x" * 100_000) == []
    assert len(prompts(store, text="")) == len(prompts(store, text="\0")) == 8


def test_owners_see_their_own_only(store: Store, draw):
    mine, theirs = draw("mine"), draw("theirs", owner="key-2")
    assert store.search("local").entries == (mine,) and store.search("key-2").entries == (theirs,)
    assert store.entry(theirs.id, "local") is None
    assert not store.delete(theirs.id, "local") and not store.favourite(theirs.id, "local", True)
    assert store.entry(theirs.id, "key-2") == theirs


def test_filters(store: Store, draw):
    first, second = draw("one", model="mini"), draw("two", model="sd15")
    assert store.favourite(first.id, "local", True) and store.entry(first.id, "local").favourite
    assert prompts(store, favourites=True) == ["one"] and prompts(store, model="sd15") == ["two"]
    assert prompts(store, kind="caption") == prompts(store, model="\0\ud800") == []
    assert store.favourite(first.id, "local", False) and prompts(store, favourites=True) == []
    assert prompts(store, text="o", favourites=False, model="sd15", kind="image") == [second.prompt]


def test_pages_do_not_move_while_entries_come_and_go(store: Store, draw):
    old = [draw(f"old {n}") for n in range(7)]
    page = store.search("local", limit=3)
    seen = list(page.entries)
    while page.next:
        draw("new, between two pages")
        store.delete(seen[-1].id, "local")  # also when the cursor's own entry goes
        page = store.search("local", limit=3, before=page.next)
        seen += page.entries
    assert seen == old[::-1]

    since = store.search("local", after=old[-1].id, limit=1)
    assert [e.prompt for e in since.entries] == ["new, between two pages"] and since.next
    assert [e.prompt for e in store.search("local", after=since.next).entries] == ["new, between two pages"]
    assert store.search("local", after=store.search("local").entries[0].id).entries == ()


def test_names_sort_in_the_order_of_recording_whatever_the_clock_does(store: Store, draw, clock: Clock):
    names = []
    for step in (0, 0, 0, -3600, 0, 7200, -1):  # several in one millisecond; a clock that is set back
        clock.now += step
        names.append(draw().id)
    assert names == sorted(names) and len(set(names)) == len(names)


def test_many_threads_may_use_one_store(store: Store, draw):
    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(lambda n: draw(f"face {n}", png=str(n % 3).encode()), range(40)))
    assert {entry.id for entry in store.search("local", limit=100).entries} == {entry.id for entry in done}


def test_deleting_the_last_entry_removes_the_picture(store: Store, draw, clock: Clock, tmp_path: Path):
    first, second = draw(png=b"same"), draw(png=b"same")
    store.remember("key", [Cached(first.digest)])
    clock.now += 120
    assert store.delete(first.id, "local") and not store.delete(first.id, "local")
    assert store.picture(first.digest) == b"same" and store.cached("key")  # another entry names it
    clock.now += 3700
    store.delete(second.id, "local")
    assert store.picture(first.digest) is None and store.cached("key") is None
    assert files(tmp_path / "pictures") == set() and store.counts()["pictures"] == 0


def test_a_picture_that_was_just_drawn_waits_for_its_row(store: Store, draw, clock: Clock):
    """Between put and record another server may delete the only entry with the same picture."""
    entry = draw(png=b"same")
    digest = store.put_picture(b"same")
    store.delete(entry.id, "local")
    assert store.picture(digest) == b"same"
    assert store.record(NewEntry("local", "image", "again", {}, digest=digest)).digest == digest
    clock.now += 7200
    store.tidy()
    assert store.picture(digest) == b"same"


def test_orphans_go_after_an_hour_and_strangers_stay(store: Store, clock: Clock, tmp_path: Path):
    kept = store.put_picture(b"recorded")
    store.record(NewEntry("local", "image", "a face", {}, digest=kept))
    orphan = store.put_picture(b"its server died before the row")
    stranger = tmp_path / "pictures" / "ab" / ("ab" * 32 + ".png")
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_bytes(b"of another database")
    clock.now += 3500
    store.tidy()
    assert store.picture(orphan)
    clock.now += 200
    assert store.tidy().pictures == 1
    assert store.picture(orphan) is None and store.picture(kept) == b"recorded" and stranger.exists()


def test_a_store_is_checked_by_writing(store: Store, tmp_path: Path):
    store.check()
    assert store.counts()["entries"] == 0
    (tmp_path / "pictures").rename(tmp_path / "moved")
    with pytest.raises(StoreError, match="pictures"):
        store.check()


def test_pictures_at_a_url(tmp_path: Path, clock: Clock):
    store = Store.open(str(tmp_path / "a.db"), f"memory://{tmp_path.name}/faces", clock=clock)
    digest = store.put_picture(b"picture")
    assert store.picture(digest) == b"picture" and store.picture("0" * 64) is None
    entry = store.record(NewEntry("local", "image", "a face", {}, digest=digest))
    store.remember("key", [Cached(digest)])
    assert store.cached("key") == [Cached(digest)]
    store.check()
    clock.now += 7200
    store.delete(entry.id, "local")
    assert store.picture(digest) is None
    store.close()


def test_places_that_cannot_be_used_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = tmp_path / "pictures"
    for url, told in (("mysql://x/y", "no database of the kind 'mysql'"), ("sqlite://", "must be a file"),
                      ("sqlite:///:memory:", "must be a file"), ("://", "cannot be read"),
                      ("sqlite://folder/a.db", "three slashes")):  # fmt: skip
        with pytest.raises(UsageError, match=told):
            Store.open(url, here)
    (tmp_path / "text.db").write_text("no database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(f"sqlite:///{tmp_path}/text.db", here)
    with pytest.raises(StoreError) as refused:
        Store.open("postgresql://me:hidden@127.0.0.1:1/likeness", here)
    assert "hidden" not in str(refused.value) and "127.0.0.1" in str(refused.value)
    with pytest.raises(UsageError, match="nosuch"):
        Store.open(str(tmp_path / "a.db"), "nosuch://bucket/faces")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtra, match="s3"):
        Store.open(str(tmp_path / "a.db"), "s3://bucket/faces")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot make the folder"):
        Store.open(str(tmp_path / "a.db"), tmp_path / "file" / "pictures")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"likeness\[postgres\]"):
        Store.open("postgres://localhost/likeness", here)


def test_two_stores_on_one_file_see_each_other(local: Store, tmp_path: Path, clock: Clock):
    other = Store.open(local.database.name, tmp_path / "pictures", clock=clock)
    digest = other.put_picture(b"picture")
    other.remember("key", [Cached(digest, 5, {"width": 128})])
    assert local.cached("key") == [Cached(digest, 5, {"width": 128})] and local.picture(digest) == b"picture"
    with local.database.read() as connection:  # a reader in the middle of its work stops no writer
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        connection.exec_driver_sql("SELECT count(*) FROM entries").scalar()
        other.record(NewEntry("local", "image", "a face", {}, digest=digest))
    other.close()
