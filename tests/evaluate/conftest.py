"""Tiny real networks, and a folder with a few of the shipped test faces."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from likeness.models.eye import Eye
from likeness.models.judge import Judge, JudgeNet
from likeness.models.mini import Shape, build, load_tokenizer, save
from likeness.models.registry import ASSETS
from likeness.runtime import choose


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small only wait for each other: on a busy machine two threads take five times as long as one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def eye() -> Eye:
    """A CLIP with random weights and 16 features."""
    from transformers import CLIPConfig, CLIPModel

    tokenizer = load_tokenizer(ASSETS / "mini")
    special = {k: getattr(tokenizer, k) for k in ("bos_token_id", "eos_token_id", "pad_token_id")}
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config=size | special | {"vocab_size": len(tokenizer), "max_position_embeddings": 77},
        vision_config=size | {"image_size": 128, "patch_size": 32},
        projection_dim=16,
    )
    return Eye(CLIPModel(config), tokenizer, choose("cpu"))


@pytest.fixture(scope="session")
def judge() -> Judge:
    torch.manual_seed(0)
    return Judge(JudgeNet((8, 8, 8, 8)))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of the `mini` family with random weights, small enough to draw in no time."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    four = {f"{side}_block_out_channels": (8, 8, 8, 8) for side in ("encoder", "decoder")}
    one = {f"num_{side}_blocks": (1, 1, 1, 1) for side in ("encoder", "decoder")}
    vae = AutoencoderTiny(latent_channels=8, **four, **one)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save(build(Shape(channels=(32, 64), text_width=64, text_layers=1), load_tokenizer(ASSETS / "mini"), vae), folder)
    return folder


@pytest.fixture(scope="session")
def some_faces(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 24 of the shipped test faces, as a folder of its own."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "images").mkdir()
    lines = (faces / "labels.jsonl").read_text(encoding="utf-8").splitlines()[:24]
    (folder / "labels.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in lines:
        name = json.loads(line)["file_name"]
        shutil.copy(faces / name, folder / name)
    return folder
