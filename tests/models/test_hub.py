"""Models on their way to the hub and back, against a hub in miniature: whole, interrupted, refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hub_server import COMMIT, Fault, join, running
from likeness.errors import LikenessError, ModelNotFound, Unreachable, UsageError
from likeness.models import card, download, hub, lora_merge, publish, registry, subject


@pytest.fixture(scope="module")
def lora(tiny, tmp_path_factory):
    """A LoRA for the tiny SD 1.5, made by diffusers, whose metadata tell where it was made."""
    from tiny import lora as make

    folder = tmp_path_factory.mktemp("lora") / "glasses"
    file = make(tiny("sd15"), folder)
    tensors = load_file(file)
    with safe_open(file, "pt") as opened:
        told = dict(opened.metadata())
    ours = {"base": "/home/somebody/models/sd15", "family": "sd15", "license": "CreativeML OpenRAIL-M", "images": 800}
    told |= {"likeness": json.dumps(ours), "ss_train_data_dir": "/home/somebody/faces/images"}
    save_file(tensors, file, told)
    return folder


@pytest.fixture
def served(tiny, tmp_path, monkeypatch):
    with running({"some/faces": tiny("sd15")}, tokens={"right"}) as found:
        join(monkeypatch, found, tmp_path / "home")
        yield found


def sent(what, repository, **settings):
    found = subject.find(what)
    with publish.staged(found, repository, card.Extra(license=settings.pop("license", None))) as folder:
        return publish.push(folder, repository, **settings)


def puts(served):
    return [line for line in served.asked if line.startswith("PUT")]


def test_a_lora_goes_up_and_stock_diffusers_draws_with_what_comes_down(served, lora, tiny):
    from diffusers import StableDiffusionPipeline

    assert sent(lora, "me/glasses") == f"{served.address}/me/glasses"
    repository = served.repositories["me/glasses"]
    files = repository.files(repository.branches["main"])
    assert repository.private and set(files) == {"pytorch_lora_weights.safetensors", "README.md", "LICENSE-NOTE.md"}
    assert [n for n, content in files.items() if b"/home/" in content] == []  # nobody learns whose machine it was
    assert b"OpenRAIL" in files["LICENSE-NOTE.md"] and b"restrictions" in files["LICENSE-NOTE.md"]

    place = download.pull("me/glasses")
    first, second = (load_file(f / "pytorch_lora_weights.safetensors") for f in (lora, place))
    assert first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)
    pipeline = StableDiffusionPipeline.from_pretrained(tiny("sd15"))
    before = pipeline.unet.state_dict().keys()
    pipeline.load_lora_weights("me/glasses", weight_name=subject.FILE)
    assert len(pipeline.unet.state_dict().keys()) > len(before)


def test_a_merged_pipeline_goes_up_and_comes_back_bit_by_bit(served, lora, tiny, tmp_path):
    from diffusers import StableDiffusionPipeline

    merged = lora_merge.merge(tiny("sd15"), [(lora, 0.8)], tmp_path / "merged")
    (merged / "optimizer.safetensors").write_bytes(b"0")  # what is no part of the model stays at home
    (merged / "photo.jpg").write_bytes(b"0")
    sent(merged, "me/merged", private=False, license="openrail")
    files = list(served.repositories["me/merged"].commits.values())[-1]
    assert {"merged.json", "unet/config.json", "model_index.json"} < set(files)
    assert not {"optimizer.safetensors", "photo.jpg"} & set(files) and not served.repositories["me/merged"].private
    back = StableDiffusionPipeline.from_pretrained(download.pull("me/merged"))
    here = load_file(merged / "unet" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(here[name], tensor) for name, tensor in back.unet.state_dict().items())
    assert registry.find("me/merged").family == "sd15"


def test_what_has_arrived_is_not_sent_again(served, tiny):
    """All weights but one break off in the middle; the same command then sends them, and not the one that came."""
    served.faults = [Fault("^PUT", status=500, times=99)]
    with pytest.raises(Unreachable, match="trouble"):
        sent(tiny("sd15"), "me/faces", license="mit")
    served.faults = [Fault("^PUT", times=99, after=100, skip=1)]
    with pytest.raises(Unreachable, match="cannot be reached"):
        sent(tiny("sd15"), "me/faces", license="mit")
    before = set(served.stored)
    assert len(before) == 1
    assert served.repositories["me/faces"].commits == {COMMIT: {}}  # nothing by halves
    served.faults, served.asked[:] = [], []
    sent(tiny("sd15"), "me/faces", license="mit")
    again = {line.rpartition("/")[2] for line in puts(served)}
    assert again and not again & before and served.stored.keys() == again | before
    served.asked.clear()
    commits = len(served.repositories["me/faces"].commits)
    sent(tiny("sd15"), "me/faces", license="mit")
    assert not puts(served) and len(served.repositories["me/faces"].commits) == commits  # no empty commit


def test_a_branch_of_its_own_and_an_older_commit(served, lora, tmp_path):
    sent(lora, "me/glasses")
    old = served.repositories["me/glasses"].branches["main"]
    other = tmp_path / "other"
    shutil.copytree(lora, other)
    save_file({k: v + 1 for k, v in load_file(other / subject.FILE).items()}, other / subject.FILE)
    assert sent(other, "me/glasses", revision="bolder").endswith("/tree/bolder")
    assert served.repositories["me/glasses"].branches["main"] == old
    sent(other, "me/glasses")
    weights = [load_file(download.pull("me/glasses", revision) / subject.FILE) for revision in (old, "bolder", None)]
    some = next(iter(weights[0]))
    assert not torch.equal(weights[0][some], weights[1][some]) and torch.equal(weights[1][some], weights[2][some])
    with pytest.raises(ModelNotFound, match="no such revision"):
        download.pull("me/glasses", "f" * 40)


def test_a_download_that_is_cut_goes_on_where_it_stopped(served, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    served.faults = [Fault("^GET some/faces/resolve/.*unet/.*safetensors", after=50_000)]
    place = download.pull("some/faces")
    assert any(asked.startswith("bytes=") and not asked.startswith("bytes=0") for asked in served.ranges)
    content = (place / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    assert content in served.repositories["some/faces"].files(COMMIT).values()
    rows = download.plan("some/faces")
    assert rows and not any(to_come for _, _, to_come in rows)  # all of it is here


def test_hashes_are_compared_and_nothing_good_goes(served):
    place = download.pull("some/faces")
    name = "unet/diffusion_pytorch_model.safetensors"
    good = hashlib.sha256((place / name).read_bytes()).hexdigest()
    assert download.pull("some/faces", hashes=[good, f"{name}={good.upper()}"]) == place
    with pytest.raises(UsageError, match="Nothing was removed"):
        download.pull("some/faces", hashes=[f"{name}={'0' * 64}"])
    with pytest.raises(UsageError, match="no weights file unet/x"):
        download.pull("some/faces", hashes=[f"unet/x={good}"])
    with pytest.raises(UsageError, match="64 hexadecimal"):
        download.pull("some/faces", hashes=["abc"])
    assert (place / name).is_file()
    blob = (place / name).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")  # one bit rotted on the way
    with pytest.raises(Unreachable, match="arrived damaged and was removed"):
        download.pull("some/faces")
    assert hashlib.sha256((download.pull("some/faces") / name).read_bytes()).hexdigest() == good


def test_numbers_in_a_pickle_are_taken_where_there_is_nothing_else(served, tmp_path):
    """Three of OpenAI's CLIP repositories have no safetensors; what else a pickle may hold is never run."""
    from transformers import CLIPModel

    from likeness.models.eye import ASSET

    model = CLIPModel.from_pretrained(ASSET)
    folder = tmp_path / "clip"
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    torch.save({}, folder / "training_args.bin")
    served.repositories["some/clip"] = type(served.repositories["some/faces"])(folder=folder)
    place = download.pull("some/clip")
    assert not (place / "training_args.bin").exists()
    back = CLIPModel.from_pretrained(place)
    assert torch.equal(back.logit_scale, model.logit_scale)
    assert "pytorch_model.bin" not in hub.wanted(["config.json", "model.safetensors", "pytorch_model.bin"])


