"""Faces that are being drawn: a thread listens to the service, so that the page stays free to show and to cancel."""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import problems
from .client import Client
from .problems import Problem

OVER = {"done", "failed", "cancelled"}
TRIES = 5  # times in a row that a broken stream is taken up again without a word having come


@dataclass(frozen=True)
class Progress:
    """Where a job stands. `previews` holds a JPEG for each picture that has one, `pictures` the finished ones."""

    status: str = "queued"
    position: int = 0
    step: int = 0
    steps: int = 0
    previews: Mapping[int, bytes] = field(default_factory=dict)
    pictures: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    problem: Problem | None = None

    @property
    def over(self) -> bool:
        return self.status in OVER

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return min(1.0, self.step / self.steps) if self.steps else 0.0

    @property
    def words(self) -> str:
        """One line for the person who waits."""
        if self.status == "queued":
            return "Waiting for a free place…" if self.position < 1 else f"Waiting: {self.position} before you"
        if self.status == "running":
            return f"Drawing: step {self.step} of {self.steps}" if self.steps else "Drawing…"
        return {"done": "Done", "cancelled": "Cancelled"}.get(self.status, "Not drawn")


def fold(now: Progress, kind: str, data: dict[str, Any]) -> Progress:
    """The progress after one more event; an event that is not known changes nothing."""
    if now.over:
        return now
    if kind == "queued":
        return replace(now, position=_int(data.get("position")))
    if kind == "started":
        return replace(now, status="running")
    if kind == "step":
        return replace(now, status="running", step=_int(data.get("step")), steps=_int(data.get("steps")))
    if kind == "preview" and (image := _jpeg(data.get("image"))):
        return replace(now, status="running", previews={**now.previews, _int(data.get("index")): image})
    if kind == "failed":
        return replace(now, status="failed", problem=problems.from_event(data.get("error") or data.get("message")))
    return replace(now, status="cancelled") if kind == "cancelled" else now


def settle(now: Progress, job: dict[str, Any]) -> Progress:
    """The progress as the job itself tells it when its events have ended."""
    status = str(job.get("status") or now.status)
    pictures, notes = tuple(job.get("pictures") or now.pictures), tuple(job.get("notes") or ())
    problem = now.problem or (problems.from_event(job.get("error")) if status == "failed" else None)
    return replace(now, status=status, pictures=pictures, notes=notes, problem=problem)


class Drawing:
    """One job: `now` is its progress at any time. Raises `Problem` if the service does not take it."""

    def __init__(self, client: Client, body: dict[str, Any]) -> None:
        self.client, self.body = client, body
        self.now = Progress()
        self.job = client.submit(body)
        threading.Thread(target=self._listen, name=f"drawing-{self.job}", daemon=True).start()

    def cancel(self) -> None:
        """Leave the queue, or stop at the next step."""
        self.client.cancel(self.job)

    def _listen(self) -> None:
        broken, pause = 0, threading.Event()
        while broken < TRIES:
            before = self.now
            try:
                for kind, data in self.client.events(self.job):
                    self.now = fold(self.now, kind, data)
                    if kind in OVER:
                        break
                self.now = settle(self.now, self.client.job(self.job))
                problem = Problem(problems.SLOW)
            except Problem as error:
                problem = error
            if self.now.over:
                return
            broken = broken + 1 if self.now == before else 1
            pause.wait(0.5 * broken)
        self.now = replace(self.now, status="failed", problem=problem)


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _jpeg(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except ValueError:
        return b""
