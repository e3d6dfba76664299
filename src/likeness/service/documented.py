"""The errors that a route may answer, as its OpenAPI document has them."""

from __future__ import annotations

from typing import Any

from .schemas import ErrorAnswer

SAID: dict[int, str] = {
    400: "The request cannot be served as it is; the message says what to change.",
    401: "No key, or an unknown one.",
    403: "This caller may not do that.",
    404: "There is no such thing, or not for this caller.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "A value is missing, unknown, or of the wrong kind.",
    429: "Too many requests, or the queue is full: try again after `Retry-After` seconds.",
    500: "The server or its worker failed.",
    502: "The remote engine failed.",
    503: "Not available now: try again after `Retry-After` seconds.",
    504: "The time for this request was over.",
}
BODY = (400, 408, 413, 415, 422)
ENGINE = (404, 502, 504)
Answers = dict[int | str, dict[str, Any]]
_RETRY = {"Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}}
_KEY = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
_HEADERS = {401: _KEY, 429: _RETRY, 503: _RETRY}


def content(kind: str, schema: dict[str, Any], said: str) -> Answers:
    """For `responses=`: a 200 that is no JSON."""
    return {200: {"content": {kind: {"schema": schema}}, "description": said}}


def errors(*statuses: int, guarded: bool = True) -> Answers:
    """For `responses=`: these and the ones that any route may answer."""
    always = (401, 403, 429, 500, 503) if guarded else (403, 500)
    return {
        status: {"model": ErrorAnswer, "description": SAID[status], "headers": _HEADERS.get(status, {})}
        for status in sorted({*always, *statuses})
    }
