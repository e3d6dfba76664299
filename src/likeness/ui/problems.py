"""What went wrong, in the words of somebody who draws faces and has never heard of HTTP."""

from __future__ import annotations

from typing import Any

# status -> what to say; {said} is the service's own line, {wait} the seconds that it asks to wait
WORDS = {
    400: "The service cannot do that: {said}",
    401: "The service does not know this key. Type the key that you were given under “Connection”, at the end of the "
    "page.",
    403: "This key does not allow that: {said}",
    404: "That is not there, or no longer: {said}",
    409: "That is not possible just now: {said}",
    413: "That is too much at once for the service. Shorten the text, or use a smaller picture.",
    422: "The service cannot do that: {said}",
    429: "The service is busy. Please try again in {wait} seconds.",
    500: "The service stumbled over this one. Try again; if it stays so, tell whoever runs it: {said}",
    502: "The model behind the service does not answer. Try again in a minute.",
    503: "The service is starting or stopping. Please try again in {wait} seconds.",
    504: "The picture was not finished in time. Ask for fewer faces or fewer steps.",
}
REFUSED = "This will not be drawn: {said}"
TOO_LONG = "The description is too long for the service. Please shorten it: {said}"
LOST = "The service at {url} does not answer. Is it running? `likeness up` starts the service and this page together."
SLOW = "The service takes too long to answer. It may be busy: wait a moment and try again."
STRANGE = "What answers at {url} is not the likeness service. Check the address that the page was started with."


class Problem(Exception):
    """Something that the service did not do. `str()` is for people; `status` is 0 where no answer came."""

    def __init__(self, words: str, status: int = 0, code: str = "") -> None:
        self.status, self.code = status, code
        super().__init__(words)


def from_answer(status: int, body: Any, retry_after: str | None, url: str) -> Problem:
    """The problem that an answer tells of: its JSON body (or None) in the form of `{"error": {"message", "code"}}`."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        words = WORDS[status] if status in {413, 429, 502, 503, 504} else STRANGE
        return Problem(words.format(said="", wait=retry_after or "a few", url=url), status)
    said, code = str(error.get("message") or "it gave no reason"), str(error.get("code") or "")
    words = WORDS.get(status) or WORDS[400 if status < 500 else 500]
    if "refused" in code:
        words = REFUSED
    elif status in {400, 413, 422} and "too_long" in code:
        words = TOO_LONG
    return Problem(words.format(said=_tidy(said), wait=_seconds(retry_after)), status, code)


def from_event(error: Any) -> Problem:
    """The problem that a job ended with: the `error` of its last event."""
    error = error if isinstance(error, dict) else {"message": str(error or "")}
    said = _tidy(str(error.get("message") or "it gave no reason"))
    code = str(error.get("code") or "")
    words = REFUSED if "refused" in code else "These faces could not be drawn: {said}"
    return Problem(words.format(said=said), 500, code)


def _tidy(said: str) -> str:
    return said[:300].strip().rstrip(".") + "."


def _seconds(retry_after: str | None) -> str:
    return retry_after if retry_after and retry_after.isdigit() else "a few"
