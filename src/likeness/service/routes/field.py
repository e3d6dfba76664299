"""The two addresses that gateways of the field speak to: one text in, one text or one picture out."""

from __future__ import annotations

from fastapi import APIRouter, Request

from .. import answers
from ..documented import BODY, ENGINE, errors
from ..parts import Here
from ..schemas import GenerateImageBody, ImageBody, PromptTextBody, StatusCaptionAnswer, StatusImageAnswer
from ..security import DRAWS, KEY, Guarded, Who
from .captions import allowed, written
from .images import drawn

router = APIRouter(route_class=Guarded, tags=["field"], dependencies=KEY)


@router.post("/generate-caption", responses=errors(*BODY, *ENGINE), openapi_extra=DRAWS)
async def generate_caption(body: PromptTextBody, request: Request, parts: Here, who: Who) -> StatusCaptionAnswer:
    """A rough sentence becomes a detailed description."""
    caption = await written(allowed(body.prompt_text, parts), parts, who, request)
    return StatusCaptionAnswer(caption=caption)


@router.post("/generate-image", responses=errors(*BODY, *ENGINE), openapi_extra=DRAWS)
async def generate_image(body: GenerateImageBody, request: Request, parts: Here, who: Who) -> StatusImageAnswer:
    """A description becomes the address of a picture."""
    plain = body.model_dump()
    asked = ImageBody.model_validate({"prompt": plain.pop("caption")} | plain)
    answer = await drawn(asked, request, parts, who)
    digest = answer.pictures[0].entry.digest
    assert digest
    return StatusImageAnswer(image_url=answers.picture_url(answers.base_url(request, parts.settings), digest))
