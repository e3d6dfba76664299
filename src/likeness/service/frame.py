"""Around every request: its id, the headers of every answer, one line of log, its numbers, and a net under it all."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import logs, problems
from .parts import Parts
from .security import refused_place

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
POLICY = "default-src 'none'; frame-ancestors 'none'"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
}
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE")


class Frame:
    """ASGI middleware. `request.state.facts` is what the log line says beside the usual, `.headers` go out."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await _Exchange(scope, receive, send).run(self.app)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.parts: Parts = scope["app"].state.parts
        self.method: str = scope["method"]
        given = _header(scope, b"x-request-id")
        self.id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        self.facts: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        # GET answers HEAD too: the same headers, no body
        self.scope = {**scope, "method": "GET"} if self.method == "HEAD" else scope
        self.scope["state"] = {**scope.get("state", {}), "facts": self.facts, "headers": self.headers, "id": self.id}
        self.receive, self._send = receive, send
        self.status, self.started, self.code = 0, time.perf_counter(), ""

    async def run(self, app: ASGIApp) -> None:
        try:
            if (problem := self._refused()) is not None:
                await problem.response()(self.scope, self.receive, self.send)
            else:
                await app(self.scope, self.receive, self.send)
        except Exception as error:
            if self.status:
                raise  # half an answer is out: the server cuts the connection
            logs.failure(self.id, error)
            self.facts["code"] = "internal_error"
            await problems.of(error).response()(self.scope, self.receive, self.send)
        finally:
            self._count()

    def _refused(self) -> problems.Problem | None:
        host = _header(self.scope, b"host")
        own = f"{self.scope.get('scheme', 'http')}://{host}"
        return refused_place(self.parts, host, _header(self.scope, b"origin") or None, self.method, own)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            for name, value in {**HEADERS, **self.headers, "X-Request-Id": self.id}.items():
                headers.setdefault(name, value)
            message = {**message, "headers": headers.raw}
        elif self.method == "HEAD" and message["type"] == "http.response.body":
            message = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
        await self._send(message)

    def _count(self) -> None:
        route = getattr(self.scope.get("route"), "path", "none")
        seconds = time.perf_counter() - self.started
        metrics, status = self.parts.metrics, self.status or problems.CLOSED_REQUEST
        method = self.method if self.method in METHODS else "other"
        metrics.requests.labels(route, method, str(status)).inc()
        metrics.seconds.labels(route).observe(seconds)
        if code := self.facts.get("code"):
            metrics.failures.labels(code).inc()
        told = {"id": self.id, "method": method, "path": route, "status": status, "ms": round(seconds * 1000, 1)}
        logs.request(told | self.facts)


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
