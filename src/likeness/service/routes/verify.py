"""POST /v1/verify: whether a picture says that it was made by likeness, and what it says."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request

from ..documented import BODY, errors
from ..parts import Here
from ..problems import Problem
from ..schemas import VerdictAnswer
from ..security import DRAWS, KEY, Guarded

router = APIRouter(route_class=Guarded, tags=["provenance"], dependencies=KEY)
_FILE = {"type": "string", "format": "binary"}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": _FILE},
        "multipart/form-data": {"schema": {"type": "object", "properties": {"file": _FILE}, "required": ["file"]}},
    },
}


@router.post("/v1/verify", responses=errors(*BODY), openapi_extra=DRAWS | {"requestBody": _BODY})
async def verify(request: Request, parts: Here) -> VerdictAnswer:
    """Send the file as it is (any image/* type will do), or as `file` of a form."""
    data = await _file(request)
    found = await anyio.to_thread.run_sync(parts.verify, data)
    return VerdictAnswer.model_validate(found)


async def _file(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = await request.form(max_files=1, max_fields=4)
        file = form.get("file")
        if file is None or isinstance(file, str):
            raise Problem(422, "invalid_value", "the form has no `file`", "file")
        data = await file.read()
        await form.close()
    elif kind == "application/octet-stream" or kind.startswith("image/"):
        data = await request.body()
    else:
        raise Problem(415, "unsupported_media_type", "send the picture as image/…, octet-stream or multipart/form-data")
    if not data:
        raise Problem(400, "invalid_image", "the picture is empty", "file")
    return data
