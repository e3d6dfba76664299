"""POST /v1/images draws and answers; GET /v1/images/{digest}.png is a picture."""

from __future__ import annotations

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response

from .. import answers
from ..documented import BODY, ENGINE, content, errors
from ..drawing import Answer
from ..parts import Here, Parts
from ..problems import Problem
from ..schemas import ImageBody, ImagesAnswer
from ..security import DRAWS, KEY, Caller, Guarded, Who
from ..waiting import while_there

router = APIRouter(route_class=Guarded, tags=["images"])
public = APIRouter(tags=["images"])
PNG = content("image/png", {"type": "string", "format": "binary"}, "The file.")


@router.post("/v1/images", responses=errors(*BODY, *ENGINE), dependencies=KEY, openapi_extra=DRAWS)
async def draw(body: ImageBody, request: Request, parts: Here, who: Who) -> ImagesAnswer:
    """Draw faces, and answer when they are there. For progress and previews see /v1/jobs."""
    answer = await drawn(body, request, parts, who)
    base = answers.base_url(request, parts.settings)
    return await answers.images(answer, base, parts.store, body.response_format == "b64_json")


async def drawn(body: ImageBody, request: Request, parts: Parts, who: Caller) -> Answer:
    """The pictures of a body, unless the client hangs up; the log line tells how many of which model."""
    plan = await parts.desk.plan(body, who.owner)
    facts = request.state.facts
    facts |= {"model": plan.request.model, "pictures": plan.request.count}
    if parts.settings.log_prompts:
        facts["prompt"] = plan.request.prompt
    answer = await while_there(request, parts.studio.draw(plan))
    facts["cached"] = all(one.cached for one in answer.pictures)
    return answer


@public.get(
    "/v1/images/{digest}.png", response_class=Response, responses={**errors(404, 422, 503, guarded=False), **PNG}
)
async def picture(digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], parts: Here) -> Response:
    """A picture by the SHA-256 of its bytes. No key: whoever knows the name was given it."""
    data = await anyio.to_thread.run_sync(parts.store.picture, digest)
    if data is None:
        raise Problem(404, "picture_not_found", "no such picture: it was deleted, or never here")
    headers = {"Cache-Control": "private, max-age=3600, immutable", "ETag": f'"{digest}"'}
    return Response(data, media_type="image/png", headers=headers)