def test_the_networks_that_measure_are_pinned():
    pinned = {name: registry.MODELS[name] for name in ("clip-b32", "clip-b16", "clip-l14", "clip-l14-336")}
    pinned |= {name: registry.MODELS[name] for name in ("dinov2-small", "dinov2-base")}
    assert all(spec.revision and len(spec.revision) == 40 for spec in pinned.values())


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (Fault("models/", 401, times=9), ModelNotFound, "hf auth login"),
        (Fault("models/", 401, body={"error": "Invalid credentials in Authorization header"}, times=9), ModelNotFound,
         "does not know your token"),
        (Fault("models/", 403, {"X-Error-Code": "GatedRepo"}, times=9), ModelNotFound, "accept its terms at http"),
        (Fault("models/", 404, {"X-Error-Code": "RepoNotFound"}, times=9), ModelNotFound, "no such repository"),
        (Fault("models/", 429, times=99), Unreachable, "in a few minutes"),
        (Fault("models/", 502, times=99), Unreachable, "HTTP 502"),
    ],
    ids=["no login", "wrong token", "gated", "missing", "too many", "trouble"],
)  # fmt: skip
def test_why_a_model_does_not_come(served, fault, kind, says):
    served.faults = [fault]
    with pytest.raises(LikenessError, match=says) as caught:
        download.pull("some/faces")
    assert type(caught.value) is kind and "\n" not in str(caught.value) and "some/faces" in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("POST api/repos/create", 401), "hf auth login"),
        (Fault("POST api/repos/create", 403, body={"error": "You don't have the rights"}), "write access"),
        (Fault("commit/main", 403, body={"error": "Private repository storage limit exceeded"}), "quota"),
        (Fault("preupload", 413), "too large"),
    ],
)
def test_why_a_model_does_not_go(served, lora, fault, says):
    served.faults = [fault]
    with pytest.raises(UsageError, match=says) as caught:
        sent(lora, "me/glasses")
    assert "\n" not in str(caught.value)


