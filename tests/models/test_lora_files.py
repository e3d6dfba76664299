"""LoRA files of other tools: their key names, what is lost on the way (nothing), and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapted import SHAPE, adapt, draw, load, parts
from likeness.errors import UsageError
from likeness.models import lora, lora_files, lora_layouts, lora_names
from likeness.models.registry import ASSETS

# kohya-ss/sd-scripts names LoRA modules in networks/lora.py, LoRANetwork.create_modules: prefix + path of the module,
# dots as underscores, over these classes of diffusers' UNet ("conv" is its conv_dim) and of transformers 4's encoder.
KOHYA_CLASSES = {"Transformer2DModel", "ResnetBlock2D", "Downsample2D", "Upsample2D"}
KOHYA_TEXT = ("self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2")

# For SDXL it uses Stability's names, by library/sdxl_model_util.py, make_unet_conversion_map.
SDXL = {
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q":
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "lora_unet_input_blocks_8_1_transformer_blocks_9_attn2_to_out_0":
        "down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_out.0",
    "lora_unet_input_blocks_5_1_proj_in": "down_blocks.1.attentions.1.proj_in",
    "lora_unet_middle_block_1_transformer_blocks_3_ff_net_0_proj":
        "mid_block.attentions.0.transformer_blocks.3.ff.net.0.proj",
    "lora_unet_middle_block_2_in_layers_2": "mid_block.resnets.1.conv1",
    "lora_unet_output_blocks_0_1_transformer_blocks_9_ff_net_2":
        "up_blocks.0.attentions.0.transformer_blocks.9.ff.net.2",
    "lora_unet_output_blocks_5_1_proj_out": "up_blocks.1.attentions.2.proj_out",
    "lora_unet_output_blocks_2_2_conv": "up_blocks.0.upsamplers.0.conv",
    "lora_unet_output_blocks_8_0_skip_connection": "up_blocks.2.resnets.2.conv_shortcut",
    "lora_unet_input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
    "lora_unet_input_blocks_2_0_emb_layers_1": "down_blocks.0.resnets.1.time_emb_proj",
    "lora_unet_input_blocks_2_0_out_layers_3": "down_blocks.0.resnets.1.conv2",
    "lora_unet_label_emb_0_2": "add_embedding.linear_2",
    "lora_unet_time_embed_0": "time_embedding.linear_1",
}  # fmt: skip


def kohya_names(unet: torch.nn.Module, layers: int) -> list[str]:
    """What sd-scripts calls the modules of a diffusers UNet and of a text encoder of so many layers."""
    found = [
        f"lora_unet_{name}.{child}".replace(".", "_")
        for name, module in unet.named_modules()
        if type(module).__name__ in KOHYA_CLASSES
        for child, inner in module.named_modules()
        if type(inner).__name__ in {"Linear", "LoRACompatibleLinear", "Conv2d", "LoRACompatibleConv"}
    ]
    text = [f"text_model.encoder.layers.{i}.{name}" for i in range(layers) for name in KOHYA_TEXT]
    return found + [f"lora_te_{name}".replace(".", "_") for name in text]


def kohya_file(path: str, unet: torch.nn.Module, text: torch.nn.Module, rank: int = 2) -> dict[str, torch.Tensor]:
    """A file as sd-scripts saves it: fp16, alpha in each module; ranks and alphas that differ between modules."""
    modules = {n.replace(".", "_"): m for n, m in unet.named_modules()}
    modules = {f"lora_unet_{n}": m for n, m in modules.items()}
    modules |= {f"lora_te_text_model_{n.replace('.', '_')}": m for n, m in text.named_modules()}
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for i, name in enumerate(kohya_names(unet, len(text.encoder.layers))):
        weight = modules[name].weight
        r = rank + (i % 3 == 0)
        down = torch.randn(r, *weight.shape[1:], generator=generator) * 0.2
        up = torch.randn(weight.shape[0], r, *(1,) * (weight.ndim - 2), generator=generator) * 0.2
        tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"] = down.half(), up.half()
        tensors[f"{name}.alpha"] = torch.tensor(1.0 + i % 2)
    save_file(tensors, path, {"ss_network_module": "networks.lora", "ss_steps": "300", "sshs_model_hash": "old"})
    return tensors


def test_a_file_by_kohyas_names_goes_through_ours_with_the_same_output(tiny):
    plain = load(tiny("sd15"))
    reference = kohya_file("kohya.safetensors", plain.unet, plain.text_encoder)
    ours = load(tiny("sd15"))
    lora.load_into(parts(ours), "kohya.safetensors")
    for key, down in reference.items():  # the reference: LoRAModule.merge_to of sd-scripts
        if key.endswith("lora_down.weight"):
            name = lora_names.parse_kohya(key)
            module = getattr(plain, name[0]).get_submodule(name[1].removeprefix("text_model."))
            up, alpha = (reference[key.replace("lora_down.weight", k)] for k in ("lora_up.weight", "alpha"))
            change = (up.float().flatten(1) @ down.float().flatten(1)).reshape(module.weight.shape)
            module.weight.data += change * alpha / down.shape[0]
    drawn = draw(ours)
    assert (draw(plain) - drawn).abs().max() < 1e-3  # sums in another order, in fp32

    lora_files.convert("kohya.safetensors", "ours.safetensors", "diffusers")
    stock = load(tiny("sd15"))
    stock.load_lora_weights("ours.safetensors")  # each module's own rank and alpha, through peft's patterns
    assert torch.equal(draw(stock), drawn)
    lora_files.convert("ours.safetensors", "again.safetensors", "kohya")
    again = load_file("again.safetensors")
    assert again.keys() == reference.keys()
    assert all(torch.equal(again[k], t) and again[k].dtype == t.dtype for k, t in reference.items())
    told = lora_files.info("again.safetensors").metadata
    assert told["ss_steps"] == "300" and told["ss_network_dim"] == "2" and "sshs_model_hash" not in told


def test_the_names_of_sdxl_are_stabilitys_in_kohyas_files(tiny):
    for sgm, module in SDXL.items():
        assert lora_names.parse_kohya(f"{sgm}.lora_down.weight") == ("unet", module, "down")
        assert lora_names.kohya_module("unet", module, sdxl=True) == sgm
    ours = load(tiny("sdxl"))
    shape = lora.LoraShape(rank=2, alpha=3, text_encoder=True, targets=("conv", "all-linear", "conv_in", "conv_out"))
    adapt(ours, shape)
    file = lora.save("out", parts(ours), shape)
    lora_files.convert(file, "kohya.safetensors", "kohya")
    keys = load_file("kohya.safetensors").keys()
    assert not [key for key in keys if key.startswith(("lora_unet_down_blocks", "lora_unet_up_blocks", "lora_te_"))]
    assert {"lora_unet_output_blocks_1_2_conv.alpha", "lora_unet_input_blocks_2_0_op.alpha"} <= keys
    assert "lora_te2_text_model_encoder_layers_0_self_attn_q_proj.alpha" in keys
    stock = load(tiny("sdxl"))
    stock.load_lora_weights("kohya.safetensors")  # its own mapping of these names
    assert (draw(stock) - draw(ours)).abs().max() <= 1e-5


def test_sdxl_of_full_size_has_kohyas_722_modules():
    """`create LoRA for U-Net: 722 modules.` is what sd-scripts prints for SDXL; no name may be lost or meet another."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(
            cross_attention_dim=2048, block_out_channels=(320, 640, 1280), attention_head_dim=(5, 10, 20),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2, 10), use_linear_projection=True, addition_embed_type="text_time",
            addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
        )  # fmt: skip
    layers = [n for n, m in unet.named_modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    names = {n: lora_names.kohya_module("unet", n, sdxl=True) for n in layers}
    assert len(set(names.values())) == len(layers)
    assert [n for n in layers if lora_names.parse_kohya(f"{names[n]}.alpha") != ("unet", n, "alpha")] == []
    assert len([n for n in layers if "attentions" in n]) == 722


def test_peft_reads_our_folder_and_we_its(tiny):
    from peft import PeftModel

    ours = load(tiny("sdxl"))
    adapt(ours, lora.LoraShape(**(vars(SHAPE) | {"dora": True})))
    file = lora.save("out", parts(ours), SHAPE)
    lora_files.convert(file, "peft", "peft")
    theirs = load(tiny("sdxl"))
    for name, part in parts(theirs).items():
        setattr(theirs, name, PeftModel.from_pretrained(part, f"peft/{name}").get_base_model())
    assert torch.equal(draw(theirs), draw(ours))
    lora_files.convert("peft", "back.safetensors", "diffusers")
    before, after = load_file(file), load_file("back.safetensors")
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    assert lora_files.info("peft/text_encoder_2").parts == {
        "text_encoder_2": lora_files.info("peft").parts["text_encoder_2"]
    }


def test_files_of_older_diffusers_are_read(tiny):
    """Attention processors (2023) and `lora_linear_layer`, of which alpha is the rank."""
    ours = load(tiny("sd15"))
    adapt(ours, lora.LoraShape(rank=3, text_encoder=True))
    new = load_file(lora.save("out", parts(ours), lora.LoraShape(rank=3, text_encoder=True)))
    old = {}
    for key, tensor in new.items():
        for module, kind in (("lora_A", "down"), ("lora_B", "up")):
            if key.startswith("unet."):
                key = key.replace(f".to_out.0.{module}.", f".processor.to_out_lora.{kind}.")
                for name in ("to_q", "to_k", "to_v"):
                    key = key.replace(f".{name}.{module}.", f".processor.{name}_lora.{kind}.")
            else:
                key = key.replace(f".{module}.", f".lora_linear_layer.{kind}.")
        old[key] = tensor
    assert not old.keys() & new.keys()
    save_file(old, "old.safetensors")
    assert lora_files.info("old.safetensors").layout == "diffusers, before PEFT"
    lora_files.convert("old.safetensors", "back.safetensors", "diffusers")
    back = load_file("back.safetensors")
    assert back.keys() == new.keys() and all(torch.equal(back[k], new[k]) for k in new)
    assert lora_files.info("back.safetensors").parts["unet"].alpha == (3.0,)
    procs = {key.removeprefix("unet."): t for key, t in old.items() if key.startswith("unet.")}  # save_attn_procs
    older = {key.replace("q_proj.lora_linear_layer", "to_q_lora"): t for key, t in old.items() if "q_proj" in key}
    save_file(procs | older, "older.safetensors")
    assert lora_files.info("older.safetensors").parts["text_encoder"].targets == ("q_proj",)


@pytest.mark.parametrize(
    ("width", "family"), [(256, "mini"), (768, "sd15"), (1024, "sd21"), (2048, "sdxl"), (32, None)]
)
def test_info_tells_the_family_by_the_width(width: int, family: str | None):
    name = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    down, up = torch.zeros(4, width), torch.zeros(320, 4)
    save_file({f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}, "a.safetensors")
    found = lora_files.info("a.safetensors")
    assert (found.family, found.layout, found.dtype) == (family, "diffusers", "float32")
    assert found.parts["unet"].rank == (4.0,) and found.parts["unet"].targets == ("to_k",)
    assert (found.tensors, found.parameters) == (2, 4 * (width + 320))


def tensors_of(*keys: str) -> dict[str, torch.Tensor]:
    return {key: torch.zeros(2, 2) for key in keys}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("lora_unet_mid_block_attentions_0_proj_in.hada_w1_a",), "hada_w1_a"),
        (("lora_unet_mid_block_attentions_0_proj_in.lokr_w1",), "lokr_w1"),
        (("lora_unet_mid_block_resnets_0_conv1.lora_mid.weight",), "lora_mid"),
        (("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight",), "double_blocks"),
        (("unet.conv_in.lora_A.weight", "transformer.x.lora_A.weight"), "transformer.x.lora_A.weight"),
        (("unet.conv_in.lora_A.weight",), "do not fit"),
        (("model.diffusion_model.input_blocks.0.0.weight",), "unknown key 'model.diffusion_model"),
    ],
)
def test_other_files_are_refused_by_their_first_strange_key(keys: tuple[str, ...], said: str):
    save_file(tensors_of(*keys), "a.safetensors")
    with pytest.raises(UsageError, match=said):
        lora_files.info("a.safetensors")


