"""How much may be asked: requests and tokens within any window, pauses that a server orders, when to try again."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import random
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import UsageError


@dataclass(eq=False)
class Grant:
    """Leave for one request. From when it was sent it counts until `until`, a time of the monotonic clock."""

    tokens: int
    until: float | None = None
    counts: bool = True


class Limiter:
    """Grants requests so that no `window` seconds see more than `requests` arrivals and `tokens` at the server.

    A request arrives some time after it was sent and before its answer, so it counts for a window from the earlier of
    its answer and `margin` after it left. Grants go out in the order of asking. Lives on one event loop.
    """

    def __init__(self, requests: int | None = None, tokens: int | None = None, window: float = 60.0) -> None:
        self.requests, self.tokens, self.window = requests, tokens, window
        self.margin = 0.05 + 0.02 * window  # on its way, and until the server looks at its clock
        self._leaving = 0  # granted and not sent yet
        self._sent: deque[Grant] = deque()
        self._used = 0
        self._paused_until = 0.0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    async def acquire(self, tokens: int = 0) -> Grant:
        """Wait for leave to send a request that may cost so many tokens.

        Raises `UsageError` when one request alone is over the limit.
        """
        if self.tokens and tokens > self.tokens:
            raise UsageError(
                f"one request may take {tokens} tokens, but tokens_per_minute is {self.tokens}: "
                "lower max_tokens or max_side, or raise the limit."
            )
        async with self._turn:
            while wait := self._wait(tokens, time.monotonic()):
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), wait)
            self._leaving += 1
            self._used += tokens
            return Grant(tokens)

    def sent(self, grant: Grant) -> None:
        """The request has left this machine."""
        if grant.until is None:
            grant.until = time.monotonic() + self.margin + self.window
            self._leaving -= 1
            self._sent.append(grant)
            self._changed.set()

    def settle(self, grant: Grant, tokens: int) -> None:
        """The request is over, or given up, and took so many tokens."""
        self.sent(grant)
        grant.until = min(grant.until or 0.0, time.monotonic() + self.window)
        if grant.counts:
            self._used += tokens - grant.tokens
        grant.tokens = tokens
        self._changed.set()

    def pause(self, seconds: float) -> None:
        """Nothing is granted for so long."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def _wait(self, tokens: int, now: float) -> float:
        """Seconds until it is worth asking again whether a request may go; 0 if it may."""
        while self._sent and (self._sent[0].until or 0.0) <= now:
            gone = self._sent.popleft()
            gone.counts = False
            self._used -= gone.tokens
        if self._paused_until > now:
            return self._paused_until - now
        full = bool(self.requests) and self._leaving + len(self._sent) >= (self.requests or 0)
        over = bool(self.tokens) and self._used + tokens > (self.tokens or 0)
        if not full and not over:
            return 0.0
        return (self._sent[0].until or 0.0) - now if self._sent else self.window


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: OpenAI's milliseconds, or RFC 9110, 10.2.3: seconds, or a date."""
    try:
        if (said := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(said) / 1000)
        if (said := headers.get("retry-after")) is None:
            return None
        with contextlib.suppress(ValueError):
            return max(0.0, float(said))
        # by the server's own clock where it tells the time: ours may be wrong
        now = headers.get("date")
        base = email.utils.parsedate_to_datetime(now).timestamp() if now else time.time()
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - base)
    except ValueError:
        return None


def backoff(attempt: int, base: float = 1.0, most: float = 60.0) -> float:
    """Seconds before try number `attempt` + 2: exponential, with full jitter.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return random.uniform(0, min(most, base * 2**attempt))
