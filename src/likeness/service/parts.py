"""What a route may use: the parts that `create_app` put together, by type."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends, Request

from .engine import ImageEngine, TextEngine
from .limiter import Limiter
from .metrics import Metrics
from .settings import Settings

if TYPE_CHECKING:
    from .asking import Desk
    from .drawing import Studio
    from .jobs import Jobs
    from .keys import Keys
    from .store import Store


@dataclass(frozen=True)
class Parts:
    """One server's own; nothing here is shared between apps but the files of the store."""

    settings: Settings
    engine: ImageEngine
    texts: TextEngine
    store: Store
    keys: Keys
    metrics: Metrics
    desk: Desk
    studio: Studio
    jobs: Jobs
    verify: Callable[[bytes], dict[str, Any]]
    limiter: Limiter = field(default_factory=Limiter)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    started: int = field(default_factory=lambda: int(time.time()))


def parts_of(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


Here = Annotated[Parts, Depends(parts_of)]
