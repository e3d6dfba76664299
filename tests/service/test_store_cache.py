"""The cache: same request, same bytes; for a time, up to a size; and it never takes a picture from history."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.records import ImageRequest
from likeness.service.store import Cached, NewEntry, Store, cache_key
from store_places import PLACES, files, place


class Opener:
    """Opens stores on one place at a time that the test sets."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.now, self.opened = url, folder, time.time(), list[Store]()

    def __call__(self, **rules: object) -> Store:
        self.opened.append(Store.open(self.url, self.folder, clock=lambda: self.now, **rules))  # type: ignore[arg-type]
        return self.opened[-1]


@pytest.fixture(params=PLACES)
def opener(request: pytest.FixtureRequest, tmp_path: Path):
    made = Opener(place(request.param, tmp_path), tmp_path / "pictures")
    yield made
    for store in made.opened:
        store.close()


def put(store: Store, key: str, data: bytes) -> str:
    digest = store.put_picture(data)
    store.remember(key, [Cached(digest)])
    return digest


REQUEST = ImageRequest("a face", width=128, height=128, steps=20, guidance=4.0, seed=7, loras=(("glasses", 0.5),))
CHANGES: dict[str, object] = {
    "prompt": "A face", "negative_prompt": "blurry", "width": 64, "height": 64, "steps": 21, "guidance": 4.5, "seed": 8,
    "count": 2, "model": "sd15", "loras": (("glasses", 0.6),), "scheduler": "euler", "strength": 0.5,
    "original_size": (1, 1), "guidance_interval": (0.0, 0.6),
}  # fmt: skip


def test_the_key_hangs_on_everything_that_changes_the_picture():
    keys = [cache_key(REQUEST, "f1"), cache_key(REQUEST, "f2"), cache_key(REQUEST, "f1", {"glasses": "l1"})]
    keys += [cache_key(REQUEST, "f1", {"glasses": "l2"}), cache_key(REQUEST, "f1", marks_version="2")]
    keys += [cache_key(dataclasses.replace(REQUEST, **{name: value}), "f1") for name, value in CHANGES.items()]
    assert len(set(keys)) == len(keys) and None not in keys
    assert {f.name for f in dataclasses.fields(ImageRequest)} <= {*CHANGES, "image", "mask"}  # no field is forgotten
    assert cache_key(dataclasses.replace(REQUEST), "f1") == keys[0]


def test_a_fresh_seed_and_an_unknown_start_image_have_no_key():
    assert cache_key(dataclasses.replace(REQUEST, seed=None), "f1") is None
    begun = dataclasses.replace(REQUEST, image="start.png")
    assert cache_key(begun, "f1") is None
    one, other = cache_key(begun, "f1", inputs=["a" * 64]), cache_key(begun, "f1", inputs=["b" * 64])
    assert one and other and one != other  # what the file holds counts, not what it is called
    assert cache_key(dataclasses.replace(begun, image="copy.png"), "f1", inputs=["a" * 64]) == one


def test_an_answer_comes_back_in_order_and_the_first_one_stays(opener):
    store = opener()
    answer = [Cached(store.put_picture(b"%d" % n), 2**64 - n, {"n": n}) for n in (3, 1, 2)]
    assert store.cached("key") is None and store.cached(None) is None
    store.remember("key", answer)
    put(store, "key", b"drawn by another server at the same time")
    assert store.cached("key") == answer and opener().cached("key") == answer
    store.remember(None, answer)
    assert store.counts()["cached"] == 1


def test_answers_and_captions_are_apart(opener):
    store = opener()
    store.remember_caption("key", "a woman\0 of 30")
    assert store.cached_caption("key") == "a woman of 30" and store.cached("key") is None
    put(store, "key", b"picture")
    store.remember_caption("key", "another")
    assert store.cached_caption("key") == "a woman of 30"
    odd = "\0\ud800" * 5000  # whatever a prompt may hold, and longer than an index takes
    store.remember_caption(odd, "text")
    assert store.cached_caption(odd) == "text" and store.cached_caption("none") is None


