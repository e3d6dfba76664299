"""`likeness lora`: what it prints, what it writes, and one line for everything that can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from likeness.cli.main import main

NAME = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"


@pytest.fixture(autouse=True)
def made() -> None:
    """`a.safetensors`: one module of an SD 1.5 LoRA, without metadata; `cut.safetensors`: half of it."""
    save_file({f"unet.{NAME}.lora_A.weight": torch.ones(4, 768), f"unet.{NAME}.lora_B.weight": torch.ones(320, 4)},
              "a.safetensors")  # fmt: skip
    whole = Path("a.safetensors").read_bytes()
    Path("cut.safetensors").write_bytes(whole[: len(whole) // 2])


def test_info_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]):
    assert main(["lora", "info", "a.safetensors"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["layout"] == "diffusers" and shown["family"] == "sd15"
    assert shown["unet"] == "rank 4; alpha 4; 1 modules; to_k" and shown["tensors"].startswith("2, 4,352 parameters")
    assert main(["lora", "info", "a.safetensors", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parts"]["unet"]["rank"] == [4.0] and told["ours"] == {} and told["dtype"] == "float32"


def test_convert_there_and_back(capsys: pytest.CaptureFixture[str]):
    assert main(["lora", "convert", "a.safetensors", "k.safetensors", "--to", "kohya"]) == 0
    assert capsys.readouterr().out == "k.safetensors\n"
    assert load_file("k.safetensors")[f"lora_unet_{NAME.replace('.', '_')}.alpha"] == 4
    assert main(["lora", "convert", "k.safetensors", "p", "--to", "peft"]) == 0
    assert json.loads(Path("p/unet/adapter_config.json").read_text())["lora_alpha"] == 4
    assert main(["lora", "convert", "p", "b.safetensors", "--to", "diffusers"]) == 0
    before, after = load_file("a.safetensors"), load_file("b.safetensors")
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)


def test_convert_says_what_other_tools_cannot_read(capsys: pytest.CaptureFixture[str]):
    dora = load_file("a.safetensors") | {f"unet.{NAME}.lora_magnitude_vector": torch.ones(320)}
    save_file(dora, "d.safetensors")
    assert main(["lora", "convert", "d.safetensors", "k.safetensors", "--to", "kohya"]) == 0
    assert "ignores the DoRA" in capsys.readouterr().err


def test_merge_makes_a_model(tiny, capsys: pytest.CaptureFixture[str]):
    name = NAME.replace("attn2.to_k", "attn1.to_k")
    save_file({f"unet.{name}.lora_A.weight": torch.ones(4, 32), f"unet.{name}.lora_B.weight": torch.ones(32, 4)},
              "m.safetensors")  # fmt: skip
    line = ["lora", "merge", str(tiny("sd15")), "--lora", "m.safetensors:0.5", "--output", "merged"]
    assert main([*line, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["output"] == "merged" and [row["weight"] for row in told["loras"]] == [0.5]
    file = "unet/diffusion_pytorch_model.safetensors"
    change = load_file(Path("merged") / file)[f"{name}.weight"] - load_file(tiny("sd15") / file)[f"{name}.weight"]
    assert torch.allclose(change, torch.full_like(change, 0.5 * 4))  # 0.5 * B A, each sum over rank 4
    assert main(line) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*line, "--overwrite"]) == 0
    assert capsys.readouterr().out == "merged\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("info nowhere.safetensors", "nowhere.safetensors"),
        ("info cut.safetensors", "damaged"),
        ("info .", "name one of them"),
        ("convert a.safetensors b.safetensors --to koya", "did you mean 'kohya'"),
        ("convert a.safetensors b.safetensors", "--to"),
        ("convert cut.safetensors b.safetensors --to kohya", "damaged"),
        ("merge mini --lora a.safetensors --output merged", "is for another model"),
        ("merge minni --lora a.safetensors --output merged", "did you mean 'mini'"),
        ("merge mini --lora a.safetensors:90 --output merged", "weight of LoRA a.safetensors"),
        ("merge mini --output merged", "--lora"),
    ],
)
def test_errors_are_one_line(line: str, said: str, capsys: pytest.CaptureFixture[str]):
    assert main(["lora", *line.split()]) == 2
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.count("\n") == 1 and not shown.out
    assert sorted(p.name for p in Path().iterdir()) == ["a.safetensors", "cut.safetensors"]
