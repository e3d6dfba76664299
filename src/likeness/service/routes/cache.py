"""DELETE /v1/cache: forget cached answers. History is not touched."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query

from ..documented import errors
from ..parts import Here
from ..schemas import PurgedAnswer
from ..security import KEY, Admin, Guarded

router = APIRouter(route_class=Guarded, tags=["operation"], dependencies=KEY)
YEAR = 366 * 86400


@router.delete("/v1/cache", responses=errors(422))
async def purge(
    parts: Here, who: Admin, older_than: Annotated[float | None, Query(ge=0, le=YEAR, description="Seconds.")] = None
) -> PurgedAnswer:
    """Without `older_than` all of them go."""
    empty = partial(parts.store.purge, older_than=older_than, all=older_than is None)
    return PurgedAnswer(**asdict(await anyio.to_thread.run_sync(empty)))
