"""What marks a picture as generated and tells how: A1111's `parameters` text, a JSON recipe, and XMP.

The text is what A1111 and the tools around it read; the JSON (key `likeness`) draws the picture again; the XMP carries
IPTC's DigitalSourceType `trainedAlgorithmicMedia`, which editors and platforms show as "made with AI".
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from .config import build
from .errors import UsageError
from .files import atomic_path
from .records import ImageRequest

VERSION = 1
KEY = "likeness"
XMP_KEY = "XML:com.adobe.xmp"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

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


def version() -> str:
    """Of this package; `0+unknown` when it runs from a checkout that was never installed."""
    try:
        return importlib.metadata.version("likeness")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"


def recipe_of(
    request: ImageRequest, seed: int, fingerprint: str, extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The JSON block: everything that draws this one picture again, under its own seed."""
    alone = dataclasses.replace(request, seed=seed, count=1)
    plain = {k: v for k, v in dataclasses.asdict(alone).items() if v not in (None, ())}
    if request.image is None:
        plain.pop("strength", None)
    return {
        "version": VERSION,
        "software": f"likeness {version()}",
        "request": plain,
        "fingerprint": fingerprint,
        **(extra or {}),
    }


def save_png(
    path: str | Path,
    image: Any,
    request: ImageRequest,
    seed: int,
    fingerprint: str,
    extra: dict[str, Any] | None = None,
) -> Path:
    """Write a PIL image with its recipe, whole or not at all. `extra` goes into the JSON block.

    Raises `UsageError` when the place cannot be written.
    """
    from PIL import PngImagePlugin

    recipe = recipe_of(request, seed, fingerprint, extra)
    info = PngImagePlugin.PngInfo()
    hashes = {name: row["hash"] for name, row in ((extra or {}).get("drawn") or {}).get("loras", {}).items()}
    _add_text(info, "parameters", parameters(request, seed, fingerprint, hashes))
    _add_text(info, KEY, json.dumps(recipe, ensure_ascii=False))
    info.add_itxt(XMP_KEY, xmp(request.prompt))
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", pnginfo=info)
    return Path(path)


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


def read(path: str | Path) -> dict[str, Any]:
    """The recipe of a picture: our JSON block if it has one, else what an A1111 text says.

    Keys: `request` (fields of `ImageRequest`), `fingerprint`, `software`, `parameters` (the text), `marked` (whether
    XMP says that it is generated). Raises `UsageError` for a file that is missing, broken, no picture, or without a
    recipe.
    """
    info = _texts(path)
    text, block = info.get("parameters"), info.get(KEY)
    packet = info.get("xmp") or info.get(XMP_KEY) or b""
    packet = packet if isinstance(packet, str) else packet.decode("utf-8", "replace")
    common = {"parameters": text, "marked": "trainedAlgorithmicMedia" in packet}
    if block is not None:
        try:
            recipe = json.loads(block)
            request_of(recipe)
        except (ValueError, TypeError, KeyError, AttributeError, UsageError):
            raise UsageError(f"the recipe in {path} is damaged: take the file as it was first saved") from None
        return recipe | common
    if text and (request := parse_parameters(text)):
        software = request.pop("software", "A1111 or alike")
        return {"software": software, "fingerprint": request.pop("fingerprint", ""), "request": request} | common
    said = "it is marked as generated, but " if common["marked"] else ""
    raise UsageError(f"{path} has no recipe: {said}the text that likeness and A1111 write into PNG files is not there")


def request_of(recipe: dict[str, Any]) -> ImageRequest:
    """The request that a recipe holds. Raises `UsageError` when it names no prompt or holds a wrong value."""
    known = {f.name for f in dataclasses.fields(ImageRequest)}  # a newer version may have written more
    request = build(
        ImageRequest, {"prompt": ""} | {k: v for k, v in recipe["request"].items() if k in known} | {"loras": ()}
    )
    if not request.prompt:
        raise UsageError("the recipe holds no prompt: write one")
    loras = tuple((str(name), float(weight)) for name, weight in recipe["request"].get("loras", ()))
    return dataclasses.replace(request, loras=loras)


def verify_start(recipe: dict[str, Any]) -> None:
    """Raise `UsageError` when the start image of a recipe is gone or is another picture by now."""
    name, wanted = recipe["request"].get("image"), recipe.get("start_sha256")
    if not name:
        return
    if not Path(name).is_file():
        raise UsageError(f"the start image {name} is not here: put it back, or give another with --image")
    if wanted and digest(name) != wanted:
        raise UsageError(f"the start image {name} has changed since: put the old one back, or name it with --image")


def digest(path: str | Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def xmp(description: str) -> str:
    """An XMP packet that says the picture was made by a trained model (IPTC Photo Metadata 2023.1)."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}" xmp:CreatorTool="{escape(f"likeness {version()}")}">'
        "<dc:description><rdf:Alt>"
        f'<rdf:li xml:lang="x-default">{escape(_printable(description))}</rdf:li>'
        "</rdf:Alt></dc:description>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def _lora_label(name: str) -> str:
    """What A1111 would call a LoRA: its file's name, or its folder's if the file has the name that all have."""
    parts = re.split(r"[/\\]", name.rstrip("/\\"))
    plain = len(parts) > 1 and parts[-1] == "pytorch_lora_weights.safetensors"
    return re.sub(r'[<>:,"]', "_", parts[-2 if plain else -1].removesuffix(".safetensors"))


def _texts(path: str | Path) -> dict[str, Any]:
    """Text chunks and XMP of a whole picture."""
    from PIL import Image

    if not Path(path).is_file():
        raise UsageError(f"no file {path}")
    try:
        with Image.open(path) as picture:
            picture.load()  # a file cut short has a good header; PNG text may also stand behind the pixels
            found: dict[str, Any] = {str(k): v for k, v in picture.info.items()} | dict(getattr(picture, "text", {}))
            comment = picture.getexif().get_ifd(0x8769).get(0x9286)  # where A1111 puts its text in JPEG and WebP
            if isinstance(comment, bytes) and comment[:8] == b"UNICODE\0":
                found.setdefault("parameters", comment[8:].decode("utf-16-be", "replace"))
            return found
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise UsageError(f"{path} is broken or no picture") from None


def _add_text(info: Any, key: str, text: str) -> None:
    """Latin-1 goes into tEXt, where every reader looks; anything else needs iTXt."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        info.add_itxt(key, text)
    else:
        info.add_text(key, text)


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


def _printable(text: str) -> str:
    """Without the control characters that XML 1.0 forbids."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", text)
