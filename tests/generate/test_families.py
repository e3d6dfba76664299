"""SD 1.5, SD 2.1 and SDXL in a few thousand parameters: the same roads as the large ones, against stock diffusers."""

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoPipelineForImage2Image,
    AutoPipelineForText2Image,
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from likeness.generate.generator import FaceGenerator
from likeness.models.registry import ASSETS
from likeness.records import ImageRequest

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
WIDTHS = {"sd15": 16, "sd21": 1024, "sdxl": 32}  # 1024 is what tells SD 2.1 by its parts


def text(tokenizer, width, cls=CLIPTextModel):
    special = {k: getattr(tokenizer, k) for k in ("bos_token_id", "eos_token_id", "pad_token_id")}
    sizes = {"hidden_size": width, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}
    return cls(CLIPTextConfig(vocab_size=len(tokenizer), projection_dim=16, **sizes, **special))


@pytest.fixture(scope="module", params=list(WIDTHS))
def folder(request, tmp_path_factory):
    torch.manual_seed(0)
    family, tokenizer = request.param, CLIPTokenizer.from_pretrained(ASSETS / "mini" / "tokenizer")
    xl = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 64}
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(32, 32), layers_per_block=1, cross_attention_dim=WIDTHS[family],
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8, **(xl if family == "sdxl" else {}),
    )  # fmt: skip
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = AutoencoderKL(block_out_channels=(8, 8, 8, 8), norm_num_groups=4, latent_channels=4, sample_size=64, **blocks)
    parts = {"vae": vae, "unet": unet, "tokenizer": tokenizer}
    if family == "sdxl":
        parts |= {
            "text_encoder": text(tokenizer, 16),
            "text_encoder_2": text(tokenizer, 16, CLIPTextModelWithProjection),
        }
        pipeline = StableDiffusionXLPipeline(scheduler=EulerDiscreteScheduler(**BETAS), tokenizer_2=tokenizer, **parts)
    else:
        v = {"prediction_type": "v_prediction"}
        plain = PNDMScheduler(skip_prk_steps=True, steps_offset=1, set_alpha_to_one=False, **BETAS)
        scheduler = plain if family == "sd15" else DDIMScheduler(steps_offset=1, clip_sample=False, **v, **BETAS)
        parts |= {"text_encoder": text(tokenizer, WIDTHS[family]), "safety_checker": None, "feature_extractor": None}
        pipeline = StableDiffusionPipeline(scheduler=scheduler, requires_safety_checker=False, **parts)
    where = tmp_path_factory.mktemp(family) / family
    pipeline.save_pretrained(where)
    return family, where


def test_each_family_draws_what_stock_diffusers_draws(folder, tmp_path):
    family, where = folder
    generator = FaceGenerator(where, device="cpu")
    assert generator.spec.family == family and generator.spec.knows is None
    request = ImageRequest("a man with blue eyes", seed=3, steps=4)
    (ours,) = generator.generate(request)
    assert ours.notes == () and ours.request.guidance == 7.5
    settings = {"num_inference_steps": 4, "guidance_scale": 7.5}
    stock = AutoPipelineForText2Image.from_pretrained(where)
    theirs = stock(request.prompt, generator=torch.Generator("cpu").manual_seed(3), **settings).images[0]
    assert np.array_equal(np.asarray(ours.image), np.asarray(theirs)) and ours.image.size == (64, 64)

    theirs.save(tmp_path / "start.png")
    start = {"image": str(tmp_path / "start.png"), "strength": 0.5}
    (ours,) = generator.generate(ImageRequest("a man", "hat", seed=3, steps=4, **start))
    stock, noise = AutoPipelineForImage2Image.from_pipe(stock), torch.Generator("cpu").manual_seed(3)
    theirs = stock("a man", image=theirs, strength=0.5, negative_prompt="hat", generator=noise, **settings).images[0]
    assert np.array_equal(np.asarray(ours.image), np.asarray(theirs))
