"""`eye`: a small CLIP (Radford et al. 2021) trained on the same faces as `mini`, for scores without a model hub.

It gives CLIP scores, zero-shot attribute scores, and the image features in which Frechet distances are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelNotFound
from ..runtime import Runtime, choose
from .mini import tokenize

ASSET = Path(__file__).parent.parent / "assets" / "eye"
SIZE = 128
# Vision: 64 patches of 16 px; text: the vocabulary is the tokenizer's. About 3 M parameters.
CONFIG: dict[str, Any] = {
    "projection_dim": 128,
    "vision_config": {
        "image_size": SIZE, "patch_size": 16, "hidden_size": 192, "intermediate_size": 768,
        "num_hidden_layers": 6, "num_attention_heads": 3,
    },
    "text_config": {
        "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": 77,
    },
}  # fmt: skip


class Eye:
    """A `CLIPModel` with its tokenizer. Pixels are (B, 3, 128, 128) in [-1, 1]; features are unit vectors."""

    def __init__(self, model: Any, tokenizer: Any, runtime: Runtime) -> None:
        self.model, self.tokenizer, self.runtime = model.to(runtime.device).eval(), tokenizer, runtime

    @classmethod
    def load(cls, path: str | Path | None = None, runtime: Runtime | None = None) -> Eye:
        """The shipped weights, or those in a folder made by `likeness train eye`."""
        from transformers import CLIPModel, CLIPTokenizer

        path = Path(path or ASSET)
        if not (path / "config.json").exists():
            raise ModelNotFound(f"no eye model in {path}: train one with `likeness train eye --data DIR`")
        model = CLIPModel.from_pretrained(path, dtype=torch.float32)
        return cls(model, CLIPTokenizer.from_pretrained(path), runtime or choose())

    @torch.inference_mode()
    def image_features(self, pixels: Tensor) -> Tensor:
        with self.runtime.autocast():
            found = self.model.get_image_features(pixel_values=pixels.to(self.runtime.device))
        return unit(found.pooler_output)  # (B, 3, 128, 128) -> (B, D)

    @torch.inference_mode()
    def text_features(self, texts: Sequence[str]) -> Tensor:
        tokens = tokenize(self.tokenizer, texts).to(self.runtime.device)
        with self.runtime.autocast():
            found = self.model.get_text_features(input_ids=tokens)
        return unit(found.pooler_output)  # (B,) -> (B, D)

    @torch.inference_mode()
    def scores(self, pixels: Tensor, classes: dict[str, Sequence[str]]) -> Tensor:
        """Zero-shot probabilities (B, n) over classes, each described by prompts whose features are averaged."""
        text = torch.stack([unit(self.text_features(list(prompts)).mean(0)) for prompts in classes.values()])  # (n, D)
        logits = self.image_features(pixels) @ text.T * self.model.logit_scale.exp()
        return logits.softmax(-1)

    def similarity(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """Cosine of each image with its own text, (B,)."""
        return (self.image_features(pixels) * self.text_features(texts)).sum(-1)


def unit(features: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features.float(), dim=-1)


def build(tokenizer: Any) -> Any:
    """A fresh `CLIPModel` of `CONFIG` for this tokenizer."""
    from transformers import CLIPConfig, CLIPModel

    special = {k: getattr(tokenizer, k) for k in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = CONFIG["text_config"] | {"vocab_size": len(tokenizer)} | special
    return CLIPModel(
        CLIPConfig(text_config=text, vision_config=CONFIG["vision_config"], projection_dim=CONFIG["projection_dim"])
    )
