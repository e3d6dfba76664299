"""LLaVA through transformers: a tiny one with random weights, saved by the test, in the real class structure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from likeness import grammar
from likeness.caption import llava
from likeness.caption.captioner import Caption, Face, Failure, make
from likeness.cli.main import main
from likeness.errors import ConfigError, EngineError, MissingExtra, ModelNotFound
from likeness.models.registry import MODELS
from likeness.records import FaceRecord

SIDE, PATCH = 28, 14
TEMPLATE = (
    "{% for m in messages %}USER: {% for c in m['content'] %}{% if c['type'] == 'image' %}<image>\n"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %} ASSISTANT:"
)


def build(folder: Path, template: str | None = TEMPLATE, seed: int = 0) -> Path:
    """A LLaVA of a CLIP vision tower and a Llama, two layers of 32 each, with its own processor."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    special = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
    vocabulary = {word: i for i, word in enumerate([*special, *grammar.vocabulary()])}
    raw = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        additional_special_tokens=["<image>"],
    )  # fmt: skip
    images = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    processor = LlavaProcessor(
        images, tokenizer, patch_size=PATCH, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template, image_token="<image>",
    )  # fmt: skip
    size: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    vision = CLIPVisionConfig(image_size=SIDE, patch_size=PATCH, projection_dim=32, **size)
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    text = LlamaConfig(vocab_size=len(vocabulary), max_position_embeddings=1024, initializer_range=0.3, **size, **ids)
    torch.manual_seed(seed)
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_id=vocabulary["<image>"], vision_feature_layer=-2
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config.update(**ids)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("llava") / "tiny")


@pytest.fixture
def some(faces: Path) -> list[Face]:
    pictures = sorted((faces / "images").iterdir())[:5]
    return [Face(FaceRecord(f"images/{p.name}"), p) for p in pictures]


def settings(model: Path, **more: Any) -> dict[str, Any]:
    return {"model": str(model), "device": "cpu", "precision": "fp32", "max_new_tokens": 8, **more}


def told(model: Path, faces: list[Face], **more: Any) -> dict[str, str]:
    found = list(make("llava", settings(model, **more)).stream(faces))
    assert all(isinstance(one, Caption) for one in found)
    return {one.name: one.text for one in found if isinstance(one, Caption)}


def test_each_face_gets_one_caption_whatever_the_batch(tiny: Path, some: list[Face]) -> None:
    whole = told(tiny, some, greedy=True, batch=5)
    assert set(whole) == {face.name for face in some}
    assert len(set(whole.values())) > 1, "captions do not depend on the picture"
    assert told(tiny, some, greedy=True, batch=2) == whole, "greedy captions do not depend on batch mates"
    assert all("ASSISTANT" not in text and "USER" not in text for text in whole.values()), "the question is cut off"


def test_sampled_captions_follow_the_seed_and_the_batch(tiny: Path, some: list[Face]) -> None:
    first = told(tiny, some, batch=3, seed=1)
    assert told(tiny, some, batch=3, seed=1) == first
    assert told(tiny, some, batch=3, seed=2) != first


