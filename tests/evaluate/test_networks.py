"""The table of networks: every row says where its weights come from, and nothing stands in for what is missing."""

from __future__ import annotations

import re

import pytest
import torch
from PIL import Image

from likeness.errors import ModelNotFound, UsageError
from likeness.evaluate.networks import catalogue as networks
from likeness.evaluate.networks.catalogue import NETWORKS, clean_pixels, load, parse_weights
from likeness.evaluate.networks.inception import FidInception, max_pool, mean_pool
from likeness.models.mini import load_tokenizer
from likeness.models.registry import ASSETS


@pytest.fixture(autouse=True)
def _no_weights(tmp_path, monkeypatch):
    """Whatever lies in the user's folders is not seen."""
    monkeypatch.setenv("LIKENESS_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A CLIP with random weights, as transformers saves it."""
    from transformers import CLIPConfig, CLIPModel

    tokenizer = load_tokenizer(ASSETS / "mini")
    special = {k: getattr(tokenizer, k) for k in ("bos_token_id", "eos_token_id", "pad_token_id")}
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    text = size | special | {"vocab_size": len(tokenizer), "max_position_embeddings": 77}
    config = CLIPConfig(text_config=text, vision_config=size | {"image_size": 32, "patch_size": 16}, projection_dim=16)
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("inception") / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(FidInception().state_dict(), file)
    return file


@pytest.mark.parametrize("name", [name for name, spec in NETWORKS.items() if not spec.offline])
def test_missing_weights_are_named_in_one_line(name):
    """File, source, hash where it is known, and both ways to give it."""
    spec = NETWORKS[name]
    ask = (lambda: networks.lpips(name.removeprefix("lpips-"))) if spec.kind == "lpips" else (lambda: load(name))
    with pytest.raises(ModelNotFound) as caught:
        ask()
    said = str(caught.value)
    assert "\n" not in said and spec.file.name in said and spec.file.url in said and spec.file.sha256 in said
    assert f"--weights {name}=PATH" in said and "LIKENESS_WEIGHTS" in said


def test_hashes_are_whole_and_agree_with_the_names_of_the_files():
    """torchvision and pytorch-fid put the first eight digits of the SHA-256 into the name."""
    known = [spec.file for spec in NETWORKS.values() if spec.file and spec.file.sha256]
    assert len(known) > 4 and all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in known)
    short = {file.name: found[1] for file in known if (found := re.search(r"-([0-9a-f]{8})\.pth$", file.name))}
    assert len(short) == 3
    assert all(file.sha256.startswith(short[file.name]) for file in known if file.name in short)


def test_the_offline_network_says_that_it_is_a_stand_in():
    eye = load("eye", device="cpu")
    assert eye.offline and "OFFLINE" in eye.told and "Lanczos" in eye.told and "128 px" in eye.told
    with pytest.raises(UsageError, match="did you mean 'eye'"):
        load("eyes")
    with pytest.raises(UsageError, match="no features of single pictures"):
        load("lpips-alex")


def test_weights_found_in_the_folder_must_be_the_published_ones(tmp_path, inception_file):
    """A given file is used and said to be given; one that only bears the name is refused."""
    given = load("inception", {"inception": inception_file}, "cpu")
    assert "GIVEN weights" in given.told and not given.found.published
    assert load("inception", {"inception": inception_file.parent}, "cpu").fingerprint == given.fingerprint
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / inception_file.name).symlink_to(inception_file)
    with pytest.raises(UsageError, match="is not the published file"):
        load("inception", device="cpu")


def test_files_that_hold_something_else_are_refused(tmp_path):
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no tensors")
    with pytest.raises(UsageError, match="does not hold weights"):
        load("inception", {"inception": broken}, "cpu")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match="holds other weights"):
        load("inception", {"inception": tmp_path / "other.pth"}, "cpu")


def test_inception_has_the_structure_of_fid():
    """Parameters: torchvision's documented 27,161,264, less its auxiliary head (3,326,696), plus 8 classes of 2,049."""
    with torch.device("meta"):
        model = FidInception().eval()
    assert sum(p.numel() for p in model.parameters()) == 27_161_264 - 3_326_696 + 8 * 2049
    keys = set(model.state_dict())
    assert {"Conv2d_1a_3x3.conv.weight", "Mixed_6e.branch7x7dbl_5.bn.running_var", "fc.bias"} <= keys
    # FID's graph leaves the border out of its means, so that a constant stays one, and ends on a maximum
    assert torch.equal(mean_pool(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))
    assert model.Mixed_7b.pool is mean_pool and model.Mixed_7c.pool is max_pool
    shapes = []
    for block in (model.Mixed_5b, model.Mixed_6b, model.Mixed_7b):
        block.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(inputs[0].shape[1:])))
    assert model(torch.zeros(1, 3, 299, 299, device="meta")).shape == (1, 2048)
    assert shapes == [(192, 35, 35), (768, 17, 17), (1280, 8, 8)]  # Szegedy et al. 2016, table 1


