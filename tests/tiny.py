"""SD 1.5, SD 2.1 and SDXL in a few thousand parameters: the true class structure, as folders that diffusers loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
WIDTHS = {"sd15": 16, "sd21": 1024, "sdxl": 32}  # 1024 is what tells SD 2.1 by its parts


def build(family: str, folder: Path, seed: int = 0) -> Path:
    """Save a pipeline of that family with random weights to `folder`, 64 px."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        EulerDiscreteScheduler,
        PNDMScheduler,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextModelWithProjection, CLIPTokenizer

    from likeness.models.registry import ASSETS

    torch.manual_seed(seed)
    tokenizer = CLIPTokenizer.from_pretrained(ASSETS / "mini" / "tokenizer")
    xl = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 64}
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(32, 32), layers_per_block=1, cross_attention_dim=WIDTHS[family],
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8, **(xl if family == "sdxl" else {}),
    )  # fmt: skip
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = AutoencoderKL(block_out_channels=(8, 8, 8, 8), norm_num_groups=4, latent_channels=4, sample_size=64, **blocks)
    parts: dict[str, Any] = {"vae": vae, "unet": unet, "tokenizer": tokenizer}
    if family == "sdxl":
        both = {"text_encoder": text(tokenizer, 16), "text_encoder_2": text(tokenizer, 16, CLIPTextModelWithProjection)}
        scheduler = EulerDiscreteScheduler(**BETAS)
        made = StableDiffusionXLPipeline(scheduler=scheduler, tokenizer_2=tokenizer, **both, **parts)
    else:
        v = {"prediction_type": "v_prediction"}
        plain = PNDMScheduler(skip_prk_steps=True, steps_offset=1, set_alpha_to_one=False, **BETAS)
        scheduler = plain if family == "sd15" else DDIMScheduler(steps_offset=1, clip_sample=False, **v, **BETAS)
        parts |= {"text_encoder": text(tokenizer, WIDTHS[family]), "safety_checker": None, "feature_extractor": None}
        made = StableDiffusionPipeline(scheduler=scheduler, requires_safety_checker=False, **parts)
    made.save_pretrained(folder)
    return folder


def text(tokenizer: Any, width: int, cls: Any = None) -> Any:
    """A CLIP text encoder of two layers."""
    from transformers import CLIPTextConfig, CLIPTextModel

    special = {k: getattr(tokenizer, k) for k in ("bos_token_id", "eos_token_id", "pad_token_id")}
    sizes = {"hidden_size": width, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}
    return (cls or CLIPTextModel)(CLIPTextConfig(vocab_size=len(tokenizer), projection_dim=16, **sizes, **special))


def lora(model: Path, folder: Path, seed: int = 0, rank: int = 2, alpha: int = 4, size: float = 0.3) -> Path:
    """A LoRA for the UNet and the text encoders of a saved pipeline, with random weights that can be seen.

    Made by peft and saved by diffusers itself; the file in `folder` is returned.
    """
    import torch
    from diffusers import DiffusionPipeline
    from diffusers.training_utils import _collate_lora_metadata
    from peft import LoraConfig, get_peft_model_state_dict

    torch.manual_seed(seed)
    pipeline = DiffusionPipeline.from_pretrained(model, dtype=torch.float32)
    parts = {name: getattr(pipeline, name, None) for name in ("unet", "text_encoder", "text_encoder_2")}
    states, made = {}, {name: part for name, part in parts.items() if part is not None}
    for name, part in made.items():
        targets = ["to_k", "to_q", "to_v", "to_out.0"] if name == "unet" else ["q_proj", "k_proj", "v_proj", "out_proj"]
        part.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, init_lora_weights="gaussian"))
        for key, weight in part.named_parameters():
            if "lora_B" in key:
                torch.nn.init.normal_(weight, std=size)
        layers = "unet_lora_layers" if name == "unet" else f"{name}_lora_layers"
        states[layers] = get_peft_model_state_dict(part)
    pipeline.save_lora_weights(folder, **states, **_collate_lora_metadata(made))
    return folder / "pytorch_lora_weights.safetensors"
