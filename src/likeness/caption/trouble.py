"""What went wrong with a request: what stops the run, what is worth another try, and what is one question's own."""

from __future__ import annotations

import re

from ..errors import UsageError
from .captioner import Usage
from .endpoint import MODEL, Endpoint
from .limits import retry_after

PATIENCE = 3600.0  # seconds: a server that asks to wait longer (a daily limit) ends the run
RETRIED = {408, 409, 425, 429}
NO_MODEL = re.compile(
    r"decommission|model.{0,80}(not found|not exist|deprecated|retired|not supported|no longer)", re.I
)
NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
FILTERED = re.compile(r"content[_ ]?(filter|policy)|moderation|safety", re.I)
PARAMETER = re.compile(r"support.{0,60}\b(max_tokens|temperature|response_format)\b|"
                       r"\b(max_tokens|temperature|response_format)\b.{0,60}support", re.I)  # fmt: skip


class ChatError(Exception):
    """A question that got no answer. `reason`: one of `captioner.REASONS`; `again`: trying once more may help.

    `wait`: seconds that the server asks for, before any other request; `usage`: what it took all the same.
    """

    def __init__(
        self, reason: str, detail: str = "", again: bool = True, wait: float | None = None, usage: Usage | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail, self.again, self.wait, self.usage = reason, detail, again, wait, usage


class Unreachable(ChatError):
    """There was no server to talk to."""


class Unsupported(ChatError):
    """The model does not take a parameter of the request, which is `detail`."""


def judge(error: Exception, endpoint: Endpoint) -> ChatError:
    """The client's error as ours. Raises `UsageError` for what would happen to every other request too."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _status(error, endpoint)
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return ChatError("timeout", f"nothing in {endpoint.timeout:g} s")
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        refused = type(cause).__name__ in ("ConnectError", "UnsupportedProtocol")
        return (Unreachable if refused else ChatError)("server", _line(f"{cause}" or type(cause).__name__))
    if isinstance(error, ValueError):
        return ChatError("invalid", f"the server's answer is not of the protocol: {_line(f'{error}')}")
    raise error


def _status(error: object, endpoint: Endpoint) -> ChatError:
    import openai

    assert isinstance(error, openai.APIStatusError)
    status, code = error.status_code, error.code or ""
    body = error.body if isinstance(error.body, dict) else {}
    said = _line(str(body.get("message") or error.message))
    if "model_not_found" in code or "model_decommissioned" in code or status in (400, 404) and NO_MODEL.search(said):
        raise UsageError(
            f"{endpoint.url} does not offer the model {endpoint.model_name!r} ({said}): "
            f"choose another with --model or {MODEL}."
        )
    if status == 404:
        raise UsageError(f"{endpoint.url} is not the address of an OpenAI-compatible server ({said}): mend --endpoint.")
    filtered = FILTERED.search(f"{code} {said}")
    if status == 401 or status == 403 and not filtered:  # gateways say 403 of a picture that they flag
        raise UsageError(f"{endpoint.url} does not accept the key in {endpoint.key_variables} ({status}: {said}).")
    if code in NO_CREDIT:
        raise UsageError(f"{endpoint.url} says that the account has no credit ({said}): add some, then run again.")
    wait = retry_after(error.response.headers)
    if wait is not None and wait > PATIENCE:
        raise UsageError(f"{endpoint.url} asks to wait {wait / 3600:.1f} hours ({said}): run again then.")
    if status in RETRIED or status >= 500:
        return ChatError("limit" if status == 429 else "server", f"{status}: {said}", wait=wait)
    if status == 400 and (found := PARAMETER.search(said)):
        return Unsupported("refused", found[1] or found[2], again=False)
    return ChatError("refused", said if filtered else f"{status}: {said}", again=False)


def _line(text: str) -> str:
    """One line that a terminal can be shown."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))[:300]
