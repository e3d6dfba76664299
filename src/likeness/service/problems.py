"""What goes wrong, as an HTTP answer: one form for all (OpenAI's), one table from our errors to statuses."""

from __future__ import annotations

import http
import math
from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse

from ..errors import BadImage, LikenessError, MissingExtra, ModelNotFound, PromptRefused, UsageError
from .engine import Busy, Failed
from .store import StoreError

CLOSED_REQUEST = 499  # nginx's number for a client that hung up; only the log ever shows it


class Problem(Exception):
    """An answer that is no success. `message` is one line and says what to do next; `param` names the bad field."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status, self.code, self.message, self.param = status, code, " ".join(message.split()), param
        self.headers = dict(headers or {})
        super().__init__(self.message)

    def to_dict(self) -> dict[str, Any]:
        kind = _KINDS.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"code": self.code, "message": self.message, "type": kind, "param": self.param}

    def response(self) -> JSONResponse:
        return JSONResponse({"error": self.to_dict()}, self.status, self.headers)


_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
# engine's kind of failure -> status, code, Retry-After
_FAILED: dict[str, tuple[int, str, int | None]] = {
    "crash": (500, "engine_crashed", None),
    "memory": (503, "out_of_memory", 10),
    "expired": (504, "deadline_exceeded", None),
    "cancelled": (503, "cancelled", 5),
    "remote": (502, "remote_engine_failed", None),
    "engine": (500, "engine_failed", None),
    "refused": (400, "picture_refused", None),
}
# the first row that an error is an instance of holds
_USAGE: tuple[tuple[type[LikenessError], int, str], ...] = (
    (PromptRefused, 400, "prompt_refused"),
    (ModelNotFound, 404, "model_not_found"),
    (BadImage, 400, "invalid_image"),
    (UsageError, 400, "invalid_request"),
    (MissingExtra, 503, "not_installed"),
    (StoreError, 503, "store_unavailable"),
)


def retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def of(error: BaseException) -> Problem:
    """The answer for an error; what nobody expected is a 500 that tells nothing of the inside."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Busy):
        return Problem(429, "queue_full", str(error), headers=retry_after(error.retry_after))
    if isinstance(error, Failed):
        status, code, wait = _FAILED.get(error.kind, (500, "engine_failed", None))
        return Problem(status, code, str(error), headers=retry_after(wait) if wait else None)
    for kind, status, code in _USAGE:
        if isinstance(error, kind):
            return Problem(status, code, str(error), headers=retry_after(5) if status == 503 else None)
    if isinstance(error, TimeoutError):
        return Problem(504, "deadline_exceeded", "the time for this request is over: ask for less, or later")
    return Problem(500, "internal_error", "the server failed on this request: its log says more under the request id")


def of_validation(errors: list[Any]) -> Problem:
    """400 for what is no JSON, 422 for JSON of another form. The client's own values are not repeated."""
    first = errors[0]
    if first["type"] == "json_invalid":
        why = (first.get("ctx") or {}).get("error", "")
        return Problem(400, "invalid_json", f"the body is not valid JSON: {why}")
    where = ".".join(str(part) for part in first["loc"][1:])[:100]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    said = str(first["msg"]).removeprefix("Value error, ")
    return Problem(422, "invalid_value", f"{where or first['loc'][0]}: {said}{more}", where or None)


def of_status(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Problem:
    """Of the framework's own refusals: unknown paths, wrong methods."""
    code = {404: "not_found", 405: "method_not_allowed"}.get(status, "invalid_request")
    return Problem(status, code, detail or http.HTTPStatus(status).phrase, headers=headers)
