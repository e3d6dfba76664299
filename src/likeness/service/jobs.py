"""Requests that are answered later: their state, their events from the beginning, and their end."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from . import answers, problems
from .asking import Plan
from .drawing import Drawn, Studio
from .engine import Event
from .problems import Problem

OVER = ("done", "failed", "cancelled")
KEPT = 500  # finished jobs whose state can still be asked for
KEPT_SECONDS = 1800.0


@dataclass
class Job:
    """One request under way. `log` holds its events as (kind, data); of previews only the newest of each picture."""

    id: str
    owner: str
    plan: Plan
    base: str
    status: str = "queued"
    position: int = 0
    step: int = 0
    steps: int = 0
    pictures: dict[int, dict[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: dict[str, Any] | None = None
    log: list[tuple[str, dict[str, Any]] | None] = field(default_factory=list)
    ended: float = 0.0
    accepted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _previews: dict[int, int] = field(default_factory=dict)

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Add an event, and wake whoever follows."""
        if not self.accepted.done():
            self.accepted.set_result(None)
        if kind == "preview":
            if (old := self._previews.get(data["index"])) is not None:
                self.log[old] = None
            self._previews[data["index"]] = len(self.log)
        if kind in OVER:
            self.status, self.ended = kind, time.monotonic()
            for place in self._previews.values():  # the pictures are there, or will never be
                self.log[place] = None
        self.log.append((kind, data))
        self._changed.set()
        self._changed = asyncio.Event()

    def hear(self, event: Event, drawn: Drawn | None) -> None:
        """An event of the engine, in the job's own words."""
        if event.kind == "queued":
            self.position = event.position
            self.tell("queued", {"position": event.position})
        elif event.kind == "started":
            self.status, self.position = "running", 0
            self.tell("started", {})
        elif event.kind == "step":
            self.step, self.steps = event.step, event.steps
            self.tell("step", {"step": event.step, "steps": event.steps})
        elif event.kind == "preview":
            self.tell("preview", {"image": base64.b64encode(event.preview).decode(), "index": event.index})
        elif drawn is not None:
            self.show(event.index, drawn)

    def show(self, index: int, drawn: Drawn) -> None:
        self.pictures[index] = answers.picture(drawn, self.base).model_dump()
        self.tell("picture", {"index": index} | self.pictures[index])

    def fail(self, problem: Problem) -> None:
        """Refused, if nothing was heard before; else failed."""
        self.error = problem.to_dict()
        if not self.accepted.done():
            self.accepted.set_exception(problem)
            self.accepted.exception()  # whoever asked may be gone: then nobody else looks at it
            self.status = "failed"
        else:
            self.tell("failed", {"error": self.error})

    def listed(self) -> list[dict[str, Any]]:
        return [self.pictures[index] for index in sorted(self.pictures)]

    async def follow(self, after: int = 0, every: float = 15.0) -> AsyncIterator[tuple[int, str, dict[str, Any]]]:
        """Events behind number `after`, as they come, to the last; (0, "", {}) if none came for `every` seconds."""
        number = after
        while True:
            changed = self._changed
            while number < len(self.log):
                number += 1
                if (found := self.log[number - 1]) is not None:
                    yield number, *found
            if self.status in OVER and number >= len(self.log):
                return
            try:
                async with asyncio.timeout(every):
                    await changed.wait()
            except TimeoutError:
                yield 0, "", {}


class Jobs:
    """The jobs of this server process; they end with it, while their pictures stay in history."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, plan: Plan, base: str) -> Job:
        """Begin; returns when the request has its place in the queue. Raises what refuses it."""
        self._forget()
        job = Job(f"job_{secrets.token_urlsafe(18)}", plan.owner, plan, base)
        task = asyncio.create_task(self._run(job))
        self._jobs[job.id], self._tasks[job.id] = job, task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))
        try:
            await asyncio.shield(job.accepted)
        except Problem:
            del self._jobs[job.id]
            raise
        except asyncio.CancelledError:  # the client hung up before it knew the job's name
            self.cancel(job)
            raise
        return job

    def find(self, id: str, owner: str) -> Job:
        """Raises a 404 for a job that is not there, or of somebody else."""
        job = self._jobs.get(id)
        if job is None or job.owner != owner:
            raise Problem(404, "job_not_found", "no such job: it may have ended half an hour ago, or with the server")
        return job

    def cancel(self, job: Job) -> None:
        """No harm when it is over."""
        if (task := self._tasks.get(job.id)) is not None and job.status not in OVER:
            task.cancel()
            job.tell("cancelled", {})

    def close(self) -> None:
        for id in list(self._tasks):
            self.cancel(self._jobs[id])

    async def _run(self, job: Job) -> None:
        try:
            answer = await self.studio.draw(job.plan, job.hear, previews=True)
        except asyncio.CancelledError:
            if job.status not in OVER:
                job.tell("cancelled", {})
        except Exception as error:
            job.fail(problems.of(error))
        else:
            for index, drawn in enumerate(answer.pictures):
                if index not in job.pictures:  # from the cache
                    job.show(index, drawn)
            job.notes = answer.notes
            job.tell("done", {"pictures": job.listed(), "notes": list(answer.notes)})

    def _forget(self) -> None:
        """Drop finished jobs that are old or too many."""
        over = [job for job in self._jobs.values() if job.status in OVER]
        spare = len(over) - KEPT
        for place, job in enumerate(over):
            if place < spare or time.monotonic() - job.ended > KEPT_SECONDS:
                del self._jobs[job.id]
