"""`likeness generate --from-face photo.jpg --consent --model FOLDER`: variations of a face."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..records import Sample
from . import output as out
from .destination import choose
from .progress import bar

# options of `generate` that mean something here; any other is an error
USED = {
    "from_face", "mix", "consent", "seed", "steps", "guidance", "guidance_interval", "count", "model", "scheduler",
    "output", "grid", "json", "device", "precision", "batch_size",
}  # fmt: skip
CONSENT = (
    "--from-face draws from a photo of a person: add --consent to state that you have the right to use the photo, and "
    "that whoever is in it agrees"
)


def from_face(asked: dict[str, Any]) -> list[tuple[Sample, Path]]:
    """Draw what the command line asks for; each picture with the file that holds it. Raises `UsageError`."""
    other = [name for name, value in asked.items() if value and name not in USED]
    if other:
        raise UsageError(f"--from-face draws from photos alone: leave {', '.join(_flag(name) for name in other)} out")
    if not asked["consent"]:
        raise UsageError(CONSENT)
    if not asked["model"]:
        raise UsageError("--from-face needs --model with a folder of `likeness train dino`")
    from ..generate import faces
    from ..generate.guidance import read_interval

    photos, count, mix = asked["from_face"], asked["count"] or 1, asked["mix"] or "average"
    faces.check_mix(mix, len(photos), count)
    studio = faces.open_model(asked["model"], asked["device"], asked["precision"], asked["batch_size"])
    request = studio.request(
        **{k: asked[k] for k in ("seed", "steps", "guidance", "count", "scheduler")},
        guidance_interval=read_interval(asked["guidance_interval"]),
    )
    destination = choose(asked["output"], asked["grid"], [request])
    kept: list[Sample] = []
    with bar("drawing", show=not asked["json"]) as progress:
        written = destination.save(_kept(studio.variations(request, photos, mix, progress), kept))
    _tell(kept, written, asked["json"])
    return list(zip(kept, written, strict=False))


def _kept(samples: Any, kept: list[Sample]) -> Any:
    for sample in samples:
        kept.append(sample)
        yield sample


def _flag(name: str) -> str:
    return "the prompt" if name == "prompt" else f"--{name.replace('_', '-')}"


def _tell(samples: list[Sample], written: list[Path], json: bool) -> None:
    if not json:
        for path in written:
            out.result(str(path))
        return
    first = samples[0]
    facts = dataclasses.asdict(first.request)
    shown = {name: facts[name] for name in ("model", "steps", "guidance", "scheduler")}
    pictures = [{"seed": s.seed, "shares": s.image.info["likeness"]["variation"]["shares"]} for s in samples]
    out.as_json(shown | {"fingerprint": first.fingerprint, "files": [str(p) for p in written], "images": pictures})
