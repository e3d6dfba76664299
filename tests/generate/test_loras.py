"""LoRAs made by peft and saved by diffusers itself, drawn with here and there."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForText2Image
from safetensors.torch import load_file, save_file

from likeness.errors import ModelNotFound, UsageError
from likeness.generate import loras
from likeness.generate.folder import save
from likeness.generate.generator import FaceGenerator
from likeness.models.registry import ASSETS
from likeness.provenance import read, request_of
from likeness.records import ImageRequest
from tiny import lora

# mini is made as sd15 is, and larger; a LoRA is drawn with on it in test_a_kohya_file_draws_the_same
FAMILIES = [pytest.param("mini", marks=pytest.mark.slow), "sd15", "sd21", "sdxl"]


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    """family -> (model, LoRA, another LoRA)."""
    kept = {}

    def of(family):
        if family not in kept:
            model, folder = ASSETS / "mini" if family == "mini" else tiny(family), tmp_path_factory.mktemp("loras")
            kept[family] = model, lora(model, folder / "one"), lora(model, folder / "two", seed=1, rank=3)
        return kept[family]

    return of


def asked(*wanted, **changes):
    return ImageRequest("a man with blue eyes", seed=3, steps=2, loras=tuple((str(p), w) for p, w in wanted), **changes)


def pixels(image):
    return np.asarray(getattr(image, "image", image)).astype(int)


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")  # of the stock side, at its second adapter
@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_draws_what_stock_diffusers_draws_with_the_same_loras(family, made):
    model, one, two = made(family)
    generator = FaceGenerator(model, device="cpu")
    plain = generator.generate(asked())[0]
    both = generator.generate(asked((one, 0.8), (two, -0.5)))[0]
    alone = generator.generate(asked((one.parent, 1.0)))[0]  # a folder is as good as its file
    after = generator.generate(asked())[0]

    stock = AutoPipelineForText2Image.from_pretrained(model)
    stock.set_progress_bar_config(disable=True)
    settings = {"num_inference_steps": 2, "guidance_scale": plain.request.guidance}

    def theirs():
        return stock("a man with blue eyes", generator=torch.Generator("cpu").manual_seed(3), **settings).images[0]

    assert np.array_equal(pixels(plain), pixels(theirs()))
    stock.load_lora_weights(one.parent, weight_name=one.name, adapter_name="one")
    assert np.array_equal(pixels(alone), pixels(theirs()))
    stock.load_lora_weights(two.parent, weight_name=two.name, adapter_name="two")
    stock.set_adapters(["one", "two"], [0.8, -0.5])
    assert np.array_equal(pixels(both), pixels(theirs()))
    assert np.array_equal(pixels(plain), pixels(after))  # what a LoRA did is gone when it is not asked for
    assert np.abs(pixels(both) - pixels(plain)).max() > 2 and np.abs(pixels(both) - pixels(alone)).max() > 2


def kohya(file, target, alpha):
    """The same weights under kohya's names: lora_unet_…_to_k.lora_down.weight, lora_te_…, .alpha."""
    state = {}
    prefixes = {"unet.": "lora_unet_", "text_encoder.": "lora_te_text_model_", "text_encoder_2.": "lora_te2_"}
    for key, weight in load_file(file).items():
        ours = next(p for p in prefixes if key.startswith(p))
        name, matrix = key.removeprefix(ours).removesuffix(".weight").rsplit(".", 1)
        name = prefixes[ours] + name.removeprefix("text_model.").replace(".", "_")
        state[f"{name}.lora_{'down' if matrix == 'lora_A' else 'up'}.weight"] = weight
        state[f"{name}.alpha"] = torch.tensor(float(alpha))
    save_file(state, target)
    return target


@pytest.mark.parametrize("family", ["mini", "sd15"])
def test_a_kohya_file_draws_the_same(family, made, tmp_path):
    model, one, _ = made(family)
    generator = FaceGenerator(model, device="cpu")
    other = kohya(one, tmp_path / "kohya.safetensors", alpha=4)
    ours, theirs = (generator.generate(asked((file, 0.8)))[0] for file in (one, other))
    assert np.array_equal(pixels(ours), pixels(theirs))


