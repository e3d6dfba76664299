"""The feature networks: one table of what they are and where their weights come from, and one way to load them.

    network = load("inception", {"inception": "weights/pt_inception-2015-12-05-6726825d.pth"})
    features = network.features("faces/")        # (N, D), float32, on the CPU
    print(network.told)                          # goes into every protocol

Nothing is ever replaced: a network whose weights are missing is an error that names the file, its source and its hash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...config import suggest
from ...errors import UsageError
from ...models import eye as eye_model
from ...models.hub import hub_reachable
from ...models.pixels import RESIZE, to_pixels
from ...models.registry import MODELS, ModelSpec, locate, present
from ...runtime import Runtime, choose
from .features import Pictures, Progress, batches
from .weights import Found, Given, WeightsFile, digest_of, fill, folder, missing, parse, places
from .weights import find as find_weights

CLEAN = "PIL bicubic on float channels, antialiased, neither rounded nor clipped"  # Parmar, Zhang & Zhu 2022
OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def clean_pixels(images: Sequence[Any], size: int) -> Tensor:
    """PIL images or paths -> (B, 3, size, size) float32, [-1, 1] but for the overshoot of the filter.

    The whole picture is made square; each channel is resized in float. clean-fid's own: Parmar, Zhang & Zhu 2022.
    """
    from PIL import Image

    found = []
    for image in images:
        picture = (Image.open(image) if isinstance(image, str | Path) else image).convert("RGB")
        channels = [np.asarray(c, np.float32) for c in picture.split()]
        if picture.size != (size, size):
            channels = [np.asarray(Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC)) for c in channels]
        found.append(np.stack(channels))
    return torch.from_numpy(np.stack(found)) / 127.5 - 1  # (B, 3, H, W)


RESIZES: dict[str, Callable[[Sequence[Any], int], Tensor]] = {RESIZE: to_pixels, CLEAN: clean_pixels}


@dataclass(frozen=True)
class NetworkSpec:
    """A row of the table. `kind` says how it is loaded (`LOADERS`), `features` what its numbers are.

    `file`: its weights; `model`: the hub model that they belong to. `lpips-*` has no features of single pictures.
    """

    name: str
    kind: str
    features: str
    size: int
    resize: str
    file: WeightsFile | None = None
    model: ModelSpec | None = None
    offline: bool = False
    license: str = ""


@dataclass(frozen=True)
class Network:
    """A loaded network. `embed`: pixels (B, 3, size, size) in [-1, 1] -> features (B, D); `words`: texts -> (B, D).

    It is an `features.Sees`, at its own size of pictures.
    """

    spec: NetworkSpec
    found: Found
    embed: Callable[[Tensor], Tensor]
    words: Callable[[Sequence[str]], Tensor] | None = None
    runtime: Runtime | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def size(self) -> int:
        return self.spec.size

    @property
    def offline(self) -> bool:
        """Whether it is a stand-in that is shipped with this package, and no network of the literature."""
        return self.spec.offline

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return self.found.sha256

    @property
    def told(self) -> str:
        """What goes into a protocol: the network, whose weights these are, and the resize."""
        spec = self.spec
        whose = "published weights" if self.found.published else "GIVEN weights, not known to be the published ones"
        if spec.offline:
            whose = "OFFLINE stand-in, not comparable with numbers in other features"
        which = f"`{spec.name}` ({spec.features}; {whose}, SHA-256 {self.fingerprint[:12]})"
        return f"{which}; {spec.resize}, to {spec.size} px"

    def pixels(self, images: Sequence[Any]) -> Tensor:
        """PIL images or paths -> (B, 3, size, size), by this network's own resize."""
        return RESIZES[self.spec.resize](images, self.spec.size)

    @torch.inference_mode()
    def image_features(self, pixels: Tensor) -> Tensor:
        """(B, 3, size, size) as `pixels` gives -> (B, D), float32."""
        device = self.runtime.device if self.runtime else pixels.device
        return self.embed(pixels.to(device)).float()

    @torch.inference_mode()
    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (B, D) of texts. Raises `UsageError` for a network that reads none."""
        if self.words is None:
            raise UsageError(f"{self.name} reads no words: use one of {', '.join(reading())}")
        return self.words(texts).float()

    def features(self, source: Pictures, progress: Progress | None = None, batch: int = 64) -> Tensor:
        """Features (N, D) of a folder or a sequence of pictures, float32 on the CPU, in the order of `pictures`."""
        parts = []
        for pixels in batches(source, batch, self.size, RESIZES[self.spec.resize]):
            parts.append(self.image_features(pixels).cpu())
            if progress:
                progress(len(pixels))
        return torch.cat(parts)


def find(name: str) -> NetworkSpec:
    """The row of that name. Raises `UsageError` with a suggestion."""
    if name not in NETWORKS:
        raise UsageError(f"unknown network {name!r}{suggest(name, list(NETWORKS))}")
    return NETWORKS[name]


def seeing() -> list[str]:
    """Names of the networks that give features of pictures."""
    return [name for name, spec in NETWORKS.items() if spec.kind in LOADERS]


def reading() -> list[str]:
    """Names of the networks that read words too."""
    return [name for name, spec in NETWORKS.items() if spec.kind in ("eye", "clip")]


def here(spec: NetworkSpec) -> bool:
    """Whether a network's weights are on this disk, as far as names tell."""
    if spec.file is None or (spec.model is not None and present(spec.model)):
        return True
    if spec.model is not None:
        return (folder() / spec.name).is_dir()
    return any((place / spec.file.name).is_file() for place in places())


