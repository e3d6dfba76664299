"""What a path holds that can be published: which kind of model, its files, and what is known of its training.

what = find("runs/glasses")        # a LoRA, a whole pipeline, or a run of `likeness train`
what.files                         # {"pytorch_lora_weights.safetensors": Path(...)}: these, and nothing else
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModelNotFound, UsageError
from ..files import read_jsonl
from . import lora_files, registry
from .adapters import FILE, PICKLES, TEXT_FILE, locate_lora
from .hub_names import HUB_LICENSES
from .lora_merge import RECORD

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif"}
UNSAFE = {*PICKLES, ".pkl", ".pickle", ".joblib"}
RESULTS = ("", "pipeline", "final_model", "eye", "judge")  # where a run folder keeps its model
# what a model's folder gives away; everything else stays at home
_TEXTS = (".json", ".txt", ".model", ".jinja")
_WEIGHTS = ".safetensors"
_LEFT = {"floor.safetensors"}  # features of real faces, of which a scan of somebody might be found again

Files = dict[str, Path]


@dataclass(frozen=True)
class Subject:
    """A model that is to be described or published.

    `files`: name in the repository -> file here. `config`, `facts`: what `config.yaml` of the run says; empty where
    there is no run. `metrics`: the last rows of its log. `base`, `base_license`: of what it was fine-tuned from.
    `told`: what is known beyond that, by kind.
    """

    kind: str
    name: str
    path: Path
    files: Files
    run: Path | None = None
    config: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    base: str | None = None
    base_license: str = ""
    told: dict[str, Any] = field(default_factory=dict)


def find(what: str | Path) -> Subject:
    """Raises `UsageError` for what is no model, no finished one, or in files that may run code when they are read."""
    path = Path(what).expanduser()
    if not path.exists() and (spec := registry.MODELS.get(str(what).lower())) and spec.asset:
        path = registry.ASSETS / spec.asset
    if not path.exists():
        raise UsageError(f"there is no {what}: give the folder of a model or of a run, or a LoRA's file")
    if path.is_file():
        if path.suffix.lower() in UNSAFE:
            raise UsageError(_pickled(path))
        return _lora(path)
    for result in RESULTS:
        folder = path / result
        for mark, build in KINDS.items():
            if (folder / mark).is_file() and (found := build(folder)) is not None:
                return _with_run(found, path)
    return _with_run(_folder_of_lora(path), path)


def _folder_of_lora(path: Path) -> Subject:
    """A LoRA in a folder, or why there is nothing to publish."""
    try:
        return _lora(locate_lora(str(path)))
    except (ModelNotFound, UsageError) as error:
        if pickle := next((p for p in sorted(path.rglob("*")) if p.suffix.lower() in UNSAFE), None):
            raise UsageError(_pickled(pickle)) from None
        if (path / "config.yaml").is_file():
            raise UsageError(f"the run in {path} has no finished model yet: train it to its end first") from None
        if any(p.suffix.lower() in PICTURES for p in path.rglob("*")):
            raise UsageError(f"{path} is a set of pictures and no model: likeness publishes no pictures") from None
        raise UsageError(f"{path} holds no model that can be published ({error})") from None


def _pickled(path: Path) -> str:
    return f"{path} may run code when it is read: save it as .safetensors first; nothing else is published"


def _lora(path: Path) -> Subject:
    info = lora_files.info(path.parent if (path.parent / "adapter_config.json").is_file() else path)
    folder = path.parent
    name = folder.name if path.name in (FILE, "adapter_model.safetensors") else path.stem
    files = {FILE: path}
    if info.layout == "diffusers" and (folder / TEXT_FILE).is_file() and path.name == FILE:
        files[TEXT_FILE] = folder / TEXT_FILE
    base = str(info.ours.get("base") or "") or None
    if base and (Path(base).is_absolute() or Path(base).exists()):
        base = Path(base).name  # a folder of this machine: its name is all that others can use
    known = registry.MODELS.get(base or "")
    license_ = str(info.ours.get("license") or (known.license if known else ""))
    told = info.to_dict() | {"family": info.family}
    config = info.ours.get("recipe") or {}
    return _with_run(Subject("lora", name, path, files, None, config, {}, [], base, license_, told), folder)


def _pipeline(folder: Path) -> Subject:
    """A whole Stable Diffusion: merged, trained by `likeness train mini`, or anybody's."""
    spec = registry.find(folder)
    if spec.family == "ddpm":
        return Subject("ddpm", _name(folder), folder, _of_index(folder), told=_json(folder / registry.INDEX))
    told: dict[str, Any] = {"family": spec.family, "size": spec.size}
    if not (folder / RECORD).is_file():
        kind = "mini" if spec.family == "mini" else "pipeline"
        return Subject(kind, _name(folder), folder, _of_index(folder), told=told)
    record = _json(folder / RECORD)
    title = str(record.get("base", ""))
    known = next((s for s in registry.MODELS.values() if title in (s.title, s.name, *s.hub_ids)), None)
    base = (known.hub_ids[0] if known.hub_ids else known.name) if known else title or None
    return Subject(
        "merged", _name(folder), folder, _of_index(folder), base=base, base_license=str(record.get("license", "")),
        told=told | {"merged": record},
    )  # fmt: skip


