"""From the body that came in to a plan: what is drawn, under which key it is kept, and what history will say."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread

from ..config import suggest
from ..errors import RecordError
from ..records import Attributes, ImageRequest
from .engine import ImageEngine
from .problems import Problem
from .schemas import ImageBody
from .settings import Settings
from .store import Store, cache_key
from .uploads import Uploads, decoded

ENTRY_ID = re.compile(r"[0-9A-Z]{26}")


@dataclass(frozen=True)
class Plan:
    """A request that may be drawn: resolved, checked, its pictures on the disk until `files` are released."""

    owner: str
    request: ImageRequest
    fingerprint: str
    key: str | None  # of the cache; None where the caller left the seed open
    deadline: float
    told: dict[str, Any]  # the request as history keeps it
    attributes: dict[str, Any] | None = None
    parent: str | None = None
    files: tuple[Path, ...] = ()


class Desk:
    """Turns bodies into plans. `marks_version` is a part of the cache's keys: other marks, other bytes."""

    def __init__(self, settings: Settings, engine: ImageEngine, store: Store, marks_version: str = "") -> None:
        self.settings, self.engine, self.store, self.marks_version = settings, engine, store, marks_version
        self.uploads = Uploads(settings.max_pixels)

    async def plan(self, body: ImageBody, owner: str) -> Plan:
        """Raises `Problem`, `UsageError` or `PromptRefused` for what will not be drawn."""
        self._check(body)
        files: list[Path] = []
        try:
            image = await self._start(body.image, "image", owner, files)
            mask = await self._start(body.mask, "mask", owner, files)
            request = self._request(body, image, mask)
            resolved, fingerprint = await self.engine.resolve(request)
            key = self._key(request.seed, resolved, fingerprint, files)
            parent = await self._parent(body, owner)
        except BaseException:
            self.uploads.release(*files)
            raise
        deadline = min(body.timeout_s or self.settings.deadline, self.settings.deadline)
        told = _told(resolved)
        return Plan(owner, resolved, fingerprint, key, deadline, told, _said(body), parent, tuple(files))

    def _check(self, body: ImageBody) -> None:
        """The operator's limits, which the OpenAPI document does not know."""
        s = self.settings
        for name in ("prompt", "negative_prompt"):
            if len(getattr(body, name)) > s.max_prompt:
                raise Problem(400, "prompt_too_long", f"{name} is longer than {s.max_prompt:,} characters", name)
        for name, value, most in (("count", body.count, s.max_count), ("steps", body.steps or 0, s.max_steps)):
            if value > most:
                raise Problem(400, "invalid_value", f"{name} is {value}: this server draws {most} at most", name)
        if body.mask and not body.image:
            raise Problem(400, "invalid_value", "a mask needs the picture that it lies on: send image too", "mask")

    def _request(self, body: ImageBody, image: Path | None, mask: Path | None) -> ImageRequest:
        asked = {name: getattr(body, name) for name in ("width", "height", "steps", "guidance", "seed", "scheduler")}
        if body.guidance_interval is not None:
            asked["guidance_interval"] = tuple(body.guidance_interval)
        if body.strength is not None:
            asked["strength"] = body.strength
        return ImageRequest(
            prompt=body.prompt,
            negative_prompt=body.negative_prompt,
            count=body.count,
            model=self.model(body.model),
            loras=tuple((self._lora(lora.name), lora.weight) for lora in body.loras),
            image=str(image) if image else None,
            mask=str(mask) if mask else None,
            **asked,
        )

    def model(self, name: str | None) -> str:
        """A model that the engine has; without a name the settings' own. Raises 404."""
        offered = [state.name for state in self.engine.models()]
        if name is None:
            return self.settings.model if self.settings.model in offered else offered[0]
        if name not in offered:
            raise Problem(404, "model_not_found", f"no model {name!r}{suggest(name, offered)}", "model")
        return name

    def _lora(self, name: str) -> str:
        if name not in self.settings.loras:
            known = suggest(name, sorted(self.settings.loras)) if self.settings.loras else ": this server has none"
            raise Problem(404, "lora_not_found", f"no LoRA {name!r}{known}", "loras")
        return name

    async def _start(self, text: str | None, param: str, owner: str, files: list[Path]) -> Path | None:
        """A picture of the request as a file: decoded, or a history entry's. Raises 400 or 404."""
        if text is None:
            return None
        if ENTRY_ID.fullmatch(text):
            entry = await anyio.to_thread.run_sync(self.store.entry, text, owner)
            data = await anyio.to_thread.run_sync(self.store.picture, entry.digest) if entry and entry.digest else None
            if data is None:
                raise Problem(404, "entry_not_found", f"{param}: no such picture in your history", param)
        else:
            data = decoded(text, param)
        path = await anyio.to_thread.run_sync(self.uploads.keep, data, param)
        files.append(path)
        return path

    async def _parent(self, body: ImageBody, owner: str) -> str | None:
        name = body.parent or (body.image if ENTRY_ID.fullmatch(body.image or "") else None)
        if body.parent and await anyio.to_thread.run_sync(self.store.entry, body.parent, owner) is None:
            raise Problem(404, "entry_not_found", "parent: no such entry in your history", "parent")
        return name

    def _key(self, seed: int | None, resolved: ImageRequest, fingerprint: str, files: list[Path]) -> str | None:
        if seed is None or not self.settings.cache:
            return None
        inputs = [path.stem for path in files]
        return cache_key(resolved, fingerprint, (), self.marks_version, inputs)


def _told(request: ImageRequest) -> dict[str, Any]:
    """What history keeps: no path of this machine, LoRAs by the operator's names."""
    plain = {name: value for name, value in asdict(request).items() if value not in (None, (), "")}
    plain["loras"] = [{"name": name, "weight": weight} for name, weight in request.loras]
    for name in ("image", "mask"):
        if name in plain:
            plain[name] = f"sha256:{Path(plain[name]).stem}"
    if request.image is None:
        plain.pop("strength", None)
    return plain


def _said(body: ImageBody) -> dict[str, Any] | None:
    return None if body.attributes is None else attributes_of(body.attributes).to_dict()


def attributes_of(data: dict[str, Any]) -> Attributes:
    """Raises a 400 that names the field and its values."""
    try:
        return Attributes.from_dict(data)
    except (RecordError, TypeError) as error:  # TypeError: a value of a kind that cannot be looked up
        said = str(error) if isinstance(error, RecordError) else "a value is no text"
        raise Problem(400, "invalid_attributes", said, "attributes") from None
