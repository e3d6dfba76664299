"""Groups and prompts mixed: what the mathematics promises, on networks of a few thousand weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.errors import ModelNotFound, PromptRefused, UsageError
from likeness.generate import blends, gallery, hybrids, mix, mixture
from likeness.generate.denoise import between, denoise
from likeness.generate.guidance import guided
from likeness.generate.mixture import Scene
from likeness.models import ddpm
from likeness.provenance import read
from likeness.records import ImageRequest

FIELD = ("Europeans", "Indians", "Orientals")
SEVEN = ("Black", "East Asian", "Indian", "Latino", "Middle Eastern", "Southeast Asian", "White")
SMALL = ddpm.Shape(size=16, channels=(16, 32), layers_per_block=1, attention=(8,), head=8)
PROMPTS = ("A smiling woman with long black hair", "An old man with a beard")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tests share the cores with others: threads that wait for each other are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def saved(folder, groups):
    torch.manual_seed(0)
    unet = ddpm.build(SMALL, groups)
    if groups:
        torch.nn.init.normal_(unet.class_embedding.weight, std=3)  # so that a group can be seen
    ddpm.save(ddpm.GroupModel(unet, ddpm.noise_schedule(), tuple(groups)), folder)
    return folder


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return hybrids.open_model(saved(tmp_path_factory.mktemp("ddpm"), FIELD), "cpu")


def pixels(sample):
    return np.asarray(getattr(sample, "image", sample)).astype(int)


def drawn(studio, parts, method="blend", **changes):
    return mix.draw(studio.model, [parts], [3], **({"steps": 3, "method": method} | changes))


@pytest.mark.parametrize("method", mixture.METHODS)
def test_a_mixture_of_one_group_is_the_group_and_depends_on_no_order(studio, method):
    alone = drawn(studio, {"Indians": 1.0})
    assert torch.allclose(drawn(studio, {"Indians": 0.3, "Europeans": 0.0}, method), alone, rtol=1e-3, atol=1e-3)
    one, other = {"Indians": 0.5, "Europeans": 0.5}, {"Europeans": 2.0, "Indians": 2.0}
    assert torch.allclose(drawn(studio, one, method), drawn(studio, other, method), rtol=1e-3, atol=1e-3)
    assert (drawn(studio, one, method) - alone).abs().mean() > 1e-3  # the other group shows


def test_blend_and_compose_are_two_things(studio):
    parts = {"Indians": 0.5, "Europeans": 0.5}
    assert (drawn(studio, parts) - drawn(studio, parts, "compose")).abs().mean() > 1e-3


@torch.no_grad()
def test_composed_scores_are_the_weighted_sum_of_differences(studio):
    """Liu et al. 2022, eq. 11, written out beside what the loop is given."""
    model, x, t = studio.model, torch.randn(1, 3, 16, 16), torch.tensor([400])
    said = {name: model.predict(x, t, model.weights({name: 1.0})[None]) for name in ("Indians", "Europeans")}
    nobody = model.predict(x, t, torch.zeros(1, 3))
    wanted = nobody + 2.5 * (0.7 * (said["Indians"] - nobody) + 0.3 * (said["Europeans"] - nobody))
    mean = 0.7 * said["Indians"] + 0.3 * said["Europeans"]
    assert torch.allclose(guided(mean, nobody, 2.5), wanted, atol=1e-4)
    one_step = {"steps": 1, "guidance": 2.5, "scheduler": "ddim"}
    got = drawn(studio, {"Indians": 0.7, "Europeans": 0.3}, "compose", **one_step)

    def network(x, t):
        u, a, b = (model.predict(x, t, model.weights(p)[None]) for p in ({}, {"Indians": 1.0}, {"Europeans": 1.0}))
        return u + 2.5 * (0.7 * (a - u) + 0.3 * (b - u))

    assert torch.allclose(got, denoise(network, model.scheduler.config, (3, 16, 16), [3], 1, "ddim"), atol=1e-4)


def test_noise_between_seeds_keeps_its_length_and_its_ends():
    a, b = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(between(a, b, 0), a, atol=1e-5) and torch.allclose(between(a, b, 1), b, atol=1e-5)
    for part in (0.25, 0.5, 0.75):
        assert between(a, b, part).norm() == pytest.approx(float(a.norm()), rel=0.05)
    assert torch.lerp(a, b, 0.5).norm() < 0.8 * a.norm()  # what a straight line would do
    assert torch.equal(between(a, a, 0.3), a)


def test_combinations_are_named_as_the_field_does():
    names = {one.name: dict(one.parts) for one in hybrids.combinations(FIELD)}
    assert list(names) == ["OI", "OE", "IE", "OIE"]
    assert names["OI"] == {"Orientals": 0.5, "Indians": 0.5} and names["OIE"]["Europeans"] == pytest.approx(1 / 3)
    assert [one.name for one in hybrids.combinations(FIELD, pure=True)][:3] == ["Orientals", "Indians", "Europeans"]


def test_many_groups_give_pairs_and_no_groups_any_face():
    assert len(hybrids.combinations(SEVEN)) == 21
    assert [(one.name, one.parts) for one in hybrids.combinations(())] == [("any", ())]
    assert [one.name for one in hybrids.combinations(("Indian",))] == ["Indian"]


def test_initials_that_clash_are_written_out():
    names = [one.name for one in hybrids.combinations(("African", "East Asian", "Asian/Other"))]
    assert names == ["East-Asian+Asian-Other", "East-Asian+African", "Asian-Other+African",
                     "East-Asian+Asian-Other+African"]  # fmt: skip
    with pytest.raises(UsageError, match="no group 'AE'"):
        hybrids.combinations(("African", "East Asian", "Asian"), ["AE"])


@pytest.mark.parametrize(
    ("text", "name", "parts"),
    [
        ("ie", "IE", {"Indian": 0.5, "East Asian": 0.5}),
        ("East Asian + indian", "EI", {"Indian": 0.5, "East Asian": 0.5}),
        ("Indian:0.7+White:0.3", "IW-70-30", {"Indian": 0.7, "White": 0.3}),
        ("Indian:3+W", "IW-75-25", {"Indian": 0.75, "White": 0.25}),
        ("middle eastern", "Middle-Eastern", {"Middle Eastern": 1.0}),
        ("any", "any", {}),
    ],
)
def test_a_combination_is_read_as_it_is_written(text, name, parts):
    (one,) = hybrids.combinations(SEVEN, [text])
    assert one.name == name and dict(one.parts) == pytest.approx(parts)


@pytest.mark.parametrize(
    ("text", "shares", "told"),
    [
        ("Indan+White", (), "did you mean 'Indian'"), ("Indian:x+White", (), "Indian:0.7"),
        ("Indian+Indian", (), "twice"), ("Indian:0+White:0", (), "not all 0"),
        ("IW", (0.2, 0.3, 0.5), "3 weights for 2 parts"), ("IW", (-1.0, 2.0), "0 or more"), ("", (), "no group ''"),
    ],
)  # fmt: skip
def test_what_is_no_combination_is_told(text, shares, told):
    with pytest.raises(UsageError, match=told):
        hybrids.combinations(SEVEN, [text], shares)


def test_shares_hold_where_none_are_said():
    found = hybrids.combinations(SEVEN, ["IW", "Indian:1+Black:3"], (0.8, 0.2), pure=True)
    assert [one.name for one in found[7:]] == ["IW-80-20", "IB-25-75"]


def test_a_gallery_goes_on_where_it_stopped_and_each_picture_says_its_mixture(studio, tmp_path):
    asked = hybrids.request(studio.name, width=16, height=16, steps=2, seed=5, count=3)
    chosen = hybrids.combinations(FIELD, ["OI", "Orientals:0.7+Europeans:0.3"])
    rows = [
        gallery.Row(c.name, c.title, replace(asked, prompt=mixture.written(c.parts, "blend")), c.parts) for c in chosen
    ]
    told = []

    def artist(request, scenes, progress):
        return studio.draw(request, scenes, "blend", progress)

    first = gallery.draw(tmp_path, rows, studio.fingerprint, artist, lambda *now: told.append(now))
    assert first.kept == 0 and told[-1] == (12, 12) and gallery.seed_of(tmp_path) == 5
    lost = first.pictures["OI"][1]
    before = pixels(Image.open(lost))
    lost.unlink()
    again = gallery.draw(tmp_path, rows, studio.fingerprint, artist)
    assert again.kept == 5 and again.pictures == first.pictures
    assert np.abs(pixels(Image.open(lost)) - before).max() <= 2  # another batch, the same seed
    recipe = read(tmp_path / "OE-70-30" / "00003-7.png")
    assert recipe["marked"] and recipe["fingerprint"] == studio.fingerprint and recipe["request"]["seed"] == 7
    assert recipe["mixture"] == {"method": "blend", "parts": [["Orientals", 0.7], ["Europeans", 0.3]]}
    assert recipe["parameters"].startswith('("Orientals", "Europeans").blend(0.7, 0.3)')
    assert read(again.sheet)["mixture"]["rows"]["Orientals + Indians"] == [["Orientals", 0.5], ["Indians", 0.5]]


def test_the_methods_of_a_gallery_do_not_take_each_others_pictures(studio, tmp_path):
    asked = hybrids.request(studio.name, width=16, height=16, steps=1, seed=5, count=1)
    parts = (("Indians", 0.5), ("Europeans", 0.5))
    found = []
    for method in mixture.METHODS:
        row = gallery.Row("IE", "both", replace(asked, prompt=mixture.written(parts, method)), parts)
        artist = lambda r, scenes, progress, method=method: studio.draw(r, scenes, method, progress)  # noqa: E731
        found += gallery.draw(tmp_path, [row], studio.fingerprint, artist).pictures["IE"]
    assert len(set(found)) == 2 and [read(f)["mixture"]["method"] for f in found] == ["blend", "compose"]


def test_another_model_is_told_which_command_takes_it(tmp_path, tiny):
    with pytest.raises(UsageError, match="likeness mix prompts"):
        hybrids.open_model(tiny("sd15"))
    with pytest.raises(ModelNotFound, match="no folder"):
        hybrids.open_model(tmp_path / "gone")
    (torn := saved(tmp_path / "torn", FIELD) / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"torn")
    assert torn.is_file()
    with pytest.raises(ModelNotFound, match="cannot be loaded"):
        hybrids.open_model(tmp_path / "torn")


def test_a_model_without_groups_draws_any_face(tmp_path):
    plain = hybrids.open_model(saved(tmp_path / "run" / "pipeline", ()).parent, "cpu")  # the run's folder will do
    asked = hybrids.request(plain.name, width=16, height=16, steps=2, seed=1)
    (sample,) = plain.draw(asked, [Scene((), 1)])
    assert pixels(sample).std() > 0 and sample.request.prompt == "any face"


@pytest.mark.parametrize("family", ["mini", "sd15", "sd21", "sdxl"])
def test_prompts_are_mixed_by_every_family(family, tiny):
    """One prompt alone is what the generator draws; two give a third picture, by each method another."""
    model = "mini" if family == "mini" else str(tiny(family))
    asked = ImageRequest("", negative_prompt="glasses", steps=2, seed=7, model=model, guidance=4.0, width=64, height=64)
    studio = blends.open_model(asked, PROMPTS, "cpu")
    (stock,) = studio.generator.generate(replace(studio.request, prompt=PROMPTS[0]))
    both = tuple((text, 0.5) for text in studio.texts)
    pictures = {}
    for method in mixture.METHODS:
        (alone,) = studio.draw(studio.request, [Scene(((PROMPTS[0], 1.0),), 7)], method)
        assert np.abs(pixels(alone) - pixels(stock)).max() <= 1
        (pictures[method],) = studio.draw(studio.request, [Scene(both, 7)], method)
        assert (pixels(pictures[method]) != pixels(stock)).any()
    assert (pixels(pictures["blend"]) != pixels(pictures["compose"])).any()
    assert pictures["blend"].image.info["mixture"]["parts"] == [[PROMPTS[0], 0.5], [PROMPTS[1], 0.5]]


def test_without_guidance_nothing_is_led_away_from(tiny):
    studio = blends.open_model(ImageRequest("", model=str(tiny("sd15")), steps=2, seed=7, guidance=1.0), PROMPTS, "cpu")
    (stock,) = studio.generator.generate(replace(studio.request, prompt=PROMPTS[0]))
    for method in mixture.METHODS:
        (alone,) = studio.draw(studio.request, [Scene(((PROMPTS[0], 1.0),), 7)], method)
        assert np.abs(pixels(alone) - pixels(stock)).max() <= 1


def test_what_is_refused_in_one_prompt_is_refused_in_two():
    with pytest.raises(PromptRefused, match="minor"):
        blends.open_model(ImageRequest("", model="sd15"), ["a portrait of a child", "a nude woman"])
    with pytest.raises(PromptRefused, match="adults only"):
        blends.open_model(ImageRequest(""), ["a man", "a ten year old boy"])


def test_weights_stand_behind_a_prompt_or_beside_it():
    assert mixture.read(["a man:3", "a (happy:1.2) woman"]) == (("a man", 0.75), ("a (happy:1.2) woman", 0.25))
    assert mixture.read(["a man : .5", "a woman:0.5"]) == (("a man", 0.5), ("a woman", 0.5))
    assert mixture.read(["ratio 16:9", "a man"], [1, 3]) == (("ratio 16:9", 0.25), ("a man", 0.75))
    with pytest.raises(UsageError, match="one for each"):
        mixture.read(["a", "b"], [1])


@pytest.mark.parametrize("method", mixture.METHODS)
def test_a_mixture_is_not_taken_for_a_prompt(method):
    """`generate --like` would otherwise draw the text of a recipe that only `mix` understands."""
    from likeness.generate import prompts

    with pytest.raises(UsageError, match="likeness mix prompts"):
        prompts.check(mixture.written((("a man", 0.7), ("a woman", 0.3)), method))
    assert prompts.check("a man AND a woman, (blend:1.2)") == "a man AND a woman, blend"
