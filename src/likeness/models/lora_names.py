"""What one LoRA tensor is called by diffusers (new and old), PEFT and kohya-ss, and the module that each name means.

A module's own name here is the one that it has in diffusers and transformers 4: `text_model.encoder.layers.0.mlp.fc1`.
"""

from __future__ import annotations

import re

PARTS = ("unet", "text_encoder", "text_encoder_2")
Name = tuple[str, str, str]  # part, module, what the tensor is: down, up, alpha or magnitude (of DoRA)

# How a key ends -> what it holds. The first two are those of diffusers' attention processors, 2023.
_ENDINGS = {
    "_lora.down.weight": "down", "_lora.up.weight": "up",
    ".lora_linear_layer.down.weight": "down", ".lora_linear_layer.up.weight": "up",
    ".lora.down.weight": "down", ".lora.up.weight": "up",
    ".lora_A.weight": "down", ".lora_B.weight": "up",
    ".lora_magnitude_vector": "magnitude", ".lora_magnitude_vector.weight": "magnitude", ".alpha": "alpha",
}  # fmt: skip
_KOHYA_ENDINGS = {"lora_down.weight": "down", "lora_up.weight": "up", "alpha": "alpha", "dora_scale": "magnitude"}
_KOHYA_PARTS = {
    "lora_unet_": "unet", "lora_te1_": "text_encoder", "lora_te2_": "text_encoder_2", "lora_te_": "text_encoder"
}  # fmt: skip
_OLD_TEXT = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out.0": "out_proj"}

# Words of module names. kohya writes a module's dots as underscores, so these tell which underscore was one.
_WORDS = (
    "down_blocks mid_block up_blocks attentions resnets transformer_blocks downsamplers upsamplers conv conv1 conv2 "
    "conv_in conv_out conv_shortcut proj_in proj_out proj attn1 attn2 to_q to_k to_v to_out ff "
    "net time_emb_proj time_embedding add_embedding linear_1 linear_2 text_model encoder layers self_attn q_proj "
    "k_proj v_proj out_proj mlp fc1 fc2 text_projection"
).split()
_WORD = re.compile(f"({'|'.join(sorted(_WORDS, key=len, reverse=True))}|[0-9]+)(?:_|$)")  # conv_in before conv


def parse_diffusers(key: str) -> Name | None:
    """A key of a diffusers file, whatever its year; None when it is none."""
    part, _, rest = key.partition(".")
    if part not in PARTS:
        if not re.match(r"(down_blocks|mid_block|up_blocks)\.", key):
            return None
        part, rest = "unet", key  # `save_attn_procs` named no part
    for ending, kind in _ENDINGS.items():
        if rest.endswith(ending):
            module = rest.removesuffix(ending).replace(".processor.", ".")
            if ending.startswith("_lora."):
                module += ".0" * module.endswith(".to_out")
                module = _old_text(module) if part != "unet" else module
            return part, whole_name(part, module), kind
    return None


def diffusers_key(part: str, module: str, kind: str) -> str:
    """The key in a diffusers file."""
    ending = {"down": "lora_A.weight", "up": "lora_B.weight", "magnitude": "lora_magnitude_vector"}[kind]
    # peft leaves `.weight` away there, and adds it on loading; transformers 5 loads an encoder without peft's help
    return f"{part}.{module}.{ending}" + ".weight" * (kind == "magnitude" and part != "unet")


def parse_peft(key: str, part: str) -> Name | None:
    """A key of an `adapter_model.safetensors` for that part."""
    return parse_diffusers(f"{part}.{key.removeprefix('base_model.model.')}")


def _old_text(module: str) -> str:
    for old, new in _OLD_TEXT.items():
        module = module.removesuffix(old) + new if module.endswith(f".{old}") else module
    return module


def whole_name(part: str, module: str) -> str:
    """`encoder.layers.0.mlp.fc1` of transformers 5 -> `text_model.encoder.layers.0.mlp.fc1`; others as they are."""
    bare = part != "unet" and module.startswith(("encoder.", "embeddings.", "final_layer_norm"))
    return f"text_model.{module}" if bare else module


