"""Who is let in: host and origin, key, rate, then a body of the right kind, size and speed, before a route runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.types import Message, Receive

from .limiter import Spent, caller_of
from .parts import Parts, parts_of
from .problems import Problem, retry_after

LOCAL = "local"  # who owns what is made without keys
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]", "::1")
READS = 10  # reading may be done so many times as often as drawing
CHANGES = ("POST", "PUT", "DELETE", "PATCH")
DRAWS = {"x-rate-limit": "draws"}  # `openapi_extra` of the routes that make the engine work

# for the OpenAPI document; `Guarded` reads the headers before a route's dependencies run
BEARER = HTTPBearer(auto_error=False, scheme_name="Bearer", description="Authorization: Bearer lk-…")
HEADER = APIKeyHeader(name="x-api-key", auto_error=False, scheme_name="x-api-key")
KEY = [Security(BEARER), Security(HEADER)]


@dataclass(frozen=True)
class Caller:
    """Who asks: the id of a key, or `local`; whose bucket pays, and how many requests a minute it holds."""

    owner: str
    admin: bool
    bucket: str
    rate: int


def caller(request: Request) -> Caller:
    found: Caller = request.state.caller
    return found


Who = Annotated[Caller, Depends(caller)]


def admin(who: Who) -> Caller:
    """Raises a 403 for callers that may only draw."""
    if not who.admin:
        raise Problem(403, "not_an_admin", "this needs an admin's key: `likeness keys add NAME --admin` makes one")
    return who


Admin = Annotated[Caller, Depends(admin)]


class Guarded(APIRoute):
    """A route that lets in who may come, and reads no body before that."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        takes_json = self.body_field is not None
        extra = self.openapi_extra or {}
        takes_any, draws = "requestBody" in extra, "x-rate-limit" in extra

        async def guarded(request: Request) -> Response:
            parts = parts_of(request)
            request.state.caller = await admit(parts, request, draws)
            if takes_json:
                _must_be_json(request)
            if takes_json or takes_any:
                body = await read_body(request, parts.settings.max_body, parts.settings.body_seconds)
                request = Request(request.scope, _replay(body, request.receive))
            return await handler(request)

        return guarded


async def admit(parts: Parts, request: Request, draws: bool) -> Caller:
    """Who asks, after key and rate were looked at. Raises 401, 403 or 429."""
    settings = parts.settings
    address = caller_of(request.client.host if request.client else "unknown")
    secret = _secret(request)
    key = None
    if settings.keys_required or secret:
        key = await anyio.to_thread.run_sync(parts.keys.find, secret) if secret else None
        if key is None and (settings.keys_required or (secret or "").startswith("lk-")):
            _limited(request, parts.limiter.spend(f"bad {address}", settings.rate_per_minute))
            said = "this key is not known" if secret else "no key: send Authorization: Bearer lk-…"
            raise Problem(
                401, "invalid_api_key", f"{said}; `likeness keys add` makes one",
                headers={"WWW-Authenticate": 'Bearer realm="likeness"'},
            )  # fmt: skip
    rate = (key.rate_per_minute if key else None) or settings.rate_per_minute
    found = Caller(key.id, key.admin, key.id, rate) if key else Caller(LOCAL, settings.loopback, address, rate)
    if key:
        request.state.facts["key"] = key.id
    charge(parts, request, found, draws)
    return found


def charge(parts: Parts, request: Request, who: Caller, draws: bool = True) -> None:
    """Take a token of drawing or of reading. Raises 429 when there is none."""
    kind, rate = ("draw", who.rate) if draws else ("read", who.rate * READS)
    _limited(request, parts.limiter.spend(f"{kind} {who.bucket}", rate))


def _limited(request: Request, spent: Spent) -> None:
    request.state.headers.update(spent.headers())
    if not spent.allowed:
        message = f"more than {spent.limit} requests a minute: try again in {max(1, round(spent.wait))} s"
        raise Problem(429, "rate_limited", message, headers=retry_after(spent.wait))


def _secret(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else request.headers.get("x-api-key")


def refused_place(parts: Parts, host: str, origin: str | None, method: str, own: str) -> Problem | None:
    """Why a request must not come from where it comes: another site's page in a browser of this machine.

    A server without keys on a loopback address trusts whoever reaches it. A browser reaches it for any page: under a
    name of that page's own (DNS rebinding, told by Host), or across origins without asking first (told by Origin).
    """
    settings = parts.settings
    if settings.keys_required:
        return None
    known = {*LOCAL_HOSTS, *settings.hosts, urlsplit(settings.public_url).hostname}
    if settings.loopback and _name(host) not in known:
        return Problem(403, "host_not_allowed", "this server answers under its own names only: see the setting `hosts`")
    if origin and method in CHANGES and origin not in (own, *settings.cors_origins):
        return Problem(403, "origin_not_allowed", "this page may not use this server: see the setting `cors_origins`")
    return None


def _name(host: str) -> str:
    """`[::1]:8000` -> `[::1]`, `localhost:8000` -> `localhost`."""
    return host.lower().partition("]")[0] + "]" if host.startswith("[") else host.lower().partition(":")[0]


def _must_be_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Problem(415, "unsupported_media_type", "send the body as JSON, with Content-Type: application/json")


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """The whole body. Raises 413 as soon as it is known to be too large, 408 when it does not come in time."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise _too_large(most)
    except TimeoutError:
        message = f"the body did not come within {seconds:g} s: send it again"
        raise Problem(408, "body_timeout", message, headers={"Connection": "close"}) from None
    return bytes(body)


def _too_large(most: int) -> Problem:
    message = f"the body is larger than {most:,} bytes: send a smaller picture"
    return Problem(413, "body_too_large", message, headers={"Connection": "close"})


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more for whoever reads it next, then what the client really does (it hangs up)."""
    left = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again
