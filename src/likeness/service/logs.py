"""One JSON line for each request, without what was asked for; the other lines of the server in the same form."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

LOGGER = "likeness.service"
_log = logging.getLogger(LOGGER)
PROBES = ("/healthz", "/readyz", "/metrics")  # asked every few seconds by machines


class JsonLines(logging.Formatter):
    """`{"time", "level", "event", …}`; what `extra={"facts": {…}}` holds stands beside them.

    Of an exception the place and the kind are written, and its words only where `words` is set: they may quote a
    prompt.
    """

    def __init__(self, words: bool = False) -> None:
        super().__init__()
        self.words = words

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": when, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "facts", {})
        if record.exc_info and record.exc_info[1] is not None:
            line |= _told(record.exc_info[1], self.words)
        return json.dumps(line, ensure_ascii=False, default=str)


def _told(error: BaseException, words: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"error": type(error).__name__}
    if words:
        told["message"] = str(error)
    told["trace"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)][-12:]
    return told


@contextlib.contextmanager
def as_json(words: bool = False, stream: TextIO | None = None) -> Iterator[None]:
    """Send the logs of the service and of uvicorn to `stream` (stderr) as JSON lines. For `likeness serve` only."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(words))
    loggers = [logging.getLogger(name) for name in ("likeness", "uvicorn")]
    before = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, handlers, propagate, level in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


def request(facts: dict[str, Any]) -> None:
    """The line of an answered request; facts without a value are left out. Of a probe it is for debugging."""
    told = {key: value for key, value in facts.items() if value is not None}
    fine = logging.DEBUG if facts["path"] in PROBES and facts["status"] < 400 else logging.INFO
    level = logging.WARNING if facts["status"] >= 500 else fine
    _log.log(level, "request", extra={"facts": told})


def failure(request_id: str, error: BaseException) -> None:
    """An error that nobody expected."""
    _log.error("internal error", exc_info=error, extra={"facts": {"id": request_id}})