def parse_weights(texts: Sequence[str]) -> dict[str, Path]:
    """What repeated `--weights NAME=PATH` say. Raises `UsageError` for unknown names and missing paths."""
    return parse(texts, list(NETWORKS))


def load(name: str, weights: Given | None = None, device: str | None = None) -> Network:
    """The network of that name. Raises `ModelNotFound` that says what to fetch where its weights are missing."""
    spec = find(name)
    if spec.kind not in LOADERS:
        raise UsageError(f"{name} gives no features of single pictures: choose from {', '.join(seeing())}")
    return LOADERS[spec.kind](spec, weights or {}, choose(device))


def lpips(net: str, weights: Given | None = None, device: str | None = None) -> Any:
    """`lpips.Lpips` on the trunk `alex` or `vgg`. Raises `ModelNotFound` as `load` does."""
    from .lpips import load as load_lpips

    spec = find(f"lpips-{net}")
    assert spec.file is not None
    found = find_weights(spec.name, spec.file, weights)
    return load_lpips(net, found.path, device, found.published)


def _eye(spec: NetworkSpec, given: Given, runtime: Runtime) -> Network:
    folder = Path(given.get("eye", eye_model.ASSET))
    eye = eye_model.Eye.load(folder, runtime)
    file = folder / "model.safetensors"
    found = Found(file, digest_of(file), folder == eye_model.ASSET)
    return Network(spec, found, eye.image_features, eye.text_features, runtime)


def _clip(spec: NetworkSpec, given: Given, runtime: Runtime) -> Network:
    from transformers import CLIPModel, CLIPTokenizer

    found = _hub(spec, given)
    folder = found.path.parent
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).to(runtime.device).eval()
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    scale = _normaliser(OPENAI_MEAN, OPENAI_STD, runtime)
    longest = model.config.text_config.max_position_embeddings

    def embed(pixels: Tensor) -> Tensor:
        return eye_model.unit(model.get_image_features(pixel_values=scale(pixels)).pooler_output)  # (B, D)

    def words(texts: Sequence[str]) -> Tensor:
        tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        return eye_model.unit(model.get_text_features(**tokens.to(runtime.device)).pooler_output)  # (B, D)

    size = model.config.vision_config.image_size
    return Network(replace(spec, size=size), found, embed, words, runtime)


def _dino(spec: NetworkSpec, given: Given, runtime: Runtime) -> Network:
    from transformers import Dinov2Model

    found = _hub(spec, given)
    model = Dinov2Model.from_pretrained(found.path.parent, dtype=torch.float32).to(runtime.device).eval()
    scale = _normaliser(IMAGENET_MEAN, IMAGENET_STD, runtime)
    return Network(spec, found, lambda pixels: model(scale(pixels)).pooler_output, None, runtime)


