"""OpenAI's POST /v1/images/generations, for programs that speak it already."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request

from .. import answers
from ..documented import BODY, ENGINE, errors
from ..parts import Here
from ..problems import Problem
from ..schemas import ImageBody, OpenAIAnswer, OpenAIBody, OpenAIPicture
from ..security import DRAWS, KEY, Guarded, Who
from .images import drawn

router = APIRouter(route_class=Guarded, tags=["openai"], dependencies=KEY)


@router.post(
    "/v1/images/generations",
    responses=errors(*BODY, *ENGINE),
    openapi_extra=DRAWS,
    response_model_exclude_none=True,
)
async def generations(body: OpenAIBody, request: Request, parts: Here, who: Who) -> OpenAIAnswer:
    """`seed`, `steps`, `guidance` and `negative_prompt` go beyond OpenAI's own."""
    inline = body.response_format == "b64_json"
    answer = await drawn(_asked(body), request, parts, who)
    base = answers.base_url(request, parts.settings)
    data = []
    for one in answer.pictures:
        assert one.entry.digest
        shown = (
            {"b64_json": await answers.in_base64(parts.store, one)}
            if inline
            else {"url": answers.picture_url(base, one.entry.digest)}
        )
        data.append(OpenAIPicture(**shown, revised_prompt=one.entry.prompt))
    return OpenAIAnswer(created=int(time.time()), data=data)


def _asked(body: OpenAIBody) -> ImageBody:
    same = {name: getattr(body, name) for name in ("prompt", "model", "seed", "steps", "guidance")}
    size: dict[str, Any] = {}
    if body.size and body.size != "auto":
        width, height = map(int, body.size.split("x"))
        if not (8 <= width <= 4096 and 8 <= height <= 4096):
            raise Problem(400, "invalid_value", f"size {body.size}: give a size such as 128x128, or auto", "size")
        size = {"width": width, "height": height}
    return ImageBody(**same, **size, count=body.n or 1, negative_prompt=body.negative_prompt or "")
