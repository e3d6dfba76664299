"""How much one caller may ask for: a token bucket for each, in bounded memory."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST = 10_000  # callers remembered; who was seen longest ago is forgotten first, and starts with a full bucket


@dataclass(frozen=True)
class Spent:
    """Whether there was a token, and what the headers say: `wait` seconds until the next one, `full` until all."""

    allowed: bool
    limit: int
    left: int
    wait: float
    full: float

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.left),
            "X-RateLimit-Reset": str(math.ceil(self.full)),
        }


class Limiter:
    """Token buckets: `limit` a minute, and as many at once. One process's own; its time runs by `clock`."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.clock = most, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller -> tokens, when counted

    def spend(self, caller: str, limit: int, tokens: float = 1.0) -> Spent:
        """Take tokens from a caller's bucket if it has them."""
        now = self.clock()
        held, counted = self._buckets.pop(caller, (float(limit), now))
        held = min(float(limit), held + (now - counted) * limit / 60)
        allowed = held >= tokens
        held -= tokens if allowed else 0
        self._buckets[caller] = (held, now)
        while len(self._buckets) > self.most:
            self._buckets.popitem(last=False)
        wait = max(0.0, tokens - held) * 60 / limit
        return Spent(allowed, limit, int(held), wait, (limit - held) * 60 / limit)

    def __len__(self) -> int:
        return len(self._buckets)


def caller_of(address: str) -> str:
    """An address as a caller: of IPv6 the network of 64 bits, since one customer has all of its addresses."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
