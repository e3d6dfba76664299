"""Collections that cost few bytes an entry: a set of numbers in 16, a list of names in their letters and 8 more."""

from __future__ import annotations

from array import array


class Numbers:
    """A set of 64-bit numbers, such as hashes; Python's own takes a hundred bytes for each. Open addressing."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))  # 0: empty
        self._count = 0
        self._zero = False

    def __len__(self) -> int:
        return self._count + self._zero

    def __contains__(self, number: int) -> bool:
        return self._slots[self._slot(number)] != 0 if number else self._zero

    def add(self, number: int) -> bool:
        """Whether it was new."""
        if not number:
            before, self._zero = self._zero, True
            return not before
        slot = self._slot(number)
        if self._slots[slot]:
            return False
        self._slots[slot] = number
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            kept, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for other in kept:
                if other:
                    self._slots[self._slot(other)] = other
        return True

    def _slot(self, number: int) -> int:
        """Where the number is, or the empty place that it would take."""
        slots, last = self._slots, len(self._slots) - 1
        place = number & last
        while slots[place] not in (0, number):
            place = (place + 1) & last
        return place


class Names:
    """A list of texts."""

    def __init__(self) -> None:
        self._letters = bytearray()
        self._ends = array("Q")

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, name: str) -> None:
        self._letters += name.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._letters))

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self._ends):
            raise IndexError(f"name {index} of {len(self._ends)}")
        start = self._ends[index - 1] if index else 0
        return self._letters[start : self._ends[index]].decode("utf-8", "surrogatepass")

    def pop(self) -> str:
        """The last text, which goes."""
        name = self[len(self) - 1]
        self._ends.pop()
        del self._letters[self._ends[-1] if self._ends else 0 :]
        return name
