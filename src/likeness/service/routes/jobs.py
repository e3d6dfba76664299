"""/v1/jobs: submit a request, follow its progress and previews, fetch its state, cancel it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from .. import answers
from ..documented import BODY, ENGINE, content, errors
from ..jobs import Job
from ..parts import Here
from ..schemas import ImageBody, JobAnswer, JobCreated
from ..security import DRAWS, KEY, Guarded, Who

router = APIRouter(route_class=Guarded, tags=["jobs"], dependencies=KEY)
KINDS = ("queued", "started", "step", "preview", "picture", "done", "failed", "cancelled")
EVENT = {
    "type": "object",
    "description": "One event of the stream; `data` is JSON.",
    "properties": {"id": {"type": "string"}, "event": {"enum": list(KINDS)}, "data": {"type": "string"}},
    "required": ["id", "event", "data"],
}
STREAM = content("text/event-stream", EVENT, "Events as they come.")


@router.post("/v1/jobs", status_code=202, responses=errors(*BODY, *ENGINE), openapi_extra=DRAWS)
async def submit(body: ImageBody, request: Request, response: Response, parts: Here, who: Who) -> JobCreated:
    """Put a request into the queue. What is wrong with it is said at once."""
    plan = await parts.desk.plan(body, who.owner)
    request.state.facts |= {"model": plan.request.model, "pictures": plan.request.count}
    if parts.settings.log_prompts:
        request.state.facts["prompt"] = plan.request.prompt
    job = await parts.jobs.start(plan, answers.base_url(request, parts.settings))
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobCreated(id=job.id, status=job.status, position=job.position, events=_events_of(job))


@router.get("/v1/jobs/{id}", responses=errors(404, 422))
async def state(id: str, parts: Here, who: Who) -> JobAnswer:
    return _state(parts.jobs.find(id, who.owner))


@router.delete("/v1/jobs/{id}", responses=errors(404, 422))
async def cancel(id: str, parts: Here, who: Who) -> JobAnswer:
    """Cancel a job. One that is over stays as it is."""
    job = parts.jobs.find(id, who.owner)
    parts.jobs.cancel(job)
    return _state(job)


@router.get("/v1/jobs/{id}/events", response_class=StreamingResponse, responses={**errors(404, 422), **STREAM})
async def events(
    id: str, parts: Here, who: Who, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Server-sent events from the beginning, or behind Last-Event-ID: queued, started, step, preview, picture, and at
    last done, failed or cancelled."""
    job = parts.jobs.find(id, who.owner)
    after = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else 0
    return StreamingResponse(_stream(job, after), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _stream(job: Job, after: int) -> AsyncIterator[str]:
    async for number, kind, data in job.follow(after):
        yield f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n" if kind else ": ping\n\n"


def _events_of(job: Job) -> str:
    return f"{job.base}/v1/jobs/{job.id}/events"


def _state(job: Job) -> JobAnswer:
    return JobAnswer.model_validate(
        {
            "id": job.id, "status": job.status, "step": job.step, "steps": job.steps, "position": job.position,
            "pictures": job.listed(), "notes": list(job.notes), "error": job.error, "events": _events_of(job),
        }
    )  # fmt: skip
