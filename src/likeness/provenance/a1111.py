"""The `parameters` text of A1111 that the tools around it read: written and read back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..records import ImageRequest
from .software import version

# our scheduler name -> A1111's sampler and schedule type
SAMPLERS: dict[str, tuple[str, str | None]] = {
    "dpm++2m": ("DPM++ 2M", None),
    "dpm++2m-karras": ("DPM++ 2M", "Karras"),
    "dpm++2m-sde": ("DPM++ 2M SDE", None),
    "dpm++2m-sde-karras": ("DPM++ 2M SDE", "Karras"),
    "unipc": ("UniPC", None),
    "deis": ("DEIS", None),
    "ddim": ("DDIM", None),
    "ddpm": ("DDPM", None),
    "euler": ("Euler", None),
    "euler-karras": ("Euler", "Karras"),
    "euler-a": ("Euler a", None),
    "heun": ("Heun", None),
    "lms": ("LMS", None),
    "lms-karras": ("LMS", "Karras"),
    "pndm": ("PLMS", None),
}
_PAIR = re.compile(r'\s*([\w][\w \-/]*?):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_LORA = re.compile(r"\s?<lora:([^<>:]+):([+-]?(?:\d+\.?\d*|\.\d+))>")


def parameters(request: ImageRequest, seed: int, fingerprint: str, loras: Mapping[str, str] | None = None) -> str:
    """The text of A1111's `create_infotext`: prompt, negative prompt, then one line of `key: value` pairs.

    LoRAs stand behind the prompt as `<lora:name:0.8>`; `loras` are their short hashes by name.
    """
    sampler, schedule = SAMPLERS.get(request.scheduler or "", (request.scheduler or "", None))
    pairs = {
        "Steps": request.steps,
        "Sampler": sampler,
        "Schedule type": schedule,
        "CFG scale": f"{request.guidance:g}" if request.guidance is not None else None,
        "Seed": seed,
        "Size": f"{request.width}x{request.height}",
        "Model hash": fingerprint[:10],
        "Model": Path(request.model).name,
        "Denoising strength": f"{request.strength:g}" if request.image else None,
        "Lora hashes": ", ".join(f"{_lora_label(name)}: {short}" for name, short in (loras or {}).items()) or None,
        "Version": f"likeness {version()}",
    }
    lines = [" ".join([request.prompt, *(f"<lora:{_lora_label(n)}:{weight:g}>" for n, weight in request.loras)])]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    lines.append(", ".join(f"{k}: {_quote(v)}" for k, v in pairs.items() if v is not None))
    return "\n".join(lines)


def parse_parameters(text: str) -> dict[str, Any]:
    """A1111's text -> fields of `ImageRequest`; empty when it is none. What cannot be read is left out."""
    lines = text.strip().splitlines()
    last = next((i for i in range(len(lines) - 1, -1, -1) if re.match(r"\s*Steps:\s*\d", lines[i])), None)
    if last is None:
        return {}
    pairs = {k.strip().lower(): _unquote(v) for k, v in _PAIR.findall(" ".join(lines[last:]))}
    head = lines[:last]
    split = next((i for i, line in enumerate(head) if line.startswith("Negative prompt:")), len(head))
    prompt = "\n".join(head[:split])
    found: dict[str, Any] = {"prompt": _LORA.sub("", prompt).strip()}
    if loras := tuple((m[1], float(m[2])) for m in _LORA.finditer(prompt)):
        found["loras"] = loras
    if split < len(head):
        found["negative_prompt"] = "\n".join(head[split:]).removeprefix("Negative prompt:").strip()
    for key, field, kind in (
        ("steps", "steps", int), ("cfg scale", "guidance", float), ("seed", "seed", int), ("model", "model", str),
        ("model hash", "fingerprint", str), ("denoising strength", "strength", float), ("version", "software", str),
    ):  # fmt: skip
        try:
            found[field] = kind(pairs[key])
        except (KeyError, ValueError):
            continue
    if size := re.fullmatch(r"(\d+)x(\d+)", pairs.get("size", "")):
        found["width"], found["height"] = int(size[1]), int(size[2])
    if name := _scheduler(pairs.get("sampler", ""), pairs.get("schedule type")):
        found["scheduler"] = name
    return found


def _lora_label(name: str) -> str:
    """What A1111 would call a LoRA: its file's name, or its folder's if the file has the name that all have."""
    parts = re.split(r"[/\\]", name.rstrip("/\\"))
    plain = len(parts) > 1 and parts[-1] == "pytorch_lora_weights.safetensors"
    return re.sub(r'[<>:,"]', "_", parts[-2 if plain else -1].removesuffix(".safetensors"))


def _quote(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(c in text for c in ',:\n"') else text


def _unquote(value: str) -> str:
    value = value.strip()
    if value.startswith('"'):
        try:
            return str(json.loads(value))
        except ValueError:
            return value.strip('"')
    return value


def _scheduler(sampler: str, schedule: str | None) -> str | None:
    """A1111's names, the older `DPM++ 2M Karras` included -> ours, or None."""
    if sampler.endswith(" Karras"):
        sampler, schedule = sampler.removesuffix(" Karras"), "Karras"
    schedule = "Karras" if schedule == "Karras" else None
    wanted = sampler.lower(), schedule
    return next((ours for ours, (name, kind) in SAMPLERS.items() if (name.lower(), kind) == wanted), None)