def test_inception_gets_the_scale_of_clean_fid(inception_file):
    """(x - 128) / 128 of pixels 0..255: clean-fid, inception_torchscript.py."""
    network = load("inception", {"inception": inception_file}, "cpu")
    picture = Image.new("RGB", (299, 299), (0, 128, 255))
    with torch.device("meta"):
        model = FidInception().eval()
    model.load_state_dict(torch.load(inception_file, weights_only=True), assign=True)
    wanted = ((torch.tensor([0.0, 128.0, 255.0]) - 128) / 128).view(1, 3, 1, 1).expand(1, 3, 299, 299)
    with torch.inference_mode():
        assert torch.allclose(network.features([picture]), model(wanted), atol=1e-5)


def test_the_clean_resize_smooths_and_does_not_round():
    stripes = Image.new("L", (512, 512))
    stripes.putdata([255 * (x % 2) for _ in range(512) for x in range(512)])
    small = clean_pixels([stripes], 64)
    assert small.shape == (1, 3, 64, 64) and small.abs().max() < 0.1  # antialiased: lines become grey
    ramp = Image.linear_gradient("L").resize((100, 100))
    levels = (clean_pixels([ramp], 37) + 1) * 127.5
    assert (levels - levels.round()).abs().max() > 0.1  # between the levels of a byte
    same = Image.effect_noise((32, 32), 50).convert("RGB")
    assert torch.equal((clean_pixels([same], 32) + 1).mul(127.5).round().byte()[0, 0].flatten(),
                       torch.tensor(list(same.split()[0].tobytes()), dtype=torch.uint8))  # fmt: skip


def test_a_clip_folder_sees_and_reads_in_one_space(clip_folder, some_faces):
    from transformers import CLIPModel

    network = load("clip-b32", {"clip-b32": clip_folder}, "cpu")
    assert network.size == 32 and "GIVEN weights" in network.told
    files = sorted((some_faces / "images").iterdir())[:5]
    ticks: list[int] = []
    seen = network.features(files, ticks.append, batch=3)
    read = network.text_features(["a man", "a very " + "very " * 100 + "long text"])
    assert seen.shape == (5, 16) and read.shape == (2, 16) and ticks == [3, 2]
    for features in (seen, read):
        assert torch.allclose(features.norm(dim=1), torch.ones(len(features)), atol=1e-5)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (networks.OPENAI_MEAN, networks.OPENAI_STD))
    pixels = ((clean_pixels(files, 32) + 1) / 2 - mean) / std
    with torch.inference_mode():
        theirs = CLIPModel.from_pretrained(clip_folder).get_image_features(pixel_values=pixels).pooler_output
    assert torch.allclose(seen, torch.nn.functional.normalize(theirs, dim=-1), atol=1e-5)
    with pytest.raises(ModelNotFound, match="lacks model.safetensors or config.json"):
        load("clip-l14", {"clip-l14": some_faces}, "cpu")


def test_a_dino_folder_gives_its_class_token(tmp_path, some_faces):
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=224, patch_size=14)
    Dinov2Model(config).save_pretrained(tmp_path / "dino")
    network = load("dinov2-small", {"dinov2-small": tmp_path / "dino"}, "cpu")
    features = network.features(sorted((some_faces / "images").iterdir())[:2])
    assert features.shape == (2, 32) and features.std(0).min() > 0
    with pytest.raises(UsageError, match="reads no words: use one of eye"):
        network.text_features(["a man"])


def test_what_weights_say_on_the_command_line(tmp_path):
    assert parse_weights([f"inception={tmp_path}"]) == {"inception": tmp_path}
    for text, said in (
        ("inception", "NAME=PATH"),
        ("incption=x", "did you mean 'inception'"),
        ("eye=/no", "there is no"),
    ):
        with pytest.raises(UsageError, match=said):
            parse_weights([text])
