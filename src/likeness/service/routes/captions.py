"""/v1/captions writes descriptions; /v1/attributes is what a form can ask about a face."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request

from ...generate import safety
from ...grammar import describe, parse
from ...models.registry import ModelSpec
from ...records import FIELDS, Attributes
from ..asking import attributes_of
from ..documented import BODY, ENGINE, errors
from ..parts import Here, Parts
from ..problems import Problem
from ..schemas import AgesAnswer, AttributesAnswer, CaptionAnswer, CaptionBody, FieldAnswer, GroupAnswer
from ..security import KEY, Caller, Guarded, Who, charge
from ..store import NewEntry
from ..waiting import while_there

router = APIRouter(route_class=Guarded, tags=["captions"], dependencies=KEY)

WRITER = ModelSpec("captions", "text", "whoever writes descriptions")
MANDATORY = ("gender",)  # and the age: without them a description is of nobody
ADULT, OLDEST = 18, 120
AGES = ("18-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")


@router.post("/v1/captions", responses=errors(*BODY, *ENGINE))
async def caption(body: CaptionBody, request: Request, parts: Here, who: Who) -> CaptionAnswer:
    """Attributes become a description; a text is read, and with `rewrite` written anew in more detail."""
    given = attributes_of(body.attributes or {})
    text = allowed(body.prompt_text or "", parts)
    if given.said():
        said = await anyio.to_thread.run_sync(partial(describe, given, seed=None))
        text = f"{said} {text}".strip()
    if body.rewrite and text:
        charge(parts, request, who)  # a form that writes along while it is filled in only reads
        text = await written(text, parts, who, request, given)
    read = await anyio.to_thread.run_sync(parse, text)
    attributes = given if given.said() and not body.rewrite else read.attributes
    missed = body.prompt_text and read.unknown and not body.rewrite
    notes = [f"words not understood: {', '.join(read.unknown)}"] if missed else []
    return CaptionAnswer(caption=text, attributes=attributes.to_dict(), notes=notes)


def allowed(text: str, parts: Parts) -> str:
    """The text, if it is within the operator's limit and asks for nothing that is refused everywhere."""
    if len(text) > parts.settings.max_prompt:
        said = f"prompt_text is longer than {parts.settings.max_prompt:,} characters"
        raise Problem(400, "prompt_too_long", said, "prompt_text")
    safety.check([text], WRITER)
    return text


async def written(text: str, parts: Parts, who: Caller, request: Request, attributes: Attributes | None = None) -> str:
    """The text engine's description of a text, from the cache or anew, and in history."""
    key = hashlib.sha256(f"{parts.settings.text_model_url}\n{text}".encode()).hexdigest()
    found = await anyio.to_thread.run_sync(parts.store.cached_caption, key)
    if found is None:
        found = await while_there(request, parts.texts.describe(text))
        await anyio.to_thread.run_sync(parts.store.remember_caption, key, found)
    else:
        request.state.facts["cached"] = True
    said: dict[str, Any] | None = attributes.to_dict() if attributes and attributes.said() else None
    entry = NewEntry(who.owner, "caption", found, {"prompt_text": text}, attributes=said)
    await anyio.to_thread.run_sync(parts.store.record, entry)
    return found


@router.get("/v1/attributes", responses=errors())
async def attributes() -> AttributesAnswer:
    """What can be said about a face, grouped as a witness would be asked."""
    groups: dict[str, list[FieldAnswer]] = {}
    for name, spec in FIELDS.items():
        row = FieldAnswer(
            name=name, title=_title(name), values=list(spec.values), many=spec.many, mandatory=name in MANDATORY
        )
        groups.setdefault(spec.group, []).append(row)
    return AttributesAnswer(
        groups=[GroupAnswer(name=name, title=_title(name), fields=rows) for name, rows in groups.items()],
        ages=AgesAnswer(minimum=ADULT, maximum=OLDEST, ranges=list(AGES), mandatory=True),
    )


def _title(name: str) -> str:
    """`hair_color` -> `Hair color`."""
    return name.replace("_", " ").capitalize()
