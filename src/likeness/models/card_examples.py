"""Example pictures of a card: only such as carry the recipe they were drawn by, and it without this machine's paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import atomic_path
from ..provenance import read, request_of, save_png
from ..records import ImageRequest
from .scrub import scrub

MOST = 12
FOLDER = "images"
_PICTURES = {".png", ".jpg", ".jpeg", ".webp"}


@dataclass(frozen=True)
class Example:
    """A drawn picture: where it lies here, what it is called there, and how it was drawn."""

    path: Path
    name: str
    request: ImageRequest
    fingerprint: str
    extra: dict[str, Any]

    def save(self, target: Path) -> None:
        """Write it with its recipe, in which paths are cut to names."""
        from PIL import Image

        with Image.open(self.path) as opened:
            save_png(target, opened.convert("RGB"), self.request, self.request.seed or 0, self.fingerprint, self.extra)


def find(folder: str | Path) -> list[Example]:
    """The pictures of a folder, or the one of a file, at most `MOST`, in the order of their names.

    Raises `UsageError` for a picture without a recipe: it may show a real person.
    """
    folder = Path(folder)
    if not folder.exists():
        raise UsageError(f"there is no {folder}: give --examples a folder of pictures that `likeness generate` drew")
    files = [folder] if folder.is_file() else sorted(p for p in folder.iterdir() if p.suffix.lower() in _PICTURES)
    if not files:
        raise UsageError(f"{folder} holds no pictures: give --examples a folder that `likeness generate` filled")
    return [_example(path) for path in files[:MOST]]


def _example(path: Path) -> Example:
    try:
        recipe = read(path)
        request = request_of(recipe)
    except UsageError as error:
        raise UsageError(f"{error}. Only drawn pictures are published, no photos: take it out of --examples") from None
    if request.image or request.mask:
        raise UsageError(f"{path} was drawn from a start picture, which may show somebody: take it out of --examples")
    clean = replace(
        request, model=str(scrub(request.model)), loras=tuple((scrub(name), weight) for name, weight in request.loras)
    )
    extra: dict[str, Any] = {key: scrub(recipe[key]) for key in ("drawn", "mixture") if key in recipe}
    return Example(path, f"{FOLDER}/{path.stem}.png", clean, str(recipe.get("fingerprint") or ""), extra)


def table(examples: Sequence[Example]) -> str:
    """Markdown: each picture with its words, its seed and how it was drawn."""
    rows = ["| picture | prompt | seed | drawn with |", "|---|---|---|---|"]
    for one in examples:
        r = one.request
        how = [f"{r.steps} steps" if r.steps else "", f"guidance {r.guidance:g}" if r.guidance is not None else "",
               r.scheduler or "", *(f"{name} at {weight:g}" for name, weight in r.loras)]  # fmt: skip
        said = " ".join(r.prompt.split()).replace("|", "\\|").replace("<", "&lt;")
        rows.append(f"| ![{one.path.stem}]({one.name}) | {said} | {r.seed} | {', '.join(filter(None, how))} |")
    return "\n".join(rows)


def write(examples: Sequence[Example], folder: Path) -> None:
    """Copy the pictures beside a card."""
    for one in examples:
        target = folder / one.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as temporary:
            one.save(temporary)
