"""/v1/models and /v1/loras: what may be drawn with; load and unload for admins."""

from __future__ import annotations

from fastapi import APIRouter

from ..documented import errors
from ..engine import ModelState
from ..parts import Here, Parts
from ..problems import Problem
from ..schemas import LoraAnswer, LorasAnswer, ModelAnswer, ModelsAnswer
from ..security import KEY, Admin, Guarded

router = APIRouter(route_class=Guarded, tags=["models"], dependencies=KEY)


@router.get("/v1/models", responses=errors())
async def models(parts: Here) -> ModelsAnswer:
    """OpenAI's form; `likeness` says more: title, family, size, licence, whether it is loaded."""
    return ModelsAnswer(data=[_answer(parts, state) for state in parts.engine.models()])


@router.post("/v1/models/{id:path}/load", responses=errors(400, 404, 422, 502, 504))
async def load(id: str, parts: Here, who: Admin) -> ModelAnswer:
    """Load a model now instead of at its first request. Another one may be unloaded for it."""
    await parts.engine.load(_find(parts, id).name)
    return _answer(parts, _find(parts, id))


@router.post("/v1/models/{id:path}/unload", responses=errors(400, 404, 422, 502, 504))
async def unload(id: str, parts: Here, who: Admin) -> ModelAnswer:
    """Free a model's memory; the next request that names it loads it again."""
    await parts.engine.unload(_find(parts, id).name)
    return _answer(parts, _find(parts, id))


@router.get("/v1/models/{id:path}", responses=errors(404, 422))
async def model(id: str, parts: Here) -> ModelAnswer:
    return _answer(parts, _find(parts, id))


@router.get("/v1/loras", responses=errors())
async def loras(parts: Here) -> LorasAnswer:
    """Names that `loras` of a request may have; the operator sets what they stand for."""
    return LorasAnswer(loras=[LoraAnswer(name=name) for name in sorted(parts.settings.loras)])


def _find(parts: Parts, id: str) -> ModelState:
    for state in parts.engine.models():
        if state.name == id:
            return state
    raise Problem(404, "model_not_found", f"no such model: GET /v1/models lists {len(parts.engine.models())}", "model")


def _answer(parts: Parts, state: ModelState) -> ModelAnswer:
    about = {"loaded": state.loaded, "fingerprint": state.fingerprint, **state.about}
    if state.name == parts.desk.model(None):
        about["default"] = True
    return ModelAnswer(id=state.name, created=parts.started, owned_by="likeness", likeness=about)