def test_an_answer_expires(opener, tmp_path: Path):
    store = opener(ttl=100)
    put(store, "key", b"picture")
    store.remember_caption("key", "text")
    opener.now += 99
    assert store.cached("key") and store.cached_caption("key") == "text"  # use does not make it younger
    opener.now += 2
    assert store.cached("key") is None and store.cached_caption("key") is None
    second = put(store, "key", b"drawn anew")
    assert store.cached("key") == [Cached(second)]
    opener.now += 3701
    assert store.tidy().answers == 1 and files(tmp_path / "pictures") == set()


def test_what_was_not_used_longest_goes_first(opener):
    store = opener(size_limit=1000)
    for name in "abc":
        opener.now += 1
        put(store, name, name.encode() * 300)
    opener.now += 1
    assert store.cached("a")
    opener.now += 1
    put(store, "d", b"d" * 300)
    assert [name for name in "abcd" if store.cached(name)] == ["a", "c", "d"]
    put(store, "huge", b"h" * 1001)
    assert store.cached("huge") is None and store.counts()["cached"] == 3  # it would have thrown out all others
    store.remember_caption("text", "t" * 200)
    assert store.counts()["cached_bytes"] <= 1000 and store.cached_caption("text")
    assert opener(size_limit=0).counts()["cached"] == 0


def test_history_keeps_its_pictures_through_purge_and_eviction(opener, tmp_path: Path):
    store = opener(size_limit=1000)
    kept = put(store, "kept", b"k" * 600)
    store.record(NewEntry("local", "image", "a face", {}, digest=kept))
    opener.now += 1
    loose = put(store, "loose", b"l" * 600)
    assert store.cached("kept") is None and store.cached("loose")
    opener.now += 7200
    gone = store.purge(all=True)
    assert (gone.answers, gone.pictures, gone.bytes) == (1, 1, 600)
    assert store.picture(kept) and store.picture(loose) is None and files(tmp_path / "pictures") == {kept}


def purged(store: Store, **how: object) -> list[str]:
    store.purge(**how)  # type: ignore[arg-type]
    return [name for name in ("old", "new", "text") if (store.cached_caption if name == "text" else store.cached)(name)]


def test_purge_by_age_and_of_everything(opener):
    store = opener(ttl=1000)
    put(store, "old", b"old")
    opener.now += 200
    put(store, "new", b"new")
    store.remember_caption("text", "a woman")
    assert purged(store) == ["old", "new", "text"] and purged(store, older_than=200) == ["new", "text"]
    assert purged(store, all=True) == []


def test_a_hit_is_held_until_it_is_recorded(opener):
    """Another server purges between the hit and its entry."""
    store, other = opener(), opener()
    digest = put(store, "key", b"picture")
    opener.now += 1800
    (hit,) = store.cached("key")
    other.purge(all=True)
    assert store.picture(hit.digest) == b"picture"
    store.record(NewEntry("local", "image", "a face", {}, digest=digest))
    opener.now += 7200
    other.tidy()
    assert store.picture(digest) == b"picture"


def test_an_answer_whose_file_is_gone_is_a_miss(opener, tmp_path: Path):
    store = opener()
    put(store, "key", b"picture")
    for path in (tmp_path / "pictures").rglob("*.png"):
        path.unlink()
    assert store.cached("key") is None and store.counts()["cached"] == 0
    put(store, "key", b"picture")
    assert store.cached("key") and store.picture(store.cached("key")[0].digest) == b"picture"
    store.remember("never put", [Cached("0" * 64)])
    assert store.cached("never put") is None


def test_a_cache_that_is_off_answers_nothing(opener):
    on = opener()
    put(on, "key", b"picture")
    off: Callable[..., Store] = opener(enabled=False)
    assert off.cached("key") is None
    put(off, "other", b"other")
    off.remember_caption("text", "a woman")
    assert off.cached_caption("text") is None and on.counts()["cached"] == 1
    assert off.purge(all=True).answers == 1
