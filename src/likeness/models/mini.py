"""`mini`: a StableDiffusionPipeline in miniature, built of stock diffusers and transformers parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..files import write_json

# f8, 8 latent channels, few blocks at high resolution: about 4 times quicker on a CPU than an AutoencoderKL.
AUTOENCODER: dict[str, Any] = {
    "encoder_block_out_channels": (64, 64, 64, 64), "decoder_block_out_channels": (64, 64, 64, 64),
    "num_encoder_blocks": (0, 0, 2, 3), "num_decoder_blocks": (3, 3, 1, 0), "latent_channels": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """The sizes that a recipe may choose."""

    size: int = 128
    channels: tuple[int, ...] = (160, 320)
    text_width: int = 256
    text_layers: int = 4


@dataclass
class Parts:
    """What a pipeline is put together from."""

    unet: Any
    text_encoder: Any
    tokenizer: Any
    vae: Any


def noise_schedule(prediction: str = "v_prediction", zero_terminal_snr: bool = True) -> Any:
    """Stable Diffusion's scaled-linear betas, rescaled to zero terminal SNR (Lin et al. 2023), for training."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(**_schedule(prediction, zero_terminal_snr))


def _schedule(prediction: str, zero_terminal_snr: bool) -> dict[str, Any]:
    return {
        "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": prediction,
        "rescale_betas_zero_snr": zero_terminal_snr, "timestep_spacing": "trailing",
    }  # fmt: skip


def build(shape: Shape, tokenizer: Any, vae: Any, start: str | Path | None = None) -> Parts:
    """Networks of the given shape; with `start` (a pipeline folder) its UNet, and its text encoder if words agree."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    unet = UNet2DConditionModel(
        sample_size=shape.size // 8, in_channels=8, out_channels=8, block_out_channels=shape.channels,
        layers_per_block=1, down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * (len(shape.channels) - 1),
        up_block_types=("CrossAttnUpBlock2D",) * (len(shape.channels) - 1) + ("UpBlock2D",),
        cross_attention_dim=shape.text_width, attention_head_dim=8,
    ).to(memory_format=torch.channels_last)  # fmt: skip
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=shape.text_width, intermediate_size=4 * shape.text_width,
            num_hidden_layers=shape.text_layers, num_attention_heads=max(1, shape.text_width // 64),
            projection_dim=shape.text_width, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip
    parts = Parts(unet, text_encoder, tokenizer, vae)
    if start:
        _start_from(parts, Path(start))
    return parts


def _start_from(parts: Parts, start: Path) -> None:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    try:
        unet = UNet2DConditionModel.from_pretrained(start, subfolder="unet")
        parts.unet.load_state_dict(unet.state_dict())
    except OSError:
        raise UsageError(
            f"{start} holds no pipeline to start from: give --start a folder with unet/, vae/, tokenizer/"
        ) from None
    except RuntimeError:
        raise UsageError(f"the UNet in {start} has other sizes: set `shape` to its, or leave --start out") from None
    if load_tokenizer(start).get_vocab() == parts.tokenizer.get_vocab():
        text_encoder = CLIPTextModel.from_pretrained(start, subfolder="text_encoder", dtype=torch.float32)
        parts.text_encoder.load_state_dict(text_encoder.state_dict())


class Reader(nn.Module):
    """Says which attribute values a caption named, from the hidden state at its end. Used in training only."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.head = nn.Linear(width, values)

    def forward(self, words: Tensor, tokens: Tensor, end: int) -> Tensor:
        """Hidden states (B, L, W) and token ids (B, L) -> logits (B, values)."""
        last = (tokens == end).int().argmax(-1)  # (B, L) -> (B,)
        return self.head(words[torch.arange(len(words)), last])


def load_tokenizer(start: str | Path) -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(start, subfolder="tokenizer")


def tokenize(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Token ids (B, 77), cut and padded."""
    return tokenizer(list(texts), padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids


def pipeline(parts: Parts, prediction: str = "v_prediction", zero_terminal_snr: bool = True) -> Any:
    """A stock StableDiffusionPipeline of these parts, with DPM-Solver++ 2M (Lu et al. 2022)."""
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

    return StableDiffusionPipeline(
        vae=parts.vae, text_encoder=parts.text_encoder, tokenizer=parts.tokenizer, unet=parts.unet,
        scheduler=DPMSolverMultistepScheduler(steps_offset=1, **_schedule(prediction, zero_terminal_snr)),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def draw(
    parts: Parts, prompts: Sequence[str], seeds: Sequence[int], steps: int, guidance: float = 4.0
) -> list[np.ndarray]:
    """One row a seed: (prompts, H, W, 3) uint8. For previews; `generate` is the way to draw faces."""
    made = pipeline(parts)
    made.set_progress_bar_config(disable=True)
    rows = []
    for seed in seeds:
        noise = [torch.Generator().manual_seed(seed) for _ in prompts]
        pixels = made(
            list(prompts), num_inference_steps=steps, guidance_scale=guidance, generator=noise, output_type="np"
        ).images
        rows.append((pixels * 255).round().astype("uint8"))
    return rows


def save(parts: Parts, target: str | Path, prediction: str = "v_prediction", zero_terminal_snr: bool = True) -> None:
    """Write the pipeline as fp16 safetensors under plain names that stock `from_pretrained` loads as fp32.

    Call it with the weights that are to be kept (see `loop.averaged`); the parts keep their own precision.
    """
    import copy

    target = Path(target)
    unet, text_encoder, vae = (copy.deepcopy(m).half() for m in (parts.unet, parts.text_encoder, parts.vae))
    halves = Parts(unet, text_encoder, parts.tokenizer, vae)
    pipeline(halves, prediction, zero_terminal_snr).save_pretrained(target)
    for part in ("unet", "vae", "text_encoder"):
        config = target / part / "config.json"
        facts = json.loads(config.read_text())
        facts.pop("_name_or_path", None)  # a folder of the machine that it was trained on
        # Without the type, stock transformers loads the text encoder as half beside a float UNet.
        write_json(config, facts | ({"dtype": "float32"} if part == "text_encoder" else {}))
    for file in target.rglob("*.safetensors"):
        file.chmod(0o644)
    for name, text in tokenizer_files(parts.tokenizer).items():
        (target / "tokenizer" / name).write_text(text, encoding="utf-8")


def tokenizer_files(tokenizer: Any) -> dict[str, str]:
    """vocab.json and merges.txt, which transformers 5 leaves out and other tools want."""
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    merges = ["#version: 0.2", *(m if isinstance(m, str) else " ".join(m) for m in model["merges"])]
    return {"vocab.json": json.dumps(model["vocab"], ensure_ascii=False), "merges.txt": "\n".join(merges) + "\n"}
