"""API keys: shown once, kept as a hash, gone when removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.errors import UsageError
from likeness.service.keys import Keys
from likeness.service.store import Store
from store_places import PLACES, place


@pytest.fixture(params=PLACES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(place(request.param, tmp_path), tmp_path / "pictures")
    yield opened
    opened.close()


def test_a_key_is_found_by_its_secret_and_by_nothing_else(store: Store):
    keys = Keys(store)
    identity, secret = keys.add("lab", rate_per_minute=120)
    _, other = keys.add("phone", admin=True)
    found = keys.find(secret)
    assert found is not None and (found.id, found.name, found.rate_per_minute, found.admin) == (
        identity,
        "lab",
        120,
        False,
    )
    assert keys.find(other).admin and [key.name for key in keys.list()] == ["lab", "phone"]
    assert secret.startswith("lk-") and len(secret) > 40 and secret != other
    for wrong in ("", "lk-", secret[:-1], secret + "x", secret.upper(), identity, "\0", "\ud800", "x" * 100_000):
        assert keys.find(wrong) is None


def test_a_removed_key_opens_nothing_on_any_server(store: Store, tmp_path: Path):
    keys = Keys(store)
    identity, secret = keys.add("lab")
    assert keys.remove(identity) and not keys.remove(identity) and not keys.remove("\0")
    assert keys.find(secret) is None and keys.list() == []
    keys.add("lab")  # the name is free again


def test_a_name_is_needed_and_taken_once(store: Store):
    keys = Keys(store)
    keys.add("lab")
    for name, rate, told in (
        (" ", None, "name"),
        ("lab", None, "there is a key"),
        ("new", 0, "rate"),
        ("new", 2**40, "rate"),
    ):
        with pytest.raises(UsageError, match=told):
            keys.add(name, rate)
    assert len(keys.list()) == 1


def test_the_secret_is_nowhere_on_the_disk(tmp_path: Path):
    store = Store.open(str(tmp_path / "likeness.db"), tmp_path / "pictures")
    _, secret = Keys(store).add("lab")
    store.close()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"lab" in written and secret.encode() not in written and secret.removeprefix("lk-").encode() not in written