def test_other_weights_are_other_batches_and_old_adapters_make_room(made, monkeypatch):
    model, one, two = made("sd15")
    monkeypatch.setattr(loras, "KEPT", 1)
    generator = FaceGenerator(model, device="cpu")
    wanted = [asked((one, 0.8)), asked((one, 0.8)), asked((two, 0.8)), asked((one, 0.8))]
    drawn = list(generator.stream(wanted))
    assert [s.image.info["likeness"]["batch"] for s in drawn] == [[0, 2], [1, 2], [0, 1], [0, 1]]
    assert np.abs(pixels(drawn[0]) - pixels(drawn[3])).max() <= 2 < np.abs(pixels(drawn[0]) - pixels(drawn[2])).max()
    assert len(generator.pipeline.get_list_adapters()["unet"]) == 1


def test_the_recipe_names_the_lora_and_notices_another_one(made, tmp_path):
    model, one, two = made("sd15")
    own = tmp_path / "own" / "face lora.safetensors"
    own.parent.mkdir()
    shutil.copy(one, own)
    (sample,) = FaceGenerator(model, device="cpu").generate(asked((own, 0.8)))
    recipe = read(save(tmp_path / "face.png", sample))
    facts = recipe["drawn"]["loras"][str(own)]
    assert request_of(recipe).loras == ((str(own), 0.8),) and len(facts["sha256"]) == 64
    text = recipe["parameters"].split("\n")
    assert text[0] == "a man with blue eyes <lora:face lora:0.8>"
    assert f'Lora hashes: "face lora: {facts["hash"]}"' in text[-1]
    loras.verify(recipe)
    shutil.copy(two, own)
    with pytest.raises(UsageError, match="has changed since"):
        loras.verify(recipe)
    own.unlink()
    with pytest.raises(UsageError, match="not here"):
        loras.verify(recipe)


def test_a_lora_of_another_family_or_a_damaged_one_is_one_line(made, tmp_path):
    model, one, _ = made("sd15")
    generator = FaceGenerator(model, device="cpu")
    (tmp_path / "cut.safetensors").write_bytes(one.read_bytes()[:-100])
    (tmp_path / "text.safetensors").write_text("hello, this is no such file")
    save_file({"foo.lora_A.weight": torch.zeros(2, 3)}, tmp_path / "foreign.safetensors")
    (tmp_path / "old.ckpt").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    wrong = {
        made("sd21")[1]: "made for Stable Diffusion 2.1", made("sdxl")[1]: "not for",
        tmp_path / "cut.safetensors": "cut short", tmp_path / "gone.safetensors": "no LoRA",
        tmp_path / "text.safetensors": "no safetensors file", tmp_path / "foreign.safetensors": "cannot be used with",
        tmp_path / "old.ckpt": "convert it", tmp_path / "empty": "holds no LoRA",
    }  # fmt: skip
    for path, says in wrong.items():
        with pytest.raises(ModelNotFound, match=says) as caught:
            generator.generate(asked((path, 1.0)))
        assert "\n" not in str(caught.value)
    plain = FaceGenerator(model, device="cpu").generate(asked())[0]
    assert np.array_equal(pixels(generator.generate(asked())[0]), pixels(plain))  # nothing of them stays


def test_names_with_weights(tmp_path, monkeypatch):
    said = {"a.safetensors": 1.0, "a:0.8": 0.8, r"C:\x\a.safetensors": 1.0, r"C:\x\a:-.5": -0.5, "owner/name:2": 2.0}
    assert {text: loras.split(text)[1] for text in said} == said
    assert loras.split(r"C:\x\a:0.5")[0] == r"C:\x\a" and loras.split(r"C:\x\a")[0] == r"C:\x\a"
    (tmp_path / "a:0.8").mkdir()
    assert loras.split("a:0.8") == ("a:0.8", 1.0)  # a folder may be called so


@pytest.mark.parametrize(
    ("wanted", "says"), [([("", 1.0)], "no name"), ([("a", 11.0)], "-10 to 10"), ([("a", 1.0), ("a", 0.5)], "twice")]
)
def test_bad_weights(wanted, says):
    with pytest.raises(UsageError, match=says):
        loras.check(wanted)


def test_without_a_network_a_lora_of_the_hub_is_one_line():
    with pytest.raises(ModelNotFound, match="cannot be reached.*--lora"):
        loras.locate_lora("text2face")
    with pytest.raises(ModelNotFound, match="did you mean 'text2face'"):
        loras.locate_lora("text2fac")
