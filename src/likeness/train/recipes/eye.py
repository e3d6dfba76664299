"""`eye`: a small CLIP on faces and captions of the grammar. Contrastive loss: Radford et al. 2021, fig. 3.

Beside the captions of its batch mates, each face is held against its own caption with one thing changed: on a narrow
subject such hard negatives teach what random ones seldom do (Yuksekgonul et al. 2023, sec. 5).
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.labels import read_faces
from ...evaluate import floor
from ...files import write_json
from ...grammar import describe
from ...models import eye
from ...models.mini import load_tokenizer, tokenize, tokenizer_files
from ...records import FaceRecord
from ...runs import RunFolder
from ...runtime import Runtime
from ..augment import Pictures, jittered
from ..captions import STYLES, VALUES, contrary, rarity, said_fields, told_values, vary
from ..loop import LoopConfig, averaged, train
from ..sampler import Sampler, sample_seed

Progress = Callable[[str, int, int], None]
CHANGED = (
    "gender",
    "ethnicity",
    "glasses",
    "headwear",
    "facial_hair",
    "expression",
    "mouth",
    "hair_color",
    "hair_length",
    "makeup",
)


@dataclass(frozen=True)
class EyeConfig:
    """`likeness train eye`. `held_out` faces of the split are never trained on: the floor of Frechet distances.

    `start` is a folder with a trained `eye` to go on from, such as the shipped one.
    """

    data: str
    output: str = "runs/eye"
    start: str | None = None
    tokenizer: str | None = None
    split: str | None = "train"
    held_out: int = 1_500
    changed: int = 1
    reading: float = 10.0
    loop: LoopConfig = field(default_factory=LoopConfig)


@dataclass
class Batch:
    """Pixels (B, 3, H, W) and token ids (B, 1 + n, 77); by value: shown, known, told (.., V)."""

    pixels: Tensor
    tokens: Tensor
    shown: Tensor
    known: Tensor
    told: Tensor


class EyeRecipe:
    """Both towers from scratch: on few faces the contrastive loss alone stays near chance.

    One linear head, shared by both towers, reads attribute values from the joint space; it is not part of the model.
    """

    def __init__(
        self, config: EyeConfig, records: list[FaceRecord], pictures: Pictures, model: Any, tokenizer: Any
    ) -> None:
        self.config, self.records, self.pictures = config, records, pictures
        self.model, self.tokenizer = model, tokenizer
        self.reader = nn.Linear(model.config.projection_dim, len(VALUES))
        self.modules: dict[str, nn.Module] = {"eye": model, "reader": self.reader}
        self.people = [r.attributes for r in records if r.attributes]
        self.sampler = Sampler(len(records), config.loop.batch, config.loop.seed, rarity(self.people))

    def names(self, step: int) -> list[str]:
        return [self.records[i].file_name for i in self.sampler.indices(step)]

    def batch(self, step: int) -> Batch:
        texts, seeds, told = [], [], []
        indices = self.sampler.indices(step)
        for position, index in zip(self.sampler.positions(step), indices, strict=True):
            seed = sample_seed(self.config.loop.seed, position)
            random_ = random.Random(seed)
            person, style, form = vary(self.people[index], random_), random_.choice(STYLES), random_.getrandbits(31)
            people = [person, *(contrary(person, random_, CHANGED) for _ in range(self.config.changed))]
            texts += [describe(p, style, form) for p in people]
            told += [told_values(p) for p in people]
            seeds.append(seed)
        shown = [self.people[i] for i in indices]
        return Batch(
            jittered(self.pictures[indices], seeds),
            tokenize(self.tokenizer, texts).view(len(indices), -1, 77),
            torch.from_numpy(np.stack([told_values(p) for p in shown])),
            torch.from_numpy(np.stack([said_fields(p) for p in shown])),
            torch.from_numpy(np.stack(told)),
        )

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        device = self.model.device
        tokens, told = batch.tokens.flatten(0, 1).to(device), batch.told.to(device)
        seen = self.model.get_image_features(pixel_values=batch.pixels.to(device)).pooler_output.float()  # (B, D)
        read = self.model.get_text_features(input_ids=tokens).pooler_output.float()  # (B (1 + n), D)
        images, words = eye.unit(seen), eye.unit(read).view(len(seen), -1, read.shape[-1])  # (B, 1 + n, D)
        scale = self.model.logit_scale.exp().clamp(max=100)
        logits = scale * images @ words[:, 0].T  # (B, B)
        own = torch.arange(len(images), device=device)
        hard = scale * torch.einsum("bd,bnd->bn", images, words)  # (B, 1 + n)
        pairs = F.cross_entropy(logits, own, reduction="none") + F.cross_entropy(logits.T, own, reduction="none")
        contrast = pairs / 2 + F.cross_entropy(hard, torch.zeros_like(own), reduction="none")  # (B,)
        known = batch.known.to(device)
        wrong = F.binary_cross_entropy_with_logits(self.reader(seen).float(), batch.shown.to(device), reduction="none")
        labels = (wrong * known).sum(-1) / known.sum(-1).clamp(min=1)  # (B, V) -> (B,)
        words_read = F.binary_cross_entropy_with_logits(self.reader(read).float(), told, reduction="none")
        language = words_read.mean(-1).view(len(images), -1).mean(-1)  # (B (1 + n), V) -> (B,)
        return contrast + self.config.reading * (labels + language)


def held_out(records: list[FaceRecord], count: int) -> tuple[list[FaceRecord], list[FaceRecord]]:
    """(to train on, held out): chosen by a hash of the file name, so the choice outlives the order of the table."""
    order = sorted(records, key=lambda r: hashlib.sha256(r.file_name.encode()).hexdigest())
    return order[count:], order[:count]


def run(config: EyeConfig, runtime: Runtime, progress: Progress = lambda stage, done, total: None) -> Path:
    """Train, or go on training, in `config.output`; write the averaged model and the floor to `<output>/eye`."""
    records = [r for r in read_faces(config.data, config.split) if r.attributes]
    used, kept = held_out(records, min(config.held_out, len(records) // 4))
    folder = RunFolder(config.output)
    folder.write_config(config, images=len(used), device=str(runtime.device), precision=runtime.precision)
    begun = eye.Eye.load(config.start, runtime) if config.start else None
    tokenizer = begun.tokenizer if begun else load_tokenizer(config.tokenizer or Path(eye.ASSET).parent / "mini")
    pictures = Pictures([Path(config.data) / r.file_name for r in used], eye.SIZE, progress)
    torch.manual_seed(config.loop.seed)
    recipe = EyeRecipe(config, used, pictures, begun.model if begun else eye.build(tokenizer), tokenizer)
    total = config.loop.images
    state = train(recipe, config.loop, folder, runtime, [lambda s: progress("eye", s.images, total)])
    with averaged(recipe.modules, state.ema):
        target = save(recipe.model, tokenizer, folder.path / "eye")
    unseen = Pictures([Path(config.data) / r.file_name for r in kept], eye.SIZE, progress)
    write_floor(eye.Eye.load(target, runtime), unseen, target)
    folder.close()
    return target


def save(model: Any, tokenizer: Any, target: Path) -> Path:
    """fp16 weights that load as fp32, and the tokenizer in both layouts."""
    import copy

    halves = copy.deepcopy(model).half()
    halves.save_pretrained(target)
    config = target / "config.json"
    write_json(config, json.loads(config.read_text()) | {"dtype": "float32"})  # so that it loads as fp32
    tokenizer.save_pretrained(target)
    for name, text in tokenizer_files(tokenizer).items():
        (target / name).write_text(text, encoding="utf-8")
    return target


def write_floor(model: eye.Eye, pictures: Pictures, target: Path) -> None:
    """Features of the held-out faces: what real faces score that nothing was trained on."""
    indices = list(range(len(pictures)))
    features = torch.cat(
        [model.image_features(pictures[indices[i : i + 64]]) for i in range(0, len(indices), 64)]
    )  # (N, D)
    floor.write(target / "floor.safetensors", features, target / "model.safetensors")