def _groups(folder: Path) -> Subject:
    return Subject("ddpm", _name(folder), folder, _of_index(folder), told=_json(folder / "groups.json"))


def _dino(folder: Path) -> Subject:
    about = _json(folder / "dino.json")
    files = _in(folder, ("unet", "vae", "scheduler")) | {"dino.json": folder / "dino.json"}
    return Subject("dino", _name(folder), folder, files, told=about)


def _network(folder: Path) -> Subject | None:
    """`eye` or `judge`, told by their settings."""
    config = _json(folder / "config.json")
    kind = "eye" if config.get("model_type") == "clip" else "judge" if "widths" in config else None
    if kind is None or not (folder / "model.safetensors").is_file():
        return None
    return Subject(kind, _name(folder), folder, _in(folder, ("",)), told={"config": config})


# the file that tells a kind -> how the model is read
KINDS: dict[str, Callable[[Path], Subject | None]] = {
    "groups.json": _groups, "dino.json": _dino, registry.INDEX: _pipeline, "config.json": _network,
}  # fmt: skip


def _of_index(folder: Path) -> Files:
    """The parts that a pipeline's index names. Raises `UsageError` for one whose weights are no safetensors."""
    index = _json(folder / registry.INDEX)
    parts = [name for name, row in index.items() if isinstance(row, list) and row[:1] != [None]]
    files = _in(folder, parts)
    beside = [folder / name for name in (registry.INDEX, "groups.json", RECORD)] + sorted(folder.glob("LICENSE*"))
    files |= {file.name: file for file in beside if file.is_file()}
    if not any(name.startswith("unet/") and name.endswith(_WEIGHTS) for name in files):
        raise UsageError(f"{folder} is not a whole model: unet/ has no .safetensors file")
    return files


def _in(folder: Path, parts: tuple[str, ...] | list[str]) -> Files:
    """What these parts of a folder are made of. Raises `UsageError` for pickles among them."""
    found: Files = {}
    for part in parts:
        for file in sorted(p for p in (folder / part).glob("*") if p.is_file()):
            name = file.relative_to(folder).as_posix()
            if file.suffix.lower() in UNSAFE:
                raise UsageError(_pickled(file))
            if file.suffix in (*_TEXTS, _WEIGHTS) and file.name not in _LEFT:
                found[name] = file
    return found


def _with_run(found: Subject, run: Path) -> Subject:
    """The same with what the run's folder says, if there is one around it."""
    from dataclasses import replace

    import yaml

    file = run / "config.yaml"
    if found.run is not None or not file.is_file():
        return found
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
        config = dict(told.pop("config"))
    except (ValueError, yaml.YAMLError, AttributeError, TypeError, KeyError):
        raise UsageError(f"{file} is no configuration of a run: move it away, or mend it") from None
    metrics = read_jsonl(run / "metrics.jsonl") if (run / "metrics.jsonl").is_file() else []
    return replace(found, name=run.resolve().name, run=run, config=config, facts=told, metrics=metrics)


def _name(folder: Path) -> str:
    resolved = folder.resolve()
    return resolved.parent.name if resolved.name in RESULTS else resolved.name


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(f"{path} cannot be read: it is damaged, copy the model again") from None
    return found if isinstance(found, dict) else {}


def hub_license(text: str) -> str | None:
    """The hub's short name of a licence; None for one that it does not know."""
    plain = re.sub(r"[\s_,;()-]+", " ", text.lower())
    return next((short for words, short in HUB_LICENSES.items() if f" {words} " in f" {plain} "), None)
