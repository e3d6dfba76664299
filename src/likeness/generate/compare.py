"""Base against fine-tuned: the same prompts and seeds drawn by two models, side by side on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..provenance import save_png
from ..records import ImageRequest, Sample
from .generator import FaceGenerator, Progress
from .grid import sheet

BASE = "base"  # the same model without the LoRAs
Columns = dict[str, list[Sample]]


def columns(
    requests: Sequence[ImageRequest], other: str = BASE, machine: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Columns:  # fmt: skip
    """What the other model and the asked one draw, by label: the other one left. Sizes and steps are the asked one's.

    Raises `UsageError` when there is nothing to compare.
    """
    asked = requests[0]
    if other == BASE and not asked.loras:
        raise UsageError("--compare base draws without the LoRAs, but there are none: give --lora, or name a model")
    if other != BASE and other == asked.model and not asked.loras:
        raise UsageError(f"{other} against itself shows nothing: give --lora, or --compare another model")
    name = asked.model if other == BASE else other
    left = FaceGenerator(name, **(machine or {}))
    right = left if name == asked.model else FaceGenerator(asked.model, **(machine or {}))
    steps = sum((request.steps or 0) * request.count for request in requests)

    def counted(offset: int) -> Progress:
        return lambda done, total: progress(offset + done, 2 * steps) if progress else None

    theirs = [replace(request, model=left.spec.name, loras=()) for request in requests]
    label = " + ".join([asked.model, *(f"{Path(n).name}:{w:g}" for n, w in asked.loras)])
    return {
        name: list(left.stream(theirs, counted(0))),
        label: list(right.stream(requests, counted(steps))),
    }


def save_sheet(path: str | Path, drawn: Columns) -> Path:
    """A row for each prompt and seed, a column for each model; the recipe inside is the last column's first picture."""
    labels, rows = list(drawn), list(zip(*drawn.values(), strict=True))
    prompts = list(dict.fromkeys(sample.request.prompt for *_, sample in rows))
    texts = [f"{label}, seed {s.seed}" for row in rows for label, s in zip(labels, row, strict=True)]
    page = sheet([sample.image for row in rows for sample in row], columns=len(labels), labels=texts)
    first = rows[0][-1]
    facts = {"columns": labels, "count": len(rows), "seeds": [row[-1].seed for row in rows], "prompts": prompts}
    extra = {"compare": facts, "drawn": first.image.info.get("likeness", {})}
    return save_png(path, page, first.request, first.seed, first.fingerprint, extra)
