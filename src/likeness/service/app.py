"""`create_app`: settings in, an ASGI app out. Everything is built there; importing builds nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ..errors import LikenessError
from ..provenance import version
from ..records import ImageRequest
from . import marking, problems, reference
from .asking import Desk
from .drawing import Studio
from .engine import ImageEngine, TextEngine
from .frame import Frame
from .jobs import Jobs
from .keys import Keys
from .metrics import Metrics
from .parts import Parts
from .problems import Problem
from .routes import ROUTERS
from .settings import Settings
from .store import Store

ABOUT = "A description of a person becomes a picture of a face. Errors have OpenAI's form; docs/service.md says more."
EXPOSED = ["X-Request-Id", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Location"]


def create_app(
    settings: Settings | None = None,
    engine: ImageEngine | None = None,
    store: Store | None = None,
    texts: TextEngine | None = None,
) -> FastAPI:
    """The service. What is not given is made as the settings say, and closed with the app.

    Raises `UsageError`, `MissingExtra` or `StoreError` when a part cannot be made; the engine's model is loaded when
    the app starts. `app.state.parts` holds the parts; `app.state.leave()` announces the end (a signal came).
    """
    settings = settings or Settings()
    parts = _parts(settings, engine, store, texts)
    app = FastAPI(
        title="likeness", version=version(), description=ABOUT, docs_url=None, redoc_url=None,
        lifespan=_lifespan(parts, own_store=store is None),
    )  # fmt: skip
    app.state.parts, app.state.leave = parts, parts.closing.set
    for router in ROUTERS:
        app.include_router(router)
    app.add_api_route("/docs", _reference(app), include_in_schema=False, response_class=HTMLResponse)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind in (Problem, LikenessError, TimeoutError):
        app.add_exception_handler(kind, _failed)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(settings.cors_origins), allow_methods=["*"], allow_headers=["*"],
            expose_headers=EXPOSED,
        )  # fmt: skip
    app.add_middleware(Frame)  # the outermost: it sees what the others answer
    return app


def _parts(settings: Settings, engine: ImageEngine | None, store: Store | None, texts: TextEngine | None) -> Parts:
    store = store or Store.open(
        settings.database_url, settings.picture_place, settings.cache_ttl, settings.cache_size, settings.cache
    )
    engine = engine or _engine(settings)
    metrics = Metrics(engine.depth)
    desk = Desk(settings, engine, store, repr(settings.marks))
    studio = Studio(desk, engine, store, metrics)
    return Parts(
        settings, engine, texts or _texts(settings), store, Keys(store), metrics, desk, studio, Jobs(studio),
        marking.verifier(settings.marks),
    )  # fmt: skip


def _engine(settings: Settings) -> ImageEngine:
    marks = marking.marks(settings.marks)
    if settings.image_model_url:
        from .remote import RemoteEngine

        model = settings.model if settings.model != ImageRequest.model else None
        return RemoteEngine(settings.image_model_url, model, settings.deadline, marks=marks, queue=settings.queue)
    from .local import LocalEngine

    names = (
        "loras", "device", "precision", "workers", "max_batch", "max_wait", "queue", "keep_models", "safety_checker",
    )  # fmt: skip
    same = {name: getattr(settings, name) for name in names}
    return LocalEngine(model=settings.offered[0], models=settings.offered, marks=marks, **same)


def _texts(settings: Settings) -> TextEngine:
    if settings.text_model_url:
        from .remote import RemoteText

        return RemoteText(settings.text_model_url)
    from .captions import Captions

    return Captions()


def _lifespan(parts: Parts, own_store: bool) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await parts.engine.start()
        last_call = asyncio.create_task(_last_call(parts))
        try:
            yield
        finally:
            last_call.cancel()
            parts.closing.set()
            parts.studio.close()
            parts.jobs.close()
            await parts.engine.close()
            if close := getattr(parts.texts, "close", None):  # a remote one has connections
                await close()
            parts.desk.uploads.close()
            if own_store:
                await asyncio.to_thread(parts.store.close)

    return lifespan


async def _last_call(parts: Parts) -> None:
    """Once the end is announced, what runs has `grace` seconds; the rest is then told that the server closes."""
    await parts.closing.wait()
    await asyncio.sleep(parts.settings.grace)
    parts.studio.close()


def _reference(app: FastAPI) -> Callable[[], HTMLResponse]:
    def docs() -> HTMLResponse:
        return HTMLResponse(reference.page(app.openapi()), headers={"Content-Security-Policy": reference.POLICY})

    return docs


async def _failed(request: Request, error: Exception) -> Response:
    return _answer(request, problems.of(error))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _answer(request, problems.of_validation(list(error.errors())))


async def _refused(request: Request, error: Exception) -> Response:
    """Unknown paths, wrong methods, and bodies that the framework cannot read."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return _answer(request, problems.of_status(error.status_code, str(error.detail), headers))


def _methods(request: Request) -> list[str]:
    """All methods of a path; the framework names those of one route. A wider path (`{id:path}`) is another one.

    A path of none of the routers is /docs.
    """
    every = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    here = [route for route in every if route.matches(request.scope)[0] is not Match.NONE]
    found = set[str]().union(*(route.methods or () for route in here if route.path == here[0].path)) or {"GET"}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def _answer(request: Request, problem: Problem) -> Response:
    request.state.facts["code"] = problem.code
    return problem.response()
