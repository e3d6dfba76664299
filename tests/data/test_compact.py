"""Compact collections hold what Python's own hold, in a fraction of the room."""

import random
import sys

import pytest

from likeness.data.compact import Names, Numbers


def test_numbers_are_a_set():
    drawn = random.Random(3)
    numbers, theirs = Numbers(), set()
    for _ in range(20_000):
        number = drawn.choice((drawn.getrandbits(64), drawn.getrandbits(10), 1 << 63))
        assert numbers.add(number) == (number not in theirs)
        theirs.add(number)
    assert len(numbers) == len(theirs) and 0 in theirs
    assert all(number in numbers for number in theirs)
    assert not any(number in numbers for number in range(2000, 4000))


def test_names_are_a_list():
    names, theirs = Names(), ["a", "", "mañana/ÿ.png", "\udce9.jpg", "x" * 1000]
    for name in theirs:
        names.append(name)
    assert [names[i] for i in range(len(names))] == theirs
    for wrong in (-1, 5):
        with pytest.raises(IndexError):
            names[wrong]
    assert [names.pop() for _ in theirs] == theirs[::-1] and not names
    names.append("again")
    assert names[0] == "again"
    names.pop()
    with pytest.raises(IndexError):
        names.pop()


def test_they_take_less_than_a_third():
    numbers = Numbers()
    theirs = {random.Random(i).getrandbits(63) for i in range(20_000)}
    for number in theirs:
        numbers.add(number)
    python = sys.getsizeof(theirs) + sum(map(sys.getsizeof, theirs))
    assert 3 * numbers._slots.itemsize * len(numbers._slots) < python
