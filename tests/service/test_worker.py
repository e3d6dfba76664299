"""The worker's own code in this process: the safety checker, and batches of which one picture fails."""

import io
import multiprocessing
import shutil

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from transformers import CLIPConfig, CLIPTextConfig, CLIPVisionConfig

from likeness.errors import EngineError, UsageError
from likeness.generate.resolve import resolve
from likeness.models.registry import find
from likeness.provenance.watermark import embed
from likeness.records import ImageRequest, Sample
from likeness.service import worker as worker_module
from likeness.service.checker import Checker
from likeness.service.messages import Draw, Drawn, Free, Gone, Held, Item, Load, Options, Spoiled
from likeness.service.worker import Worker, finish


def save_checker(folder, refuses):
    """A checker in a few thousand parameters. Every picture is nearer to each concept than -1, none than 1."""
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    vision = CLIPVisionConfig(image_size=32, patch_size=8, **sizes)
    words = CLIPTextConfig(vocab_size=10, **sizes)
    config = CLIPConfig(text_config=words, vision_config=vision, projection_dim=8)
    made = StableDiffusionSafetyChecker(config)
    with torch.no_grad():
        for name in ("concept_embeds_weights", "special_care_embeds_weights"):
            getattr(made, name).fill_(-1.5 if refuses else 1.5)
    made.save_pretrained(folder)


@pytest.fixture(scope="module")
def models(tiny, tmp_path_factory):
    """Model folders whose own checker refuses everything, or nothing."""
    made = {}
    for name in ("strict", "mild"):
        made[name] = tmp_path_factory.mktemp(name) / "model"
        shutil.copytree(tiny("sd15"), made[name])
        save_checker(made[name] / "safety_checker", name == "strict")
    return made


class Ours:
    """A worker, and what it says."""

    def __init__(self, **options):
        self.pipe, theirs = multiprocessing.Pipe()
        self.worker = Worker(theirs, Options(device="cpu", **options))

    def draw(self, model, *seeds, **changes):
        spec = find(str(model))
        asked = [resolve(ImageRequest("a man", steps=2, seed=s, model=spec.name, **changes), spec) for s in seeds]
        self.worker._draw(Draw(tuple(Item(seed, one) for seed, one in zip(seeds, asked, strict=True))))
        self.worker._finishing.shutdown()
        return self.said()

    def said(self):
        found = []
        while self.pipe.poll():
            found.append(self.pipe.recv())
        return found


def test_what_the_checker_flags_is_an_error_and_never_a_black_square(models):
    found = [one for one in Ours().draw(models["strict"], 1, 2) if isinstance(one, Drawn | Spoiled)]
    assert [(one.key, one.kind) for one in found] == [(1, "refused"), (2, "refused")] and "safety" in found[0].message


def test_what_it_does_not_flag_is_drawn(models):
    drawn = [one.picture for one in Ours().draw(models["mild"], 1, 2) if isinstance(one, Drawn)]
    assert [picture.seed for picture in drawn] == [1, 2]


def test_a_masked_picture_carries_one_watermark(faces, tmp_path):
    """What is kept of a served start picture has its mark, which comes off before the new one goes on."""
    face = Image.open(min((faces / "images").iterdir())).convert("RGB")
    mark, mask = embed(face, b"start"), Image.new("L", face.size)
    mask.paste(255, (0, 100, 128, 128))
    files = {"image": str(tmp_path / "start.png"), "mask": str(tmp_path / "mask.png")}
    mark.save(files["image"])
    mask.save(files["mask"])
    asked = ImageRequest("a man", seed=1, **files)
    png = finish(Item(1, asked), Sample(mark, asked, 1, 0.0, "f" * 64), Options()).png
    served = np.asarray(Image.open(io.BytesIO(png)), float)[:100]
    assert 10 * np.log10(255**2 / np.mean((served - np.asarray(face, float)[:100]) ** 2)) > 41  # both: 39


def test_flags_look_at_each_picture(models):
    checker = Checker.find(models["mild"], "cpu")
    one, other = Image.new("RGB", (64, 40), "red"), Image.new("RGB", (64, 64), "blue")
    assert checker.flags([one, other]) == [False, False]
    kept = one.tobytes()
    assert Checker.find(models["strict"], "cpu").flags([one]) == [True] and one.tobytes() == kept


def test_without_a_checker_a_large_model_is_not_loaded(tiny, tmp_path):
    """The hub cannot be reached here; the message says what to do."""
    ours = Ours()
    ours.worker._change(Load(1, str(tiny("sd15"))))
    (held,) = [one for one in ours.said() if isinstance(one, Held)]
    assert held.models == {} and isinstance(held.error, UsageError) and "--no-safety-checker" in str(held.error)
    quiet = Ours(safety_checker=False)
    quiet.worker._change(Load(1, str(tiny("sd15"))))
    assert [held.error for held in quiet.said() if isinstance(held, Held) and held.call == 1] == [None]
    broken = tmp_path / "model"
    shutil.copytree(tiny("sd15"), broken)
    (broken / "safety_checker").mkdir()
    (broken / "safety_checker" / "config.json").write_text("{}")
    ours.worker._change(Load(2, str(broken)))
    assert "cannot be loaded" in str(ours.said()[-1].error)


def test_one_bad_picture_does_not_spoil_the_batch(tiny, monkeypatch):
    """A network that fails for one seed: its mates are drawn without it, and it alone is told to have failed."""
    ours = Ours(safety_checker=False)
    generator = ours.worker._model(str(tiny("sd15")))
    plain = generator._check

    def check(pixels):
        plain(pixels)
        if 3 in current:
            raise EngineError("out of memory drawing these")

    current = set()
    draw = generator._draw

    def drawing(jobs, steps):
        current.clear()
        current.update(job.seed for job in jobs)
        return draw(jobs, steps)

    monkeypatch.setattr(generator, "_check", check)
    monkeypatch.setattr(generator, "_draw", drawing)
    said = ours.draw(tiny("sd15"), 1, 2, 3, 4)
    assert sorted(one.key for one in said if isinstance(one, Drawn)) == [1, 2, 4]
    assert [(one.key, one.kind) for one in said if isinstance(one, Spoiled)] == [(3, "memory")]
    assert [one for one in said if isinstance(one, Free)] and not [one for one in said if isinstance(one, Gone)]


def test_the_watermark_is_there_unless_switched_off(tiny):
    from likeness.provenance import Marks

    with_mark, without = (
        Ours(safety_checker=False, marks=marks).draw(tiny("sd15"), 1, width=128, height=128)
        for marks in (None, Marks(watermark=False))
    )
    one, other = (next(m.picture.png for m in said if isinstance(m, Drawn)) for said in (with_mark, without))
    assert b"watermark" in one and b"watermark" not in other


def test_importing_the_worker_loads_no_torch():
    """The server's process imports it to start it."""
    import subprocess
    import sys

    code = f"import sys; import {worker_module.__name__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=600).returncode == 0
