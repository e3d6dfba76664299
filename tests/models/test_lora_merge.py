"""LoRAs folded into a model: a folder that stock diffusers loads, which draws what the LoRAs at run time draw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from adapted import SHAPE, adapt, draw, load, parts
from likeness.errors import UsageError
from likeness.models import lora, lora_files, lora_merge, registry
from likeness.models.registry import ASSETS


def two_loras(folder: Path) -> None:
    """`a`, of UNet and text encoders, and `b.safetensors`, of the UNet in kohya's layout."""
    pipeline = load(folder)
    adapt(pipeline, strength=0.02)
    lora.save("a", parts(pipeline), SHAPE)
    second = load(folder)
    adapt(second, lora.LoraShape(rank=2, alpha=1, targets=("conv",)), strength=0.02)
    lora.save("b", parts(second), SHAPE)
    lora_files.convert("b", "b.safetensors", "kohya")


@pytest.mark.parametrize("family", [pytest.param("mini", marks=pytest.mark.slow), "sdxl"])
def test_a_merged_model_draws_what_the_loras_draw(family: str, tiny):
    folder = ASSETS / "mini" if family == "mini" else tiny(family)
    two_loras(folder)
    model = "mini" if family == "mini" else str(folder)
    assert lora_merge.merge(model, [("a", 0.8), ("b.safetensors", -0.5)], "merged") == Path("merged")

    runtime = load(folder)
    plain = draw(runtime, "np")
    runtime.load_lora_weights("a", adapter_name="a")
    runtime.load_lora_weights("b", adapter_name="b")
    runtime.set_adapters(["a", "b"], [0.8, -0.5])
    wanted, merged = draw(runtime, "np"), load(Path("merged"))
    assert np.abs(draw(merged, "np") - wanted).max() <= 2 / 255
    assert np.abs(plain - wanted).max() > 8 / 255, "a LoRA that changes nothing would prove nothing"
    for part in parts(merged).values():
        assert part.dtype == torch.float32
    stored = load_file("merged/unet/diffusion_pytorch_model.safetensors")
    source = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert {k: t.dtype for k, t in stored.items()} == {k: t.dtype for k, t in source.items()}
    for name in ("tokenizer/vocab.json", "scheduler/scheduler_config.json", "vae/config.json", "model_index.json"):
        if (folder / name).exists():
            assert (Path("merged") / name).read_bytes() == (folder / name).read_bytes()
    assert registry.find("merged").family == family
    record = json.loads(Path("merged/merged.json").read_text())
    assert [(row["lora"], row["weight"]) for row in record["loras"]] == [
        ("pytorch_lora_weights.safetensors", 0.8),
        ("b.safetensors", -0.5),
    ]


def test_a_model_of_half_precision_files_becomes_one_that_loads_without_arguments(tiny):
    """The source has *.fp16.safetensors and an encoder marked float16: stock needs `variant` and `dtype` for it."""
    two_loras(tiny("sd15"))
    load(tiny("sd15")).to(torch.float16).save_pretrained("half", variant="fp16")
    lora_merge.merge("half", [("b", 1.0)], "merged")  # changes the UNet alone
    merged = load(Path("merged"))
    assert {part.dtype for part in (merged.unet, merged.vae, merged.text_encoder)} == {torch.float32}
    assert not list(Path("merged").rglob("*fp16*")) and draw(merged).isfinite().all()
    assert {t.dtype for t in load_file("merged/unet/diffusion_pytorch_model.safetensors").values()} == {torch.float16}


def test_an_output_that_is_taken_is_left_alone_and_a_failure_leaves_nothing(tiny):
    two_loras(tiny("sd15"))
    model = str(tiny("sd15"))
    lora_merge.merge(model, [("a", 1.0)], "merged")
    before = load_file("merged/unet/diffusion_pytorch_model.safetensors")
    with pytest.raises(UsageError, match="add --overwrite"):
        lora_merge.merge(model, [("a", 0.5)], "merged")
    lora_merge.merge(model, [("a", 0.5)], "merged", overwrite=True)
    after = load_file("merged/unet/diffusion_pytorch_model.safetensors")
    assert any(not torch.equal(before[k], after[k]) for k in before)
    Path("letters").mkdir()
    Path("letters/dear.txt").write_text("dear")
    for loras, output, said in (
        ([("a", 1.0)], "letters", "will not be replaced"),
        ([("a", 1e39)], "new", "not finite"),
        ([("nowhere.safetensors", 1.0)], "new", "nowhere"),
        ([], "new", "at least one"),
    ):
        with pytest.raises(UsageError, match=said):
            lora_merge.merge(model, loras, output, overwrite=True)
    with pytest.raises(UsageError, match="is for another model"):
        lora_merge.merge(str(tiny("sd21")), [("a", 1.0)], "new")
    assert not Path("new").exists() and not [p for p in Path().iterdir() if p.name.startswith(".")]
    assert Path("letters/dear.txt").read_text() == "dear"
