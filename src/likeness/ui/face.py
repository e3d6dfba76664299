"""One finished face as the page knows it, wherever it came from: a job just done, or the history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# what of a resolved request is sent again to draw the same face; the seed is the face's own
AGAIN = (
    "prompt", "negative_prompt", "width", "height", "steps", "guidance", "guidance_interval", "model", "loras",
    "scheduler",
)  # fmt: skip
NAMES = {
    "seed": "Seed",
    "model": "Model",
    "steps": "Steps",
    "guidance": "Guidance",
    "guidance_interval": "Guided from, to",
    "scheduler": "Scheduler",
    "loras": "LoRA",
    "strength": "How freely",
    "negative_prompt": "Left out",
    "prompt": "Description",
}


@dataclass(frozen=True)
class Face:
    """`id` is its history entry, `digest` the name of its PNG, `request` what it was drawn from, as resolved."""

    id: str
    digest: str
    seed: int
    width: int = 0
    height: int = 0
    prompt: str = ""
    model: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    favourite: bool = False
    created: str = ""
    parent: str | None = None

    @property
    def key(self) -> str:
        """What it is told by: two entries of the history may hold the same picture."""
        return self.id or self.digest

    @property
    def title(self) -> str:
        """A name that tells it from the others."""
        short = self.prompt if len(self.prompt) <= 48 else self.prompt[:47].rstrip() + "…"
        return f"{short} · seed {self.seed}"

    def again(self) -> dict[str, Any]:
        """The body that draws this face once more."""
        body = {k: v for k in AGAIN if (v := self.request.get(k)) not in (None, "", [], ())}
        if loras := body.get("loras"):
            body["loras"] = [_lora(row) for row in loras]
        return body | {"prompt": self.prompt, "seed": self.seed, "count": 1}

    def facts(self) -> dict[str, str]:
        """What it was drawn with, in words, in the order of `NAMES`."""
        all_of = {**self.request, "seed": self.seed, "prompt": self.prompt}
        if not (all_of.get("image") and all_of.get("strength") is not None):
            all_of.pop("strength", None)
        return {word: _words(k, v) for k, word in NAMES.items() if (v := all_of.get(k)) not in (None, "", [], ())}

    def recipe_json(self) -> str:
        """The recipe, or, for a face whose recipe is only in its PNG, the request."""
        return json.dumps(self.recipe or {**self.request, "seed": self.seed}, indent=2, ensure_ascii=False)


def of_picture(picture: Mapping[str, Any], body: Mapping[str, Any]) -> Face:
    """A face from one of a job's `pictures` and the body that was sent; its recipe knows what the body left open."""
    recipe = dict(picture.get("recipe") or {})
    request = {**body, **_request(recipe)}
    return Face(
        id=str(picture.get("id") or ""), digest=_digest(picture), seed=int(picture.get("seed") or 0),
        width=int(picture.get("width") or 0), height=int(picture.get("height") or 0),
        prompt=str(body.get("prompt") or ""), model=str(request.get("model") or ""), request=request,
        attributes=body.get("attributes"), recipe=recipe, parent=body.get("parent"),
    )  # fmt: skip


def of_entry(entry: Mapping[str, Any]) -> Face:
    """A face from a history entry."""
    request = dict(entry.get("request") or {})
    return Face(
        id=str(entry.get("id") or ""), digest=_digest(entry), seed=int(entry.get("seed") or 0),
        width=int(entry.get("width") or 0), height=int(entry.get("height") or 0),
        prompt=str(entry.get("prompt") or ""), model=str(entry.get("model") or ""),
        request={"model": entry.get("model"), **request}, attributes=entry.get("attributes"),
        recipe=dict(entry.get("recipe") or {}), favourite=bool(entry.get("favourite")),
        created=str(entry.get("created") or ""), parent=entry.get("parent"),
    )  # fmt: skip


def differences(left: Face, right: Face) -> list[tuple[str, str, str]]:
    """(what, left, right) for every fact in which two faces differ."""
    one, two = left.facts(), right.facts()
    names = [word for word in NAMES.values() if one.get(word) != two.get(word)]
    return [(word, one.get(word, "–"), two.get(word, "–")) for word in names]


def _request(recipe: Mapping[str, Any]) -> dict[str, Any]:
    inner = recipe.get("request", recipe)
    return dict(inner) if isinstance(inner, Mapping) else {}


def _digest(row: Mapping[str, Any]) -> str:
    """The digest, or what the picture's address says of it."""
    return str(row.get("digest") or str(row.get("url") or "").rsplit("/", 1)[-1].removesuffix(".png"))


def _lora(row: Any) -> dict[str, Any]:
    return dict(row) if isinstance(row, Mapping) else {"name": str(row[0]), "weight": float(row[1])}


def _words(key: str, value: Any) -> str:
    if key == "loras":
        return ", ".join("{name} at {weight:g}".format(**_lora(row)) for row in value)
    if isinstance(value, list | tuple):
        return ", ".join(_words(key, one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
