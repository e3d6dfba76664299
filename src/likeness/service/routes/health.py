"""Whether the server is alive and ready, its numbers, and its documentation."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from ...errors import LikenessError
from ...provenance import version
from ..documented import content, errors
from ..metrics import CONTENT_TYPE
from ..parts import Here
from ..problems import Problem, retry_after
from ..schemas import HealthAnswer, ReadyAnswer
from ..security import KEY, Guarded

router = APIRouter(tags=["operation"])
guarded = APIRouter(route_class=Guarded, tags=["operation"], dependencies=KEY)
TEXT = content("text/plain", {"type": "string"}, "Prometheus text.")


@router.get("/healthz", responses=errors(guarded=False))
async def health() -> HealthAnswer:
    """The process answers."""
    return HealthAnswer(version=version())


@router.get("/readyz", responses=errors(503, guarded=False))
async def ready(parts: Here) -> ReadyAnswer:
    """The worker has its model, the store can be written, and the server is not closing."""
    checks = {"engine": parts.engine.ready(), "store": await _writable(parts), "open": not parts.closing.is_set()}
    if wrong := [name for name, good in checks.items() if not good]:
        raise Problem(503, "not_ready", f"not ready: {', '.join(wrong)}", headers=retry_after(5))
    return ReadyAnswer(checks=checks)


async def _writable(parts: Here) -> bool:
    try:
        await anyio.to_thread.run_sync(parts.store.check)
    except (LikenessError, OSError):
        return False
    return True


@guarded.get("/metrics", response_class=PlainTextResponse, responses={**errors(), **TEXT})
async def metrics(parts: Here) -> Response:
    """Numbers of this process."""
    return Response(parts.metrics.text(), headers={"Content-Type": CONTENT_TYPE})