def test_a_configuration_that_makes_no_sense_is_one_line():
    name = "unet.mid_block.attentions.0.proj_in"
    both = tensors_of(f"{name}.lora_A.weight", f"{name}.lora_B.weight")
    for value in ({"unet.lora_alpha": "x"}, {"unet.alpha_pattern": {"(": 1}}, {"unet.alpha_pattern": [1]}, [1]):
        save_file(both, "a.safetensors", {"lora_adapter_metadata": json.dumps(value)})
        with pytest.raises(UsageError, match="cannot be read"):
            lora_files.info("a.safetensors")
    save_file(both | {f"{name}.alpha": torch.ones(2)}, "a.safetensors")
    with pytest.raises(UsageError, match="alpha of unet.mid_block.attentions.0.proj_in"):
        lora_files.info("a.safetensors")
    save_file({key: torch.zeros(0, 0) for key in both}, "a.safetensors")
    with pytest.raises(UsageError, match="do not fit"):
        lora_files.info("a.safetensors")


def test_damaged_and_missing_files_and_wrong_targets_are_one_line():
    Path("cut.safetensors").write_bytes(b"\x00" * 40)
    save_file({}, "empty.safetensors")
    Path("old.bin").write_bytes(b"pickle")
    Path("folder").mkdir()
    name = "unet.mid_block.attentions.0.proj_in"
    save_file(tensors_of(f"{name}.lora_A.weight", f"{name}.lora_B.weight"), "good.safetensors")
    save_file(tensors_of(f"{name}.lora_A.weight"), "bad.safetensors", {"lora_adapter_metadata": "{"})
    Path("adapter").mkdir()
    save_file(tensors_of("base_model.model.conv_in.lora_A.weight"), "adapter/adapter_model.safetensors")
    Path("adapter/adapter_config.json").write_text(json.dumps({"peft_type": "LOHA"}))
    for path, said in {
        "cut.safetensors": "damaged", "empty.safetensors": "no tensors", "old.bin": "safetensors", "folder": "no LoRA",
        "nowhere.safetensors": "nowhere", "bad.safetensors": "lora_adapter_metadata", "adapter": "LOHA",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=said) as error:
            lora_files.info(path)
        assert "\n" not in str(error.value)
    for target, layout, said in (
        ("a.safetensors", "koya", "did you mean 'kohya'"),
        ("folder", "diffusers", "is a file"),
        ("a.safetensors", "peft", "is a folder"),
    ):
        with pytest.raises(UsageError, match=said):
            lora_files.convert("good.safetensors", target, layout)
    with pytest.raises(UsageError, match="holds no unet"):  # never replace a folder of something else
        Path("folder/letters.txt").write_text("dear")
        lora_files.convert("good.safetensors", "folder", "peft")
    assert Path("folder/letters.txt").read_text() == "dear"
    lora_files.convert("good.safetensors", "good", "peft")
    lora_files.convert("good.safetensors", "good", "peft")  # again is no error
    assert lora_layouts.read("good").layout == "peft" and not list(Path().glob(".good*"))


def test_mini_is_known_by_its_width(tmp_path: Path):
    pipeline = load(ASSETS / "mini")
    lora.inject({"unet": pipeline.unet}, lora.LoraShape())
    found = lora_files.info(lora.save("out", {"unet": pipeline.unet}, lora.LoraShape()))
    assert found.family == "mini" and found.parts["unet"].alpha == (4.0,)
