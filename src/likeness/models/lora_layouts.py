"""LoRA files: read any common layout into one record, write that record in diffusers', kohya's or PEFT's layout."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError
from ..files import atomic_path, write_json
from ..provenance import digest
from . import lora_names as names
from .adapters import WIDTHS, locate_lora

PEFT_WEIGHTS, PEFT_CONFIG = "adapter_model.safetensors", "adapter_config.json"
ADAPTERS = "lora_adapter_metadata"  # diffusers keeps the adapters' configurations under this key
OURS = "likeness"
_STALE = ("format", ADAPTERS, "sshs_model_hash", "sshs_legacy_hash")  # not true of the tensors once they are renamed

# What an adapter's configuration says in a file: the part of peft's LoraConfig that every version of it since
# 0.11 knows, because `LoraConfig(**metadata)` fails on a key of a newer one. Without the dropout: diffusers would
# apply it when it draws.
_CONFIG = ("r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern", "use_dora", "use_rslora")


@dataclass(frozen=True)
class Entry:
    """The change of one module: W + scale * up @ down. Shapes (r, in[, k, k]) and (out, r[, 1, 1])."""

    down: Tensor
    up: Tensor
    alpha: float
    magnitude: Tensor | None = None  # DoRA's (Liu et al. 2024), one number a row of W
    rslora: bool = False

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def scale(self) -> float:
        # alpha / r (Hu et al. 2021, section 4.1); alpha / sqrt(r) (rsLoRA: Kalajdzievski 2023)
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)

    def tensors(self) -> dict[str, Tensor]:
        held = {"down": self.down, "up": self.up, "magnitude": self.magnitude}
        return {kind: tensor for kind, tensor in held.items() if tensor is not None}


@dataclass(frozen=True)
class Lora:
    """A LoRA as it lies in a file: (part, module) -> its change."""

    layout: str
    source: Path
    entries: dict[tuple[str, str], Entry]
    metadata: dict[str, str] = field(default_factory=dict)

    def of(self, part: str) -> dict[str, Entry]:
        return {module: entry for (owner, module), entry in self.entries.items() if owner == part}

    @property
    def parts(self) -> list[str]:
        return [part for part in names.PARTS if self.of(part)]

    def sha256(self) -> str:
        """Of the file, or of an adapter folder's files one after another."""
        files = [self.source] if self.source.is_file() else sorted(self.source.rglob(PEFT_WEIGHTS))
        digests = [digest(file) for file in files]
        return digests[0] if len(files) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    @property
    def ours(self) -> dict[str, Any]:
        """What likeness wrote into the file: base model, family, recipe, steps; {} in a file of somebody else."""
        try:
            told = json.loads(self.metadata.get(OURS, "{}"))
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    @property
    def family(self) -> str | None:
        """The family that it was made for, told by the file or guessed from its widths."""
        return self.ours.get("family") or _guess(self)

    @property
    def layers(self) -> int:
        """Layers a UNet block has: 2 in every published Stable Diffusion."""
        return int(self.ours.get("layers_per_block") or 2)


def _guess(lora: Lora) -> str | None:
    if lora.of("text_encoder_2"):
        return "sdxl"
    widths = {e.down.shape[1] for m, e in lora.of("unet").items() if m.endswith(("attn2.to_k", "attn2.to_v"))}
    if not widths and not lora.of("unet"):
        widths = {e.down.shape[1] for m, e in lora.of("text_encoder").items() if m.endswith("q_proj")}
    return WIDTHS.get(widths.pop()) if len(widths) == 1 else None


# Reading


def read(path: str | Path, layers: int | None = None) -> Lora:
    """Read a file or folder of any layout. `layers` a UNet block has, where kohya's names of SDXL need it.

    Raises `UsageError` when there is none (see `locate_lora`), when it is damaged, and at the first unknown key.
    """
    path = _source(Path(path))
    if path.is_dir():
        return _read_peft(path)
    tensors, metadata = load(path)
    kohya = any(key.startswith(("lora_unet_", "lora_te")) for key in tensors)
    if kohya:
        told = Lora("kohya", path, {}, metadata)
        if layers:  # kept, because the names that it is written under later need it too
            metadata[OURS] = json.dumps(told.ours | {"layers_per_block": layers})
        found = entries(path, tensors, partial(names.parse_kohya, layers=told.layers), {})
        return Lora("kohya", path, found, metadata)
    if all(key.startswith("base_model.model.") for key in tensors):
        return _read_peft(path.parent)
    layout = "diffusers" if any(".lora_A." in key for key in tensors) else "diffusers, before PEFT"
    return Lora(layout, path, entries(path, tensors, names.parse_diffusers, adapter_configs(metadata)), metadata)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises `UsageError` when it is damaged or something else."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            metadata = dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} is damaged or no safetensors file ({error}): download it again") from None
    if not tensors:
        raise UsageError(f"{path} holds no tensors: it is no LoRA")
    return tensors, metadata


