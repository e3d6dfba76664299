"""HTTP to an engine somewhere else: time limits, one more try when it is busy, errors in one line."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from .engine import Failed

LARGEST = 64 << 20  # bytes of an answer
LONGEST_WAIT = 10.0  # seconds that a busy engine may ask for before it is tried again


class Wire:
    """A client to be opened in the event loop that uses it. `timeout`: seconds for a whole request."""

    def __init__(self, timeout: float, retries: int = 1, key: str | None = None) -> None:
        self.timeout, self.retries, self.key = timeout, retries, key
        self.seconds = 1.0  # of an answer, smoothed
        self._client: Any = None

    @property
    def is_open(self) -> bool:
        return self._client is not None

    def open(self) -> None:
        if self._client is None:
            import httpx

            self._client = httpx.AsyncClient(timeout=self.timeout)

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON object of the answer. Raises `Failed` of kind `remote` or `expired`."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        data = await self._fetch("POST", url, json=body, headers=headers)
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Failed("remote", f"{_host(url)} answered with something that is no JSON object")
        return found

    async def get(self, url: str) -> bytes:
        """What lies at an address. No key goes there: it may be another server's."""
        return await self._fetch("GET", url)

    async def _fetch(self, method: str, url: str, **settings: Any) -> bytes:
        import httpx

        tries, started = 0, time.monotonic()
        try:
            async with asyncio.timeout(self.timeout):
                while True:
                    status, headers, data = await self._once(method, url, **settings)
                    if status != 503 or tries == self.retries:
                        break
                    tries += 1
                    await asyncio.sleep(_wait(headers.get("retry-after", "")))
        except (TimeoutError, httpx.TimeoutException):
            raise Failed("expired", f"{_host(url)} did not answer within {self.timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Failed("remote", f"{_host(url)} cannot be reached ({type(error).__name__})") from None
        if status >= 300:
            raise Failed("remote", f"{_host(url)} answered {status}: {_said(data)}")
        self.seconds += 0.2 * (time.monotonic() - started - self.seconds)
        return data

    async def _once(self, method: str, url: str, **settings: Any) -> tuple[int, Any, bytes]:
        async with self._client.stream(method, url, **settings) as response:
            data = bytearray()
            async for part in response.aiter_bytes():
                data += part
                if len(data) > LARGEST:
                    raise Failed("remote", f"{_host(url)} answered with more than {LARGEST >> 20} MiB")
            return response.status_code, response.headers, bytes(data)


def picture_of(data: bytes) -> Any:
    """The RGB picture in bytes from elsewhere, safely opened. Raises `Failed`."""
    from ..data.decode import BadImage, inspect_bytes

    try:
        return inspect_bytes(data).draw()
    except BadImage as error:
        raise Failed("remote", f"the image engine sent no picture that can be read: {error.reason}") from None


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return f"the engine at {urlsplit(url).netloc}"


def _wait(header: str) -> float:
    return min(LONGEST_WAIT, float(header)) if header.replace(".", "", 1).isdecimal() else 1.0


def _said(data: bytes) -> str:
    """The engine's own words on an error, in one line."""
    text = data[:2000].decode("utf-8", "replace")
    try:
        found = json.loads(text)
        error = found.get("error") or found.get("detail") or found.get("message") or text
        text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    except (ValueError, AttributeError):
        pass
    return " ".join(text.split())[:200] or "nothing"
