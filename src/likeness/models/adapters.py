"""Where a LoRA is: a registry name, a hub id, a file or a folder -> its .safetensors file and what it fits."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from ..config import suggest
from ..errors import ModelNotFound
from . import hub

FILE = "pytorch_lora_weights.safetensors"
TEXT_FILE = "text_encoder_lora_weights.safetensors"  # the text encoders' part of FILE once more, for other tools
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
# width of what the UNet's cross-attention reads -> family
WIDTHS = {256: "mini", 768: "sd15", 1024: "sd21", 2048: "sdxl"}


def locate_lora(name: str) -> Path:
    """The LoRA's file, downloaded if need be. Raises `ModelNotFound` that says what was tried."""
    path = Path(name).expanduser()
    if path.suffix.lower() in PICKLES:
        raise ModelNotFound(f"{name} may run code when it is read: convert it to .safetensors first")
    if path.is_file():
        return path
    if path.is_dir():
        return _in_folder(path, name)
    repository = _registered().get(name.lower(), name)
    if not hub.HUB_ID.fullmatch(repository):
        near = suggest(name, sorted(_registered()))
        hint = near if near.startswith(": did you mean") else ": give the path of its file with --lora"
        raise ModelNotFound(f"no LoRA file or folder {name}{hint}")
    return _in_folder(_from_hub(repository, name), name)


def _registered() -> dict[str, str]:
    from .registry import MODELS

    return {spec.name: spec.hub_ids[0] for spec in MODELS.values() if spec.family == "lora"}


def cached_lora(repository: str) -> Path | None:
    """The folder of a LoRA's repository on this disk, if it holds weights. Never touches the network."""
    folder = hub.snapshot(repository)
    return folder if folder and any(folder.rglob("*.safetensors")) else None


def _from_hub(repository: str, name: str) -> Path:
    if (folder := cached_lora(repository)) is not None:
        return folder
    if not hub.hub_reachable():
        raise hub.unreachable(name, repository, "--lora")
    try:
        return hub.fetch(repository)
    except Exception as error:  # the hub client raises a wide family
        raise ModelNotFound(f"cannot download {hub.explain(repository, error)}") from None


def _in_folder(folder: Path, name: str) -> Path:
    """A folder's own file, else its newest checkpoint's, else the only file that there is."""
    if (folder / FILE).is_file():
        return folder / FILE
    checkpoints = sorted(folder.rglob(FILE), key=_number)
    if checkpoints:
        return checkpoints[-1]
    others = [p for p in sorted(folder.rglob("*.safetensors")) if p.name != TEXT_FILE]
    if len(others) == 1:
        return others[0]
    if others:
        shown = ", ".join(str(p.relative_to(folder)) for p in others[:4])
        raise ModelNotFound(f"{name} holds several files ({shown}): name one of them")
    raise ModelNotFound(f"{name} holds no LoRA: it has no {FILE} and no other .safetensors file")


def _number(path: Path) -> tuple[int, str]:
    found = re.findall(r"\d+", path.parent.name)
    return int(found[-1]) if found else -1, str(path)


def header(path: Path) -> dict[str, dict]:
    """Name -> dtype and shape of the tensors of a safetensors file, and `__metadata__`. Raises `ModelNotFound`."""
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 2 <= size <= min(100_000_000, path.stat().st_size):
                raise ValueError
            found = json.loads(file.read(size))
    except OSError as error:
        raise ModelNotFound(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(row, dict) for row in found.values()):
        raise ModelNotFound(f"{path} is no safetensors file, or it is damaged: download or save it again")
    ends = [row["data_offsets"][1] for key, row in found.items() if key != "__metadata__" and "data_offsets" in row]
    if 8 + size + max(ends, default=0) > path.stat().st_size:
        raise ModelNotFound(f"{path} is cut short: download or save it again")
    return found


def text_width(path: Path) -> int | None:
    """Width of the text states that a LoRA's cross attention reads (768 for SD 1.5); None if it has none."""
    for key, row in header(path).items():
        if "attn2" in key and re.search(r"to_[kv]", key) and re.search(r"lora_A|lora_down|lora\.down", key):
            return int(row["shape"][1])
    return None


def short_hash(path: Path) -> str:
    """What A1111 and kohya call a LoRA's hash: SHA-256 behind the header, 12 digits."""
    with open(path, "rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