def _inception(spec: NetworkSpec, given: Given, runtime: Runtime) -> Network:
    from .inception import FidInception

    assert spec.file is not None
    found = find_weights(spec.name, spec.file, given)
    with torch.device("meta"):  # numbers that are overwritten need not be drawn
        model = FidInception()
    fill(model, found.path)
    model = model.to(runtime.device).eval()
    # clean-fid's scale: (x - 128) / 128 for x in 0..255
    return Network(spec, found, lambda pixels: model((pixels + 1) * (127.5 / 128) - 1), None, runtime)


LOADERS: dict[str, Callable[[NetworkSpec, Given, Runtime], Network]] = {
    "eye": _eye, "clip": _clip, "dino": _dino, "inception": _inception,
}  # fmt: skip


def _normaliser(mean: Sequence[float], std: Sequence[float], runtime: Runtime) -> Callable[[Tensor], Tensor]:
    """[-1, 1] -> what the network was trained on: (x - mean) / std of x in [0, 1]."""
    m, s = (torch.tensor(v, device=runtime.device).view(1, 3, 1, 1) for v in (mean, std))
    return lambda pixels: ((pixels + 1) / 2 - m) / s


def _hub(spec: NetworkSpec, given: Given) -> Found:
    """The weights file of a hub model: in the given folder, on this disk, or downloaded where the hub answers."""
    file, model = spec.file, spec.model
    assert file is not None and model is not None
    if asked := given.get(spec.name):
        place = Path(asked) if Path(asked).is_dir() else Path(asked).parent
    elif (folder() / spec.name).is_dir():
        place = folder() / spec.name
    elif present(model) or hub_reachable():
        place = locate(model)
    else:
        raise missing(spec.name, file)
    for name in (file.name, "model.safetensors", "pytorch_model.bin"):
        if (place / name).is_file() and (place / "config.json").is_file():
            digest = digest_of(place / name)
            # the hub's cache is kept by revision; what came otherwise is known by its hash alone
            return Found(place / name, digest, digest == file.sha256 or place.parent.name == "snapshots")
    raise missing(spec.name, file, f"{place} lacks {file.name} or config.json")


def _at(model: ModelSpec, file: str, sha256: str = "") -> WeightsFile:
    repository = model.hub_ids[0]
    url = f"https://huggingface.co/{repository}/resolve/{model.revision or 'main'}/{file}"
    return WeightsFile(file, url, sha256, repository)


def _openai(name: str, file: str, sha256: str = "") -> NetworkSpec:
    model = MODELS[name]
    told = f"{model.hub_ids[0]}, projected embedding, unit length"
    return NetworkSpec(name, "clip", told, model.size, CLEAN, _at(model, file, sha256), model, license=model.license)


def _meta(name: str) -> NetworkSpec:
    model = MODELS[name]
    told = f"{model.hub_ids[0]}, class token after the last norm"
    return NetworkSpec(name, "dino", told, 224, CLEAN, _at(model, "model.safetensors"), model, license=model.license)


def _lpips(name: str, trunk: str, sha256: str) -> NetworkSpec:
    told = "ImageNet features with the published linear heads, version 0.1"
    file = WeightsFile(trunk, f"https://download.pytorch.org/models/{trunk}", sha256)
    return NetworkSpec(name, "lpips", told, 0, "pairs at their own size", file, license="BSD-3-Clause, BSD-2-Clause")


_ROWS = (
    NetworkSpec("eye", "eye", "unit vectors of the small CLIP of this package", eye_model.SIZE, RESIZE, offline=True),
    NetworkSpec(
        "inception", "inception", "InceptionV3 of FID, pool of 2048", 299, CLEAN,
        WeightsFile(
            "pt_inception-2015-12-05-6726825d.pth",
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        ),
        license="Apache-2.0",
    ),
    _meta("dinov2-small"),
    _meta("dinov2-base"),
    _meta("dinov2-large"),
    _openai("clip-b32", "pytorch_model.bin", "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f"),
    _openai("clip-b16", "pytorch_model.bin"),
    _openai("clip-l14", "model.safetensors", "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb"),
    _openai("clip-l14-336", "pytorch_model.bin", "c6032c2e0caae3dc2d4fba35535fa6307dbb49df59c7e182b1bc4b3329b81801"),
    _lpips(
        "lpips-alex", "alexnet-owt-7be5be79.pth", "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    _lpips(
        "lpips-vgg", "vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
)  # fmt: skip
NETWORKS: dict[str, NetworkSpec] = {spec.name: spec for spec in _ROWS}
