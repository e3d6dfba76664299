"""LoRA adapters in a pipeline's networks: put them in, save, load. The only file that makes peft's configs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..config import suggest
from ..errors import UsageError
from . import lora_layouts as layouts
from .adapters import FILE, TEXT_FILE
from .lora_layouts import Lora
from .lora_names import diffusers_key, parse_diffusers, whole_name

ADAPTER = "default"

# Short names for sets of modules, as endings of their names. `conv` is what kohya-ss calls LoCon (conv_dim).
_ATTENTION = ("to_k", "to_q", "to_v", "to_out.0")  # of diffusers' examples
_FEED_FORWARD = (*_ATTENTION, "ff.net.0.proj", "ff.net.2")
_LINEAR = (*_FEED_FORWARD, "proj_in", "proj_out", "time_emb_proj", "linear_1", "linear_2")
_CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv")
TARGETS: dict[str, tuple[str, ...]] = {
    "attention": _ATTENTION,
    "attention+ff": _FEED_FORWARD,
    "all-linear": _LINEAR,  # in SD 1.5 proj_in and proj_out are convolutions of 1x1, which is the same
    "conv": (*_FEED_FORWARD, "proj_in", "proj_out", "time_emb_proj", *_CONVOLUTIONS),
}
_TEXT_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
TEXT_TARGETS: dict[str, tuple[str, ...]] = dict.fromkeys(TARGETS, (*_TEXT_ATTENTION, "fc1", "fc2")) | {
    "attention": _TEXT_ATTENTION
}


@dataclass(frozen=True)
class LoraShape:
    """What the adapters look like. Targets are names of `TARGETS` or endings of modules' names."""

    rank: int = 4
    alpha: float | None = None  # None: the rank, which is a scale of 1
    text_rank: int | None = None  # None: as the UNet's
    text_alpha: float | None = None  # None: the text encoders' rank
    targets: tuple[str, ...] = ("attention",)
    text_targets: tuple[str, ...] = ("attention",)
    dropout: float = 0.0
    dora: bool = False  # Liu et al. 2024
    rslora: bool = False  # Kalajdzievski 2023
    text_encoder: bool = False  # every text encoder that the model has

    def __post_init__(self) -> None:
        if self.rank < 1 or (self.text_rank is not None and self.text_rank < 1):
            raise UsageError("the rank of a LoRA is at least 1")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"LoRA dropout {self.dropout}: give a share from 0 to below 1")
        if not self.targets or (self.text_encoder and not self.text_targets):
            raise UsageError(f"name the modules that LoRA changes: {', '.join(TARGETS)}, or endings of their names")
        if self.text_encoder and not set(expand(self.text_targets, TEXT_TARGETS)) & set(_TEXT_ATTENTION):
            # its loader tells a LoRA of a text encoder by these names
            raise UsageError(f"diffusers cannot load a text encoder's LoRA without one of {', '.join(_TEXT_ATTENTION)}")

    def config(self, part: str) -> dict[str, Any]:
        """Keywords of peft's LoraConfig for that part of the pipeline."""
        text = part != "unet"
        rank = (self.text_rank if text else None) or self.rank
        alpha = self.text_alpha if text else self.alpha
        return {
            "r": rank, "lora_alpha": rank if alpha is None else alpha, "lora_dropout": self.dropout,
            "use_dora": self.dora, "use_rslora": self.rslora,
            "target_modules": list(expand(*((self.text_targets, TEXT_TARGETS) if text else (self.targets, TARGETS)))),
        }  # fmt: skip


