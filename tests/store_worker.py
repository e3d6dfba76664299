"""One of several processes that work on one store at once, as servers do. Prints what it was answered, line by line."""

from __future__ import annotations

import hashlib
import random
import sys

from likeness.service.store import Cached, NewEntry, PictureGone, Store, loose


def main(mode: str, url: str, folder: str, number: str, rounds: str) -> None:
    store = Store.open(url, folder, size_limit=200_000)
    MODES[mode](store, random.Random(int(number)), number, int(rounds))


def say(*words: object) -> None:
    print(*words, flush=True)


def answer(store: Store, dice: random.Random, prompt: str, png: bytes) -> str:
    """Put and record, again when another process deleted the picture in between."""
    while True:
        digest = store.put_picture(png)
        try:
            entry = store.record(NewEntry("local", "image", prompt, {}, seed=1, digest=digest))
        except PictureGone:
            continue
        say("recorded", entry.id, digest)
        return digest


def mixed(store: Store, dice: random.Random, number: str, rounds: int) -> None:
    loose.NAMED = 0  # files go at the first moment that they may, so that any race shows
    for turn in range(rounds):
        shared = dice.random() < 0.5  # half of the pictures are those that the others draw too
        png = random.Random(dice.randrange(4) if shared else f"{number} {turn}").randbytes(20_000)
        digest = answer(store, dice, f"{number} {turn}", png)
        store.remember(f"key {dice.randrange(5)}", [Cached(digest)])
        for hit in store.cached(f"key {dice.randrange(5)}") or []:
            found = store.picture(hit.digest)
            assert found is not None and hashlib.sha256(found).hexdigest() == hit.digest
            say("recorded", store.record(NewEntry("local", "image", "hit", {}, digest=hit.digest)).id, hit.digest)
        for entry in store.search("local", limit=20).entries:
            if dice.random() < 0.15 and store.favourite(entry.id, "local", True):
                say("favourite", entry.id)
            elif dice.random() < 0.15 and store.delete(entry.id, "local"):
                say("deleted", entry.id)
        if dice.random() < 0.2:
            store.purge(all=dice.random() < 0.5)
            store.tidy()
    say("done")


def endless(store: Store, dice: random.Random, number: str, rounds: int) -> None:
    """Until it is killed. Large pictures: most of the time a file is being written."""
    while True:
        digest = answer(store, dice, "endless", dice.randbytes(1_500_000))
        store.remember(digest, [Cached(digest)])


def captions(store: Store, dice: random.Random, number: str, rounds: int) -> None:
    for turn in range(rounds):
        store.remember_caption(f"{turn}", f"written by {number}")
        say(turn, store.cached_caption(f"{turn}"))


MODES = {"mixed": mixed, "endless": endless, "captions": captions}

if __name__ == "__main__":
    main(*sys.argv[1:])
