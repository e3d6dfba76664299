"""Checkpoints in one file, as Civitai and A1111 have them."""

import re

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import save_file

from likeness.errors import ModelNotFound
from likeness.generate.generator import FaceGenerator
from likeness.models import registry, single_file
from likeness.records import ImageRequest
from tiny import lora

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
# diffusers' names of a UNet with two blocks of one layer -> those of CompVis/stable-diffusion, openaimodel.py
UNET = {
    "conv_in": "input_blocks.0.0", "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op", "down_blocks.1.resnets.0": "input_blocks.3.0",
    "down_blocks.1.attentions.0": "input_blocks.3.1", "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1", "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0", "up_blocks.0.attentions.0": "output_blocks.0.1",
    "up_blocks.0.resnets.1": "output_blocks.1.0", "up_blocks.0.attentions.1": "output_blocks.1.1",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.1.2.conv", "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.resnets.1": "output_blocks.3.0", "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
VAE = [
    (r"down_blocks\.(\d)\.resnets\.", r"down.\1.block."),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"up_blocks\.(\d)\.resnets\.", lambda m: f"up.{3 - int(m[1])}.block."),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample"),
    (r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}"), (r"mid_block\.attentions\.0", "mid.attn_1"),
    ("conv_shortcut", "nin_shortcut"), ("group_norm", "norm"), ("conv_norm_out", "norm_out"),
    (r"to_out\.0", "proj_out"),
    (r"to_([qkv])", r"\1"),
]  # fmt: skip


def original(pipeline):
    """The state of an SD 1.5 pipeline under the names of the original checkpoints."""
    state = {}
    for key, weight in pipeline.unet.state_dict().items():
        start = max((name for name in UNET if key.startswith(name + ".")), key=len)
        rest = key[len(start) + 1 :]
        for ours, theirs in RESNET.items() if "resnets" in start else ():
            rest = rest.replace(ours, theirs)
        state[f"model.diffusion_model.{UNET[start]}.{rest}"] = weight
    for key, weight in pipeline.vae.state_dict().items():
        for pattern, name in VAE:
            key = re.sub(pattern, name, key)
        flat = "attn_1" in key and weight.ndim == 2
        state[f"first_stage_model.{key}"] = weight[:, :, None, None] if flat else weight
    for key, weight in pipeline.text_encoder.state_dict().items():
        state[f"cond_stage_model.transformer.text_model.{key.removeprefix('text_model.')}"] = weight
    return {key: weight.contiguous() for key, weight in state.items()}


@pytest.fixture(scope="module")
def checkpoint(tiny, tmp_path_factory):
    file = tmp_path_factory.mktemp("files") / "faces-v1.safetensors"
    save_file(original(DiffusionPipeline.from_pretrained(tiny("sd15"), dtype=torch.float32)), file)
    return file


def test_a_checkpoint_draws_what_its_folder_draws(checkpoint, tiny):
    beside = checkpoint.with_suffix("")
    beside.symlink_to(tiny("sd15"), target_is_directory=True)  # settings and tokenizer
    request = ImageRequest("a man", seed=1, steps=2, width=64, height=64)
    one = FaceGenerator(checkpoint, device="cpu")
    folder = FaceGenerator(tiny("sd15"), device="cpu")
    assert one.spec.family == "sd15" and one.spec.name == str(checkpoint) and len(one.fingerprint) == 64
    ours, theirs = (np.asarray(generator.generate(request)[0].image) for generator in (one, folder))
    assert np.array_equal(ours, theirs)
    beside.unlink()


def test_without_its_settings_a_checkpoint_says_where_to_put_them(checkpoint):
    with pytest.raises(ModelNotFound, match="put its folder .* at .*faces-v1"):
        FaceGenerator(checkpoint, device="cpu").generate(ImageRequest("a man", steps=1))


def test_families_are_told_by_their_text_encoders(tmp_path):
    for sign, family, size in single_file._SIGNS:
        save_file({sign: torch.zeros(2)}, tmp_path / "a.safetensors")
        assert single_file.family_of(tmp_path / "a.safetensors") == (family, size)


def test_other_files_are_one_line(tmp_path, tiny):
    (tmp_path / "a.ckpt").write_bytes(b"")
    (tmp_path / "b.safetensors").write_bytes(b"hello, this is none")
    save_file({"x": torch.zeros(2)}, tmp_path / "c.safetensors")
    loras = lora(tiny("sd15"), tmp_path)
    for path, says in (
        ("a.ckpt", "may run code"), ("b.safetensors", "damaged"), ("c.safetensors", "no checkpoint of"),
        (loras.name, "give it as --lora"),
    ):  # fmt: skip
        with pytest.raises(ModelNotFound, match=says):
            registry.find(tmp_path / path)


def test_half_precision_files_are_chosen_where_they_are_wanted_or_alone(tmp_path):
    unet = tmp_path / "unet"
    unet.mkdir()
    (unet / "diffusion_pytorch_model.fp16.safetensors").touch()
    assert single_file.has_variant(tmp_path, half=False)
    (unet / "diffusion_pytorch_model.safetensors").touch()
    assert single_file.has_variant(tmp_path, half=True) and not single_file.has_variant(tmp_path, half=False)