def expand(targets: tuple[str, ...], table: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Endings of module names, short names written out: `("attention", "conv_in")`."""
    return tuple(dict.fromkeys(ending for target in targets for ending in table.get(target, (target,))))


def inject(parts: Mapping[str, nn.Module], shape: LoraShape, seed: int = 0) -> dict[str, nn.Parameter]:
    """Freeze the networks and put fp32 adapters into the UNet and, if the shape says so, the text encoders.

    `parts` by the pipeline's names: unet, text_encoder, text_encoder_2. A is drawn from N(0, 1/r^2) as in diffusers'
    examples (by the seed alone, module by module), B is zero, so nothing changes yet. Returns the adapters' parameters
    by their keys in a saved file. Raises `UsageError` when a target fits no module.
    """
    for module in parts.values():
        module.requires_grad_(False)
    chosen = {name: part for name, part in parts.items() if name == "unet" or shape.text_encoder}
    for name, part in chosen.items():
        _spelled(part, *((shape.targets, TARGETS) if name == "unet" else (shape.text_targets, TEXT_TARGETS)))
        _add(part, shape.config(name))
    parameters = _parameters(chosen)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in parameters.items():
            if key.endswith("lora_A.weight"):
                noise = torch.randn(parameter.shape, generator=generator) / parameter.shape[0]
                parameter.copy_(noise)
    return parameters


def _spelled(part: nn.Module, targets: tuple[str, ...], table: Mapping[str, tuple[str, ...]]) -> None:
    """Raise `UsageError` for a target that ends no module's name: peft would only miss it."""
    names = [name for name, module in part.named_modules() if hasattr(module, "weight")]
    for target in targets:
        if target not in table and not any(f".{name}".endswith(f".{target}") for name in names):
            leaves = {name.rpartition(".")[2] for name in names}
            known = sorted({*table, *(leaf for leaf in leaves if not leaf.isdigit())})
            raise UsageError(f"no module of the {type(part).__name__} is called {target!r}{suggest(target, known)}")


def lora_state(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The adapters' tensors (not copies) by their keys in a saved file; parts without an adapter add nothing."""
    return {key: parameter.detach() for key, parameter in _parameters(parts).items()}


def save(
    path: str | Path, parts: Mapping[str, nn.Module], shape: LoraShape, metadata: Mapping[str, Any] | None = None
) -> Path:
    """Write the adapters to a folder as `pytorch_lora_weights.safetensors`, which stock diffusers loads.

    Rank, alpha, DoRA and rsLoRA are kept in the file; `metadata` (base, family, recipe, steps, licence: anything of
    JSON) beside them. Trained text encoders also get a file of their own. Returns the path of the first file.
    """
    folder = Path(path)
    told: dict[str, Any] = {"shape": asdict(shape)}
    if "unet" in parts:
        told["layers_per_block"] = _plain(parts["unet"]).config.layers_per_block
    configs = {
        name: vars(part.peft_config[ADAPTER]) | {"target_modules": sorted(part.peft_config[ADAPTER].target_modules)}
        for name, part in ((name, _plain(part)) for name, part in parts.items())
        if ADAPTER in getattr(part, "peft_config", {})
    }
    entries = layouts.entries(folder, lora_state(parts), parse_diffusers, configs)
    kept = {layouts.OURS: json.dumps(told | dict(metadata or {}))}
    layouts.write_diffusers(Lora("diffusers", folder, entries, kept), folder / FILE, configs)
    text = {of: entry for of, entry in entries.items() if of[0] != "unet"}
    if text:
        layouts.write_diffusers(Lora("diffusers", folder, text, kept), folder / TEXT_FILE, configs)
    return folder / FILE


def load_into(parts: Mapping[str, nn.Module], path: str | Path) -> dict[str, nn.Parameter]:
    """Put a file's LoRA of any layout into the networks, ready to train on; the rest is frozen.

    Where adapters are in already (`inject`), their shape must be the file's. Returns the parameters as `inject` does.
    Raises `UsageError` when the file is for another model or of another shape.
    """
    layers = _plain(parts["unet"]).config.layers_per_block if "unet" in parts else None
    lora = layouts.read(path, layers)
    check(lora, parts)
    present = _parameters(parts)
    if not present:
        for module in parts.values():
            module.requires_grad_(False)
        for part in lora.parts:
            _add(parts[part], layouts.adapter_config(lora.of(part)))
        present = _parameters(parts)
    stored = layouts.diffusers_tensors(lora)
    sizes, wanted = ({key: t.numel() for key, t in held.items()} for held in (stored, present))
    if odd := {key for key, _ in sizes.items() ^ wanted.items()}:
        raise UsageError(f"{path} and the adapters differ in {min(odd)}: give the rank and targets of the file")
    if other := next((part for part in lora.parts if _scales(parts[part], part) != _told(lora, part)), None):
        raise UsageError(f"{path} has another alpha for the {other} than the adapters: give the alpha of the file")
    with torch.no_grad():
        for key, parameter in present.items():
            parameter.copy_(stored[key].reshape(parameter.shape))
    return present


def check(lora: Lora, parts: Mapping[str, nn.Module]) -> None:
    """Raise `UsageError` when a module that the LoRA changes is not there, or has another size."""
    for (part, module), entry in lora.entries.items():
        found = _plain(parts.get(part))
        bare = module if hasattr(found, "text_model") else module.removeprefix("text_model.")
        try:
            weight = found.get_submodule(bare).get_parameter("weight")
        except AttributeError:
            raise UsageError(f"{lora.source} is for another model: this one has no {part}.{module}") from None
        if (entry.up.shape[0], entry.down.shape[1]) != tuple(weight.shape[:2]):
            ours, theirs = "x".join(map(str, weight.shape[:2])), f"{entry.up.shape[0]}x{entry.down.shape[1]}"
            raise UsageError(f"{lora.source} is for another model: its {part}.{module} is {theirs}, here it is {ours}")


def _add(part: Any, config: dict[str, Any]) -> None:
    """A fresh adapter in fp32; the only parameters of the part that are trained."""
    from peft import LoraConfig

    training = part.training
    try:
        with torch.random.fork_rng(devices=[]):  # peft draws numbers, which nobody else's should depend on
            part.add_adapter(LoraConfig(**config), ADAPTER)
    except ValueError as error:
        if "arget module" not in str(error):
            raise
        raise UsageError(
            f"LoRA cannot change {', '.join(config['target_modules'])} of a {type(part).__name__}: "
            f"name linear layers or convolutions by the end of their names, or {', '.join(TARGETS)}"
        ) from None
    part.train(training)  # adapters come in training mode, and would drop out when the rest does not
    for name, parameter in part.named_parameters():
        if "lora_embedding" in name:
            raise UsageError(
                f"LoRA of an embedding ({name.partition('.lora_')[0]}) cannot be saved: name other targets"
            )
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def _plain(part: Any) -> Any:
    """The network itself, out of torch.compile's and DistributedDataParallel's wrappers."""
    part = getattr(part, "module", part)
    return getattr(part, "_orig_mod", part)


def _parameters(parts: Mapping[str, nn.Module]) -> dict[str, nn.Parameter]:
    """The adapters' parameters by their keys in a saved file, in the networks' order."""
    found = {}
    for part, module in parts.items():
        for name, parameter in _plain(module).named_parameters():
            key = f"{part}.{name.replace('_orig_mod.', '').replace(f'.{ADAPTER}', '')}"
            if f".{ADAPTER}" in name and (named := parse_diffusers(key)):
                found[diffusers_key(*named)] = parameter
    return found


def _scales(module: nn.Module, part: str) -> dict[str, float]:
    """Module -> alpha / rank as peft applies it."""
    return {
        whole_name(part, name.replace("_orig_mod.", "")): round(layer.scaling[ADAPTER], 6)
        for name, layer in _plain(module).named_modules()
        if ADAPTER in getattr(layer, "scaling", {})
    }


def _told(lora: Lora, part: str) -> dict[str, float]:
    return {module: round(entry.scale, 6) for module, entry in lora.of(part).items()}
