"""LoRAs folded into a model's weights: a whole pipeline folder that needs no LoRA any more."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..errors import UsageError
from ..files import write_json
from ..runtime import Runtime
from . import lora_layouts as layouts
from . import registry
from .adapters import FILE
from .family import FAMILIES
from .folders import whole_folder
from .lora import check
from .lora_layouts import Lora
from .lora_names import PARTS
from .stable_diffusion import quiet

RECORD = "merged.json"  # what was folded into what


def merge(
    model: str | Path, loras: Sequence[tuple[str | Path, float]], output: str | Path, overwrite: bool = False
) -> Path:
    """Write `model` (a name or folder) with the LoRAs at their weights folded in, as a folder in diffusers' format.

    W + sum of weight * alpha / rank * B A, by diffusers' own `fuse_lora`; numbers are stored in the type of the source.
    Raises `UsageError` when a LoRA is for another model, and when the folder is taken.
    """
    if not loras:
        raise UsageError("name at least one LoRA: --lora path:0.8")
    spec = registry.find(model)
    source = registry.locate(spec)
    with whole_folder(Path(output), registry.INDEX, overwrite) as target, quiet():
        pipeline = FAMILIES[spec.family].load(source, Runtime(torch.device("cpu")))
        read = [(layouts.read(path, pipeline.unet.config.layers_per_block), weight) for path, weight in loras]
        changed = _fuse(pipeline, read)
        _copy(source, target, leave=changed) if source.is_dir() else pipeline.save_pretrained(target)
        for part in changed:
            _save(getattr(pipeline, part), source / part, target / part)
        _settle(target)
        rows = [{"lora": lora.source.name, "sha256": lora.sha256(), "weight": weight} for lora, weight in read]
        write_json(target / RECORD, {"base": spec.title, "license": spec.license, "loras": rows})
    return Path(output)


def record(folder: Path) -> dict[str, Any]:
    """What was folded into the model of that folder."""
    found: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return found


def _fuse(pipeline: Any, loras: Sequence[tuple[Lora, float]]) -> list[str]:
    """Fold the LoRAs into the pipeline's networks; the names of those that changed."""
    from diffusers.utils import set_weights_and_activate_adapters

    parts = {name: part for name in PARTS if (part := getattr(pipeline, name, None)) is not None}
    adapters: dict[str, float] = {}
    changed: set[str] = set()
    for number, (lora, weight) in enumerate(loras):
        check(lora, parts)  # the loader only warns of what does not fit
        adapters[f"lora_{number}"] = weight
        changed |= set(lora.parts)
        with tempfile.TemporaryDirectory() as folder:
            layouts.write_diffusers(lora, Path(folder) / FILE)
            pipeline.load_lora_weights(folder, weight_name=FILE, adapter_name=f"lora_{number}")
    for part in changed:
        set_weights_and_activate_adapters(parts[part], list(adapters), list(adapters.values()))
    pipeline.fuse_lora(components=sorted(changed), adapter_names=list(adapters))
    pipeline.unload_lora_weights()
    return sorted(changed)


def _copy(source: Path, target: Path, leave: Sequence[str]) -> None:
    """Everything of the source that the pipeline is made of, but the weights of the parts in `leave`."""
    index = json.loads((source / registry.INDEX).read_text(encoding="utf-8"))
    for name in index:
        if (source / name).is_dir():  # symlinks of the hub's cache become files
            shutil.copytree(source / name, target / name, ignore=_weights if name in leave else None)
    for file in (source / registry.INDEX, *source.glob("LICENSE*")):
        shutil.copy(file, target / file.name)


def _weights(folder: str, files: list[str]) -> list[str]:
    return [file for file in files if file != "config.json"]


def _save(part: Any, source: Path, target: Path) -> None:
    """One network under plain names, in the type that its files had; the source's configuration stays."""
    config = (target / "config.json").read_bytes()
    part.to(_stored_type(source))
    if not all(tensor.isfinite().all() for tensor in part.state_dict().values()):
        raise UsageError(f"the merged {target.name} is not finite: a LoRA is damaged, or its weight is far too large")
    part.save_pretrained(target)
    (target / "config.json").write_bytes(config)
    for file in target.iterdir():
        file.chmod(0o644)  # safetensors makes private files


def _settle(target: Path) -> None:
    """Make the folder one that stock diffusers loads without arguments: plain names, and encoders as fp32."""
    for file in target.glob("*/*.fp16.*"):
        plain = file.with_name(file.name.replace(".fp16.", "."))
        file.unlink() if plain.exists() else file.rename(plain)
    for config in target.glob("text_encoder*/config.json"):
        facts = json.loads(config.read_text(encoding="utf-8"))
        # Without the type, stock transformers loads a text encoder as half beside a float UNet.
        facts = {key: value for key, value in facts.items() if key not in {"torch_dtype", "_name_or_path"}}
        write_json(config, facts | {"dtype": "float32"})


def _stored_type(folder: Path) -> torch.dtype:
    """The type of a network's files. Raises `UsageError` when they are no safetensors."""
    from safetensors import safe_open

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return torch.float32  # .bin files of the first years
    with safe_open(files[0], framework="pt") as opened:
        return opened.get_tensor(next(iter(opened.keys()))).dtype