def test_without_a_network_or_a_right_name(served, lora, monkeypatch):
    for name in ("glasses", "me/my/glasses", "me/-x", "me/a--b"):
        with pytest.raises(UsageError, match="OWNER/NAME"):
            sent(lora, name)
    with pytest.raises(ModelNotFound, match="did you mean 'sd15'"):
        download.pull("sd1.5")
    with pytest.raises(ModelNotFound, match="did you mean 'openai/clip-vit-base-patch32'"):
        download.pull("openai/clip-vit-base-patch-32")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"127.0.0.1:9 cannot be reached"):
        sent(lora, "me/glasses")
    with pytest.raises(ModelNotFound, match="cannot be reached"):
        download.pull("some/faces")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFound, match="HF_HUB_OFFLINE is set"):
        download.pull("some/faces")
    with pytest.raises(UsageError, match="offline mode is on"):
        sent(lora, "me/glasses")


def test_a_full_disk_is_said(served, monkeypatch):
    """The system's own error, as the client's writing to its cache would raise it."""
    import errno

    from likeness.models.hub_errors import translated

    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "model.safetensors")
        except OSError as inner:
            raise RuntimeError("Error while uploading") from inner
    except RuntimeError as error:
        found = translated("some/faces", error, served.address)
    assert isinstance(found, UsageError) and "disk is full for model.safetensors" in str(found)


def refused(path: Path, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        subject.find(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_model_is_not_published(tmp_path, tiny, faces):
    refused(faces, "a set of pictures")
    refused(tmp_path / "nothing", "there is no")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no model")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("config: {}\n")
    refused(tmp_path / "run", "no finished model")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "pytorch_lora_weights.bin").write_bytes(b"0")
    refused(tmp_path / "old", "may run code")
    refused(tmp_path / "old" / "pytorch_lora_weights.bin", "may run code")
    mixed = tmp_path / "mixed"
    shutil.copytree(tiny("sd15"), mixed)
    (mixed / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"0")
    refused(mixed, "may run code")
    shutil.copytree(tiny("sd15"), tmp_path / "torn", ignore=shutil.ignore_patterns("*.safetensors"))
    refused(tmp_path / "torn", "no .safetensors")
    (tmp_path / "whole.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(UsageError):
        subject.find(tmp_path / "whole.safetensors")