def _source(path: Path) -> Path:
    """The file, or the folder in PEFT's layout, that a path, a name or a hub id means."""
    return path if _adapters(path) else locate_lora(str(path))


def _adapters(folder: Path) -> dict[str, Path]:
    """Part -> its folder, of a folder in PEFT's layout: one adapter itself, or one a part."""
    inner = {part: folder / part for part in names.PARTS if (folder / part / PEFT_CONFIG).is_file()}
    return inner or ({"": folder} if (folder / PEFT_CONFIG).is_file() else {})


def _read_peft(folder: Path) -> Lora:
    found: dict[tuple[str, str], Entry] = {}
    metadata: dict[str, str] = {}
    for part, inner in _adapters(folder).items():
        path = inner / PEFT_WEIGHTS
        tensors, told = load(path)
        part = part or _part_of(inner, tensors)
        try:
            config = json.loads((inner / PEFT_CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UsageError(f"{inner / PEFT_CONFIG} cannot be read: copy the adapter again") from None
        if config.get("peft_type", "LORA") != "LORA":
            raise UsageError(f"{folder} is a {config['peft_type']} adapter: only LoRA can be read")
        found |= entries(path, tensors, partial(names.parse_peft, part=part), {part: config})
        metadata |= told
    return Lora("peft", folder, found, metadata)


def _part_of(folder: Path, tensors: Iterable[str]) -> str:
    """The part that a lone PEFT adapter is for, by its folder's name or its modules'."""
    if folder.name in names.PARTS:
        return folder.name
    return "unet" if any("_block" in key for key in tensors) else "text_encoder"


def adapter_configs(metadata: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Part -> the configuration that diffusers keeps in a file's metadata; {} in an older file."""
    try:
        flat = json.loads(metadata.get(ADAPTERS, "{}"))
        configs: dict[str, dict[str, Any]] = {}
        for key, value in flat.items():
            part, _, name = key.partition(".")
            configs.setdefault(part, {})[name] = value
    except (ValueError, AttributeError):
        raise UsageError(f"the file's {ADAPTERS} cannot be read: download it again") from None
    return configs


def entries(
    path: Path,
    tensors: Mapping[str, Tensor],
    name: Callable[[str], names.Name | None],
    configs: Mapping[str, Mapping[str, Any]],
) -> dict[tuple[str, str], Entry]:
    """Put each module's tensors together. Raises `UsageError` at an unknown key and where one of a pair is missing."""
    held: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if (known := name(key)) is None:
            raise UsageError(f"{path}: unknown key {key!r}. LoRA and LoCon of Stable Diffusion and SDXL can be read")
        held.setdefault(known[:2], {})[known[2]] = tensor
    made = {}
    for (part, module), kinds in held.items():
        down, up = kinds.get("down"), kinds.get("up")
        if down is None or up is None or min(down.ndim, up.ndim) < 2 or not 0 < down.shape[0] == up.shape[1]:
            raise UsageError(f"{path}: the two matrices of {part}.{module} do not fit: download it again")
        config = configs.get(part, {})
        try:
            alpha = kinds["alpha"].item() if "alpha" in kinds else _alpha(config, module, down.shape[0])
        except (RuntimeError, re.error, TypeError, ValueError, AttributeError):
            raise UsageError(f"{path}: the alpha of {part}.{module} cannot be read: download it again") from None
        made[part, module] = Entry(down, up, float(alpha), kinds.get("magnitude"), bool(config.get("use_rslora")))
    return made


def _alpha(config: Mapping[str, Any], module: str, rank: int) -> float:
    """An adapter's alpha for a module, found as peft does; without a configuration the rank, as diffusers has it."""
    for pattern, alpha in (config.get("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return float(alpha)
    return float(config.get("lora_alpha", rank))


# Writing


def adapter_config(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Modules of one part -> the keywords of peft's LoraConfig that make the same adapter."""
    rank = Counter(entry.rank for entry in entries.values()).most_common(1)[0][0]
    alpha = Counter(entry.alpha for entry in entries.values()).most_common(1)[0][0]
    bare = {module: module.removeprefix("text_model.") for module in entries}  # matches with and without the prefix
    return {
        "r": rank, "lora_alpha": _number(alpha), "target_modules": sorted(bare.values()),
        "rank_pattern": {bare[m]: e.rank for m, e in entries.items() if e.rank != rank},
        "alpha_pattern": {bare[m]: _number(e.alpha) for m, e in entries.items() if e.alpha != alpha},
        "use_dora": any(e.magnitude is not None for e in entries.values()),
        "use_rslora": any(e.rslora for e in entries.values()),
    }  # fmt: skip


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value


def diffusers_tensors(lora: Lora) -> dict[str, Tensor]:
    """Tensors under the keys of a diffusers file, text encoders with `text_model.`: old and new diffusers load that."""
    return {
        names.diffusers_key(part, module, kind): tensor
        for (part, module), entry in lora.entries.items()
        for kind, tensor in entry.tensors().items()
    }


def write_diffusers(lora: Lora, target: Path, configs: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """One file in diffusers' layout, with the adapters' configurations (`configs`, or as the tensors have it)."""
    configs = configs or {part: adapter_config(lora.of(part)) for part in lora.parts}
    flat = {f"{part}.{key}": configs[part][key] for part in lora.parts for key in _CONFIG}
    kept = {ADAPTERS: json.dumps(flat, indent=2, sort_keys=True)}
    write_tensors(target, diffusers_tensors(lora), _kept(lora) | kept)


def _kept(lora: Lora) -> dict[str, str]:
    """The file's metadata, but for what is only true of the tensors under their old names."""
    return {key: value for key, value in lora.metadata.items() if key not in _STALE}


def write_tensors(target: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    with atomic_path(target) as temporary:
        save_file(whole, temporary, {"format": "pt"} | dict(metadata))


def write_kohya(lora: Lora, target: Path) -> None:
    """One file under the names of kohya-ss sd-scripts, which A1111, Forge and ComfyUI read."""
    sdxl = lora.family == "sdxl"
    tensors = {}
    for (part, module), entry in lora.entries.items():
        name = names.kohya_module(part, module, sdxl, lora.layers)
        for kind, tensor in entry.tensors().items():
            # one number a row, with as many dimensions as W, is LyCORIS' dora_scale
            shape = (-1,) + (1,) * (entry.down.ndim - 1)
            tensors[names.kohya_key(name, kind)] = tensor.reshape(shape) if kind == "magnitude" else tensor
        # kohya's scale is always alpha / rank
        tensors[names.kohya_key(name, "alpha")] = torch.tensor(entry.scale * entry.rank, dtype=torch.float32)
    common = Counter((entry.rank, entry.scale * entry.rank) for entry in lora.entries.values()).most_common(1)[0][0]
    told = {"ss_network_dim": str(common[0]), "ss_network_alpha": str(_number(common[1]))}
    write_tensors(target, tensors, {"ss_network_module": "networks.lora"} | _kept(lora) | told)


def write_peft(lora: Lora, target: Path) -> None:
    """A folder with one adapter a part, which `PeftModel.from_pretrained` reads."""
    target.mkdir(parents=True, exist_ok=True)
    for part in lora.parts:
        config = adapter_config(lora.of(part))
        tensors = {
            f"base_model.model.{key.removeprefix(f'{part}.')}": tensor
            for key, tensor in diffusers_tensors(lora).items()
            if key.startswith(f"{part}.")
        }
        if part == "text_encoder":  # a CLIPTextModel has lost that prefix; one with projection has kept it
            tensors = {key.replace("text_model.", "", 1): tensor for key, tensor in tensors.items()}
        write_tensors(target / part / PEFT_WEIGHTS, tensors, _kept(lora))
        write_json(target / part / PEFT_CONFIG, {"peft_type": "LORA", "bias": "none", "inference_mode": True} | config)
