"""Dividing groups of labelled pictures by shares, every label by the same shares as far as whole groups allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence


def allot(
    labels: Sequence[Mapping[str, int]], sizes: Sequence[int], shares: Mapping[str, float], fixed: Sequence[str | None]
) -> list[str]:
    """A split for each group. Iterative stratification, Sechidis, Tsoumakas & Vlahavas 2011, with groups for examples.

    `labels[i]`: how many pictures of group i carry which label; `sizes[i]`: its pictures; `fixed[i]`: its split if that
    is settled. The rarest label is dealt first, each group to the split that lacks most of that label. Ties go by the
    order of `shares` and of the groups, so give the groups in an order that means nothing.
    """
    total, of = sum(sizes), Counter[str]()
    for group in labels:
        of.update(group)
    lacks = {s: share * total for s, share in shares.items()}
    lacks_of = {s: {name: share * n for name, n in of.items()} for s, share in shares.items()}
    left = Counter(of)
    result: list[str | None] = [None] * len(sizes)

    def settle(i: int, split: str) -> None:
        result[i] = split
        left.subtract(labels[i])
        if split in lacks:
            lacks[split] -= sizes[i]
            for name, n in labels[i].items():
                lacks_of[split][name] -= n

    members: dict[str, list[int]] = {}
    for i, group in enumerate(labels):
        if (known := fixed[i]) is not None:
            settle(i, known)
            continue
        for name in group:
            members.setdefault(name, []).append(i)
    for name in members:
        members[name].sort(key=lambda i: -sizes[i])  # big groups while there is room for them; sorting is stable
    while members:
        rarest = min(members, key=lambda name: (left[name], name))
        for i in members.pop(rarest):
            if result[i] is None:
                settle(i, max(shares, key=lambda s: (lacks_of[s][rarest], lacks[s])))
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        if result[i] is None:
            settle(i, max(shares, key=lambda s: lacks[s]))
    return [s for s in result if s is not None]


class Union:
    """Which of `count` things belong together."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def root(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        i, j = self.root(i), self.root(j)
        self.parent[max(i, j)] = min(i, j)

    def groups(self) -> list[list[int]]:
        """All of them, the members in order."""
        found: dict[int, list[int]] = {}
        for i in range(len(self.parent)):
            found.setdefault(self.root(i), []).append(i)
        return list(found.values())