def parse_kohya(key: str, layers: int = 2) -> Name | None:
    """A key of a kohya-ss or A1111 file; `layers` a UNet block has, which names of Stability's own blocks need."""
    module, _, ending = key.partition(".")
    prefix = next((p for p in _KOHYA_PARTS if module.startswith(p)), None)
    if prefix is None or ending not in _KOHYA_ENDINGS:
        return None
    part, flat = _KOHYA_PARTS[prefix], module.removeprefix(prefix)
    dotted = _dotted(_from_sgm(flat, layers) if part == "unet" else flat)
    return (part, dotted, _KOHYA_ENDINGS[ending]) if dotted else None


def kohya_module(part: str, module: str, sdxl: bool, layers: int = 2) -> str:
    """The name that kohya-ss sd-scripts give a module: Stability's block names for SDXL, diffusers' for the others."""
    flat = module.replace(".", "_")
    if part != "unet":
        return f"lora_te{'' if not sdxl else '2' if part == 'text_encoder_2' else '1'}_{flat}"
    return f"lora_unet_{_to_sgm(flat, layers) if sdxl else flat}"


def kohya_key(module: str, kind: str) -> str:
    return f"{module}.{next(ending for ending, held in _KOHYA_ENDINGS.items() if held == kind)}"


def _dotted(flat: str) -> str | None:
    """`attn1_to_out_0` -> `attn1.to_out.0`; None when a word is unknown."""
    words, at = [], 0
    while at < len(flat):
        found = _WORD.match(flat, at)
        if found is None:
            return None
        words.append(found[1])
        at = found.end()
    return ".".join(words) or None


# Stability's block names (sgm, "compvis"), as in kohya-ss sd-scripts library/sdxl_model_util.py
# make_unet_conversion_map, for any number of layers a block.
_SGM_RESNET = {
    "in_layers_2": "conv1", "out_layers_3": "conv2", "emb_layers_1": "time_emb_proj", "skip_connection": "conv_shortcut"
}  # fmt: skip
_SGM_WHOLE = {
    "input_blocks_0_0": "conv_in", "out_2": "conv_out", "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2", "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
}  # fmt: skip
_LEVELS = 8  # more than any UNet has


def _sgm_blocks(layers: int) -> dict[str, str]:
    """Stability's prefix -> diffusers' prefix; of two for one, the last is what kohya-ss writes."""
    each = layers + 1
    table = {"middle_block_0": "mid_block_resnets_0", "middle_block_1": "mid_block_attentions_0"}
    table["middle_block_2"] = "mid_block_resnets_1"
    for block in range(_LEVELS):
        for layer in range(layers):
            table[f"input_blocks_{1 + block * each + layer}_0"] = f"down_blocks_{block}_resnets_{layer}"
            table[f"input_blocks_{1 + block * each + layer}_1"] = f"down_blocks_{block}_attentions_{layer}"
        table[f"input_blocks_{(block + 1) * each}_0_op"] = f"down_blocks_{block}_downsamplers_0_conv"
        for layer in range(each):
            table[f"output_blocks_{block * each + layer}_0"] = f"up_blocks_{block}_resnets_{layer}"
            table[f"output_blocks_{block * each + layer}_1"] = f"up_blocks_{block}_attentions_{layer}"
        for place in (1, 2):  # without and with attention before it
            table[f"output_blocks_{block * each + layers}_{place}_conv"] = f"up_blocks_{block}_upsamplers_0_conv"
    return table


def _from_sgm(flat: str, layers: int) -> str:
    if flat in _SGM_WHOLE:
        return _SGM_WHOLE[flat]
    prefix, name = _longest(flat, _sgm_blocks(layers))
    rest = flat.removeprefix(prefix).removeprefix("_")
    return "_".join(filter(None, (name, _SGM_RESNET.get(rest, rest))))


def _to_sgm(flat: str, layers: int) -> str:
    whole = {name: sgm for sgm, name in _SGM_WHOLE.items()}
    if flat in whole:
        return whole[flat]
    prefix, sgm = _longest(flat, {name: sgm for sgm, name in _sgm_blocks(layers).items()})
    rest = flat.removeprefix(prefix).removeprefix("_")
    inner = {name: sgm for sgm, name in _SGM_RESNET.items()} if "resnets" in prefix else {}
    return "_".join(filter(None, (sgm, inner.get(rest, rest))))


def _longest(flat: str, table: dict[str, str]) -> tuple[str, str]:
    """The longest prefix of the name that the table knows, ending at a word's end, and what stands for it."""
    found = [prefix for prefix in table if flat == prefix or flat.startswith(f"{prefix}_")]
    prefix = max(found, key=len, default="")
    return prefix, table.get(prefix, "")