def test_a_picture_that_cannot_be_read_spoils_nothing(tiny: Path, some: list[Face], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    faces = [some[0], Face(FaceRecord("images/broken.png"), broken), some[1]]
    found = {one.name: one for one in make("llava", settings(tiny, greedy=True, batch=3)).stream(faces)}
    assert set(found) == {face.name for face in faces}
    bad = found["images/broken.png"]
    assert isinstance(bad, Failure) and bad.reason == "unreadable" and not bad.again
    assert isinstance(found[some[1].name], Caption)


def test_out_of_memory_halves_the_batch_and_loses_nobody(tiny: Path, some: list[Face]) -> None:
    """The network itself refuses more than two faces, as a full card does."""
    import torch

    engine = llava.Engine(llava.LlavaConfig(**settings(tiny, greedy=True, batch=5)), "", "face")
    sizes: list[int] = []

    def refuse(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        count = len(kwargs["input_ids"] if kwargs.get("input_ids") is not None else args[0])
        sizes.append(count)
        if count > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    from PIL import Image

    pictures = [(face, Image.open(face.path)) for face in some]
    wanted = engine.describe(pictures)
    handle = engine.parts[0].register_forward_pre_hook(refuse, with_kwargs=True)
    assert engine.describe(pictures) == wanted
    assert engine.batch <= 2 < max(sizes), "later batches begin small"

    handle.remove()
    engine.parts[0].register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(EngineError, match="4bit"):
        engine.describe(pictures[:1])


def test_an_error_that_is_not_of_memory_comes_through(tiny: Path, some: list[Face]) -> None:
    engine = llava.Engine(llava.LlavaConfig(**settings(tiny)), "", "face")

    def fail(*_: Any) -> None:
        raise RuntimeError("device-side assert")

    engine.parts[0].register_forward_pre_hook(fail)
    from PIL import Image

    with pytest.raises(RuntimeError, match="assert"):
        engine.describe([(some[0], Image.open(some[0].path))])


def test_the_chat_format_is_llavas_with_or_without_a_template(tiny: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tiny, bare)
    for name in ("chat_template.jinja", "chat_template.json"):
        (bare / name).unlink(missing_ok=True)
    config = json.loads((bare / "processor_config.json").read_text())
    config.pop("chat_template", None)
    (bare / "processor_config.json").write_text(json.dumps(config))
    chats = [llava.Engine(llava.LlavaConfig(**settings(m)), "Be brief.", "A face?").chat for m in (tiny, bare)]
    assert chats[0] == chats[1] == "USER: <image>\nBe brief.\n\nA face? ASSISTANT:"


def test_batches_by_memory_stay_within_reason() -> None:
    assert llava.fitting(0) == 1
    assert llava.fitting(1 << 50) == llava.MOST
    assert 1 < llava.fitting(8 << 30) < llava.MOST


def test_what_cannot_be_had_is_said(tiny: Path, some: list[Face], tmp_path: Path) -> None:
    assert {"llava-7b", "llava-13b"} <= set(MODELS)
    for model in ("llava-7b", "llava-hf/llava-1.5-13b-hf"):
        with pytest.raises(ModelNotFound, match="not on this disk"):
            list(make("llava", {"model": model}).stream(some))
    with pytest.raises(ModelNotFound, match="llava-7b"):
        list(make("llava", {"model": "lava"}).stream(some))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelNotFound, match="no whole LLaVA"):
        list(make("llava", {"model": str(tmp_path)}).stream(some))
    with pytest.raises((MissingExtra, ConfigError), match="bitsandbytes|CUDA"):
        list(make("llava", settings(tiny, quantize="4bit")).stream(some))
    for wrong in ({"quantize": "8bit"}, {"precision": "int8"}, {"temperature": 0.0}, {"prompt": "forensic"}):
        with pytest.raises(ConfigError):
            make("llava", wrong)


def test_the_same_command_as_any_captioner(
    tiny: Path, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "faces"
    (folder / "images").mkdir(parents=True)
    for picture in sorted((faces / "images").iterdir())[:3]:
        shutil.copy(picture, folder / "images")
    rows = [{"file_name": f"images/{p.name}", "text": ""} for p in sorted((folder / "images").iterdir())]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["caption", "run", str(folder), "--captioner", "llava", "--model", str(tiny), "--json"]
    command += ["--min-words", "0", "--language", "any"]  # random weights say no English
    for key, value in settings(tiny, greedy="true", batch=2).items():
        command += [] if key == "model" else ["--set", f"{key}={value}"]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    # what random words look like to the quality rules is theirs to say: nobody is lost
    assert report["captioned"] + sum(report["failed"].values()) == 3
    assert report["captioned"], report
