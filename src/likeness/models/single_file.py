"""Checkpoints in one .safetensors file (Civitai, A1111): which family they are, and the settings that they lack."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelNotFound
from . import hub
from .adapters import PICKLES, header

INDEX = "model_index.json"
# a tensor that only this family has -> the family and the side in pixels that it was trained at
_SIGNS = (
    ("conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight", "sdxl", 1024),
    ("cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight", "sd21", 768),
    ("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight", "sd15", 512),
)


def family_of(path: Path) -> tuple[str, int]:
    """The family and its size. Raises `ModelNotFound` for a file that is no whole checkpoint, or of an unsafe kind."""
    if path.suffix.lower() in PICKLES:
        raise ModelNotFound(f"{path} may run code when it is read: convert it to .safetensors first")
    keys = header(path).keys()
    for sign, family, size in _SIGNS:
        if sign in keys:
            return family, size
    if any("lora" in key for key in keys):
        raise ModelNotFound(f"{path} is a LoRA: give it as --lora, with the model that it belongs to as --model")
    raise ModelNotFound(f"{path} is no checkpoint of SD 1.5, SD 2.1 or SDXL: its text encoder is missing")


def config_for(path: Path, family: str) -> Path:
    """A pipeline's folder that holds the settings and tokenizers of this family; no weights are needed in it.

    One beside the file (its name without suffix, or its own folder) comes first, then the family's model on this disk;
    if there is none, its settings are downloaded, a few megabytes. Raises `ModelNotFound`.
    """
    from .registry import MODELS, present

    for folder in (path.with_suffix(""), path.parent):
        if (folder / INDEX).is_file():
            return folder
    spec = MODELS[family]
    if (found := present(spec)) is not None:
        return found
    repository = spec.hub_ids[0]
    if (index := hub.cached(repository, INDEX, spec.revision)) is not None:
        return index.parent
    if not hub.hub_reachable():
        raise ModelNotFound(
            f"{path} needs the settings of {repository}, which are not on this disk, and {hub.hub()} cannot be "
            f"reached: connect once, or put its folder (without weights) at {path.with_suffix('')}"
        )
    try:
        return hub.fetch(repository, spec.revision, weights=False)
    except Exception as error:  # the hub client raises a wide family
        raise ModelNotFound(f"cannot download the settings of {hub.explain(repository, error)}") from None


def has_variant(folder: Path, half: bool) -> bool:
    """Whether a pipeline's folder is to be read from its `*.fp16.safetensors`: with `half`, or for want of others."""
    files = list((folder / "unet").glob("*.safetensors"))
    short = [file for file in files if ".fp16." in file.name]
    return bool(short) and (half or len(short) == len(files))
