"""Cards of models: what is known is in them, what is not is said, and the code in them runs."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from hub_server import join, running
from likeness.cli.main import main
from likeness.errors import UsageError
from likeness.files import write_json, write_text
from likeness.generate.faces import open_model
from likeness.models import card, card_examples, card_scores, publish, registry, scrub, subject
from likeness.models.card_use import use
from likeness.provenance import read, save_png
from likeness.records import ImageRequest
from likeness.runtime import choose

LOOP = {"images": 64, "batch": 4, "seed": 11, "learning_rate": 0.001}


def run_folder(folder: Path, data: Path, **settings) -> Path:
    """What `likeness train` leaves beside a model."""
    config = {"data": str(data), "output": str(folder), "split": "train", "loop": LOOP} | settings
    told = {"config": config, "commit": "abc", "images": 40, "device": "cpu", "precision": "fp32"}
    write_text(folder / "config.yaml", yaml.safe_dump(told))
    write_text(folder / "metrics.jsonl", '{"images": 32, "loss": 0.5}\n{"images": 64, "loss": 0.25}\n')
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "passers-by"
    people = [("female", "20-29"), ("female", "30-39"), ("female", "40-49"), ("female", "50-59"), ("male", "60-69")]
    rows = [
        {"file_name": f"{i}.png", "text": "x", "split": "train", "source": "street", "license": "CC BY-NC 4.0",
         "attributes": {"gender": gender, "age": age}}
        for i, (gender, age) in enumerate(people * 2)
    ]  # fmt: skip
    write_text(folder / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def ddpm(data, tmp_path_factory):
    """A run of `likeness train ddpm` with a tiny model in it."""
    from likeness.models import ddpm as models

    folder = tmp_path_factory.mktemp("runs") / "groups"
    shape = models.Shape(16, (8, 8), 1, (), 8)
    model = models.GroupModel(models.build(shape, ("Indian", "White")), models.noise_schedule(), ("Indian", "White"))
    models.save(model, folder / "pipeline")
    write_json(folder / "data.json", {"groups": {"Indian": 4, "White": 6}})
    (folder / "checkpoint-00000064").mkdir()
    (folder / "checkpoint-00000064" / "state.safetensors").write_bytes(b"optimizer")
    (folder / "samples").mkdir()
    (folder / "samples" / "a.png").write_bytes(b"0")
    return run_folder(folder, data)


@pytest.fixture(scope="module")
def lora(tmp_path_factory):
    """A LoRA for the shipped model, as training writes it."""
    from adapted import adapt, load, parts
    from likeness.models import lora as models

    folder = tmp_path_factory.mktemp("runs") / "glasses"
    pipeline = load(registry.ASSETS / "mini")
    shape = models.LoraShape(rank=2)
    adapt(pipeline, shape)
    recipe = {"model": "mini", "instance_prompt": "a photo of sks person", "loop": LOOP}
    told = {"base": "mini", "family": "mini", "license": "Apache-2.0", "images": 128, "recipe": recipe}
    models.save(folder, {"unet": parts(pipeline)["unet"]}, shape, told)
    return folder


def test_a_card_says_what_is_known_and_what_is_not(ddpm, data):
    text = card.card(subject.find(ddpm), card.Extra(license="cc-by-nc-4.0"), "me/groups")
    told = ModelCard(text).data.to_dict()
    assert told["license"] == "cc-by-nc-4.0" and told["pipeline_tag"] == "unconditional-image-generation"
    assert told["library_name"] == "diffusers" and "base_model" not in told
    assert "`passers-by`: 10 faces in its train split" in text and "CC BY-NC 4.0 10" in text and "street 10" in text
    assert "Indian 4, White 6" in text and "loop.learning_rate: 0.001" in text and "| seed | 11 |" in text
    assert "| hardware | cpu |" in text and "| processes | not known |" in text and "| pictures seen | 64 |" in text
    assert "age: 70+ (nobody)" in text and "do not say ethnicity" in text
    assert "gender: male (20.0%)" in text  # less than half of an even share
    assert "Not measured." in text and "Not audited." in text and "no evidence" in text and "identifying" in text
    assert str(data.parent) not in text and text == card.card(
        subject.find(ddpm), card.Extra(license="cc-by-nc-4.0"), "me/groups"
    )


def test_without_a_run_little_is_known_and_nothing_is_invented(ddpm):
    text = card.card(subject.find(ddpm / "pipeline"))
    assert "What it was trained on is not known." in text and "The training settings are not known." in text
    assert "Do not pass it on" in text and ModelCard(text).data.to_dict()["license"] == "other"
    assert "Whom the data under-represent is not known" in text


def test_a_lora_names_its_base_and_hands_on_its_restrictions(lora, tiny, tmp_path):
    from tiny import lora as make

    told = ModelCard(card.card(subject.find(lora))).data.to_dict()
    assert told["license"] == "apache-2.0" and told["instance_prompt"] == "a photo of sks person"
    assert "base_model" not in told  # `mini` has no page on the hub
    file = make(tiny("sd15"), tmp_path / "other")
    from safetensors.torch import load_file, save_file

    ours = {"base": "stable-diffusion-v1-5/stable-diffusion-v1-5", "license": "CreativeML OpenRAIL-M"}
    save_file(load_file(file), file, {"format": "pt", "likeness": json.dumps(ours)})
    found = subject.find(file)
    text = card.card(found)
    told = ModelCard(text).data.to_dict()
    assert told["base_model"] == ours["base"] and told["base_model_relation"] == "adapter"
    assert told["license"] == "creativeml-openrail-m" and "must pass them on" in text


def test_scores_of_every_kind_of_report(ddpm, tmp_path):
    def score(metric, value=0.5):
        return {"metric": metric, "value": value, "low": 0.4, "high": 0.6, "count": 20, "protocol": "by a ruler"}

    def change(absolute):
        return {"title": "faces", "more_is_better": True, "absolute": absolute, "low": 0.1, "high": 0.3,
                "percent": 2.0, "verdict": "better"}  # fmt: skip

    sides = [{"name": n, "scores": {"faces": score("faces", v)}} for n, v in (("mini", 0.5), ("/home/me/mine", 0.7))]
    print_ = registry.fingerprint(ddpm / "pipeline")
    reports = {
        "scores.json": [score("adherence/gender")],
        "audit.json": {"scores": [score("audit/share")], "protocol": ["6 faces each"], "notes": ["few"],
                       "fingerprint": print_, "worse": ["ethnicity White"], "nearest": {"drawn": ["/home/me/a.jpg"]}},
        "comparison.json": {"base_model": sides[0], "finetuned_model": sides[1], "improvements": {"faces": change(0.2)},
                            "not_measured": {"lpips": "no weights"}, "protocol": ["same seeds"], "notes": []},
    }  # fmt: skip
    for name, content in reports.items():
        write_json(tmp_path / name, content)
    found = [card_scores.read(tmp_path / name) for name in reports]
    text = card.card(subject.find(ddpm), card.Extra([found[0], found[2]], found[1], license="mit"))
    assert "| adherence/gender | 0.5 | [0.4, 0.6] | 20 |" in text and "by a ruler" in text
    assert "| faces (more is better) | 0.5 [0.4, 0.6] | 0.7 [0.4, 0.6] | +0.2 [0.1, 0.3] better | 20 |" in text
    assert "Not measured: lpips: no weights" in text and "Worse than the others: ethnicity White" in text
    assert "/home/me" not in text and "nearest" not in found[1].plain
    write_json(tmp_path / "audit.json", reports["audit.json"] | {"fingerprint": "f" * 64})
    with pytest.raises(UsageError, match="about another model"):
        card.card(subject.find(ddpm), card.Extra(audit=card_scores.read(tmp_path / "audit.json")))
    for content in ("no json", "{}", "[]", '{"scores": [{"metric": 1}]}'):
        write_text(tmp_path / "bad.json", content)
        with pytest.raises(UsageError, match="likeness evaluate"):
            card_scores.read(tmp_path / "bad.json")


def test_examples_are_drawn_pictures_and_say_how(lora, tmp_path, faces):
    from PIL import Image

    request = ImageRequest("a woman | with <glasses>", seed=5, steps=7, guidance=2.0, model="/home/me/models/mini",
                           loras=(("/home/me/runs/glasses", 0.8),))  # fmt: skip
    save_png(tmp_path / "in" / "one.png", Image.new("RGB", (8, 8), "red"), request, 5, "f" * 64)
    examples = card_examples.find(tmp_path / "in")
    text = card.card(subject.find(lora), card.Extra(examples=examples))
    assert (
        "| ![one](images/one.png) | a woman \\| with &lt;glasses> | 5 | 7 steps, guidance 2, glasses at 0.8 |" in text
    )
    assert ModelCard(text).data.to_dict()["widget"][0]["output"] == {"url": "images/one.png"}
    card_examples.write(examples, tmp_path / "out")
    assert read(tmp_path / "out" / "images" / "one.png")["request"]["model"] == "mini"
    assert b"/home/me" not in (tmp_path / "out" / "images" / "one.png").read_bytes()
    with pytest.raises(UsageError, match="no photos"):
        card_examples.find(next((faces / "images").glob("*.webp")))
    from dataclasses import replace

    save_png(tmp_path / "in" / "two.png", Image.new("RGB", (8, 8)), replace(request, image="me.jpg"), 5, "")
    with pytest.raises(UsageError, match="start picture"):
        card_examples.find(tmp_path / "in")


def test_paths_of_this_machine_are_cut_and_other_words_stay():
    assert scrub.scrub({"data": "/home/me/faces", "a": ["C:\\Users\\me\\x.png", "runs/mini", 3]}) == {
        "data": "faces", "a": ["x.png", "runs/mini", 3]
    }  # fmt: skip
    for text in ("female 83/90 and 1/2", "https://example.org/a/b", "ff.net.0/proj", "me/my-faces", "kg/m/s"):
        assert scrub.scrub(text) == text
    assert scrub.scrub("cannot read /home/me/a b/c.png, sorry").startswith("cannot read a")
    assert json.loads(scrub.scrub('{"base": "/home/me/sd15"}')) == {"base": "sd15"}


def test_only_what_a_model_is_made_of_is_staged(ddpm, lora):
    with publish.staged(subject.find(ddpm), "me/groups", card.Extra(license="mit")) as folder:
        names = {name for name, _ in publish.contents(folder)}
        assert names == {
            "README.md", "LICENSE-NOTE.md", "training_config.yaml", "groups.json", "model_index.json",
            "scheduler/scheduler_config.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
        }  # fmt: skip
        settings = yaml.safe_load((folder / "training_config.yaml").read_text())
        assert settings["data"] == "passers-by" and "output" not in settings
    assert not folder.exists()
    with pytest.raises(UsageError, match="--license"):
        publish.check_licence(subject.find(ddpm), card.Extra(), private=False)


@pytest.mark.parametrize("kind", ["eye", "judge"])
def test_the_measuring_networks_are_known_and_their_floor_of_real_faces_stays(kind):
    found = subject.find(registry.ASSETS / kind)
    assert found.kind == kind and "model.safetensors" in found.files and "floor.safetensors" not in found.files


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    """A tiny model that draws from an embedding."""
    from diffusers import DDPMScheduler

    from likeness.models import dino as models
    from likeness.models import encoders, eye

    width = 2 * eye.CONFIG["vision_config"]["hidden_size"]
    folder = tmp_path_factory.mktemp("dino") / "final_model"
    unet = models.build(models.Shape(16, (16, 16), 1, (8,), 16, 8), width)
    revision = encoders.load("eye", choose("cpu", "fp32")).revision
    about = models.About("eye", revision, "Apache-2.0", 16, [0.0] * width, [1.0] * width)
    models.save(models.FaceModel(unet, DDPMScheduler(), None, about), folder)
    return folder


def test_the_code_and_the_command_of_a_card_run(lora, ddpm, dino, tiny, tmp_path, monkeypatch, capsys):
    """Every kind is pushed, and its card's own words are run on what comes back; only the steps are fewer."""
    models = {"lora": lora, "ddpm": ddpm, "dino": dino, "pipeline": tiny("sd15")}
    models |= {name: registry.ASSETS / name for name in ("eye", "judge")}
    with running(tokens={"right"}) as hub:
        join(monkeypatch, hub, tmp_path / "home")
        for kind, path in models.items():
            found, name = subject.find(path), f"me/{kind}"
            assert found.kind == kind
            with publish.staged(found, name, card.Extra()) as folder:
                said = (folder / "README.md").read_text()
                publish.push(folder, name)
            how = use(found, name)
            assert how.code in said and how.command in said
            exec(compile(how.code.replace("=30", "=1").replace("(50)", "(1)"), f"{kind}.md", "exec"), {})
            assert Path("face.png").exists() == (kind in ("lora", "ddpm", "pipeline"))
            Path("face.png").unlink(missing_ok=True)
            command = how.command.partition("#")[0]
            if kind == "dino":  # the command wants a photo, and its tests have some
                assert open_model(name, "cpu").model.shape == (3, 16, 16)
            else:
                more = ["--steps", "1"] if "pull" not in command else []
                assert main([*shlex.split(command)[1:], *more]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("name", ["mini", "eye", "judge"])
def test_the_card_of_a_shipped_model_says_what_is_known_of_it(name):
    text = card.card(subject.find(name if name == "mini" else registry.ASSETS / name))
    assert ModelCard(text).data.license == "cc-by-4.0"
    assert "FairFace (Karkkainen & Joo, 2021), CC BY 4.0" in text  # which is what that licence asks for
    assert card.UNKNOWN not in text and text.count(f"\n{card.FORBIDDEN}") == 1
    assert "src/likeness" not in text


def test_who_fine_tunes_mini_names_its_data():
    what = replace(subject.find("mini"), kind="merged", base="mini", path=Path("elsewhere"))
    assert "The base, `mini`: Trained on FairFace" in card.card(what)
