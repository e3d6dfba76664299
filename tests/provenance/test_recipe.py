import dataclasses
import json

import pytest
from PIL import Image, PngImagePlugin

from likeness import provenance
from likeness.errors import UsageError
from likeness.records import ImageRequest

REQUEST = ImageRequest("a man, with a hat", "blur: bad", 128, 160, 30, 4.0, 7, 3, scheduler="dpm++2m-karras")
HASH = "0123456789abcdef" * 4


@pytest.fixture
def saved(tmp_path):
    return provenance.save_png(
        tmp_path / "face.png", Image.new("RGB", (128, 160), "red"), REQUEST, 9, HASH, {"drawn": {"batch": [1, 3]}}
    )


def test_a_recipe_survives_the_file(saved):
    recipe = provenance.read(saved)
    assert provenance.request_of(recipe) == dataclasses.replace(REQUEST, seed=9, count=1)
    assert recipe["fingerprint"] == HASH and recipe["marked"] and recipe["drawn"]["batch"] == [1, 3]
    assert Image.open(saved).getpixel((0, 0)) == (255, 0, 0)


def test_the_text_is_what_a1111_writes(saved):
    lines = Image.open(saved).text["parameters"].split("\n")
    assert lines[0] == "a man, with a hat"
    assert lines[1] == "Negative prompt: blur: bad"
    assert lines[2].startswith(
        "Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 4, Seed: 9, Size: 128x160, "
        "Model hash: 0123456789, Model: mini, "
    )
    assert len(lines) == 3


def test_xmp_names_the_source_type_as_iptc_does(saved):
    from xml.etree import ElementTree

    packet = Image.open(saved).text["XML:com.adobe.xmp"]
    (description,) = ElementTree.fromstring(packet).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert description.attrib["{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )


@pytest.mark.parametrize(
    "prompt", ['quotes "and" <tags> & \\', "two\nlines", "naïve café", "笑顔の女性 😀", "Steps: 5, is said", "\x01\x0b"]
)
def test_any_prompt_survives(tmp_path, prompt):
    asked = dataclasses.replace(REQUEST, prompt=prompt)
    path = provenance.save_png(tmp_path / "x.png", Image.new("RGB", (8, 8)), asked, 1, HASH)
    assert provenance.read(path)["request"]["prompt"] == prompt
    assert provenance.read(path)["marked"]


def test_our_text_is_read_back_without_our_json():
    for prompt in ("a man, with a hat", "two\nlines\nof prompt", "Steps to heaven, Seed: 3"):
        asked = dataclasses.replace(REQUEST, prompt=prompt)
        found = provenance.parse_parameters(provenance.parameters(asked, 9, HASH))
        expected = {"width": 128, "height": 160, "steps": 30, "guidance": 4.0, "seed": 9, "scheduler": "dpm++2m-karras"}
        assert (
            found.items()
            >= (expected | {"prompt": prompt, "negative_prompt": "blur: bad", "fingerprint": HASH[:10]}).items()
        )


A1111 = """masterpiece, portrait of a woman, (freckles:1.2)
soft light
Negative prompt: lowres, bad anatomy,
worst quality
Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1234567890, Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Denoising strength: 0.5, Clip skip: 2, Lora hashes: "face: 1a2b, other: 3c4d", Hires prompt: "a, b: c", Version: v1.7.0"""  # noqa: E501


def test_a_picture_of_a1111_is_read(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", A1111)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    recipe = provenance.read(tmp_path / "a.png")
    assert not recipe["marked"] and recipe["fingerprint"] == "6ce0161689" and recipe["software"] == "v1.7.0"
    request = provenance.request_of(recipe)
    assert request.prompt == "masterpiece, portrait of a woman, (freckles:1.2)\nsoft light"
    assert request.negative_prompt == "lowres, bad anatomy,\nworst quality"
    assert (request.steps, request.guidance, request.seed, request.width, request.height) == (
        20,
        7.0,
        1234567890,
        512,
        768,
    )
    assert request.scheduler == "dpm++2m-karras" and request.model == "v1-5-pruned-emaonly" and request.strength == 0.5


def test_a_picture_of_a1111_in_jpeg_is_read(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode("utf-16-be")
    for name in ("a.jpg", "a.webp"):
        Image.new("RGB", (8, 8)).save(tmp_path / name, exif=exif)
        assert provenance.read(tmp_path / name)["request"]["seed"] == 1234567890


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no file"),
        (b"", "broken or no picture"),
        (b"hello", "broken or no picture"),
        (b"\x89PNG\r\n\x1a\n", "broken or no picture"),
        ("cut", "broken or no picture"),
        ("plain", "no recipe"),
        ("xmp", "marked as generated"),
        ("damaged", "recipe in .* is damaged"),
        ("wrong", "recipe in .* is damaged"),
        ("list", "recipe in .* is damaged"),
    ],
)
def test_bad_files_are_one_line(tmp_path, saved, content, says):
    path, info = tmp_path / "bad.png", PngImagePlugin.PngInfo()
    blocks = {
        "damaged": "{", "list": "[1]", "wrong": json.dumps({"request": {"prompt": "a", "steps": "many"}}),
        "plain": None, "xmp": None,
    }  # fmt: skip
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "cut":
        path.write_bytes(saved.read_bytes()[:-60])
    elif content is not None:
        if blocks[content]:
            info.add_text("likeness", blocks[content])
        if content == "xmp":
            info.add_itxt("XML:com.adobe.xmp", provenance.xmp("x"))
        Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    with pytest.raises(UsageError, match=says) as caught:
        provenance.read(path)
    assert "\n" not in str(caught.value)


def test_a_newer_recipe_is_read_as_far_as_it_is_known():
    recipe = {"version": 9, "request": {"prompt": "a man", "steps": 5, "sparkle": True}}
    assert provenance.request_of(recipe) == ImageRequest("a man", steps=5)


def test_a_place_that_cannot_be_written_is_left_clean(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        provenance.save_png(tmp_path / "file" / "x.png", Image.new("RGB", (8, 8)), REQUEST, 1, HASH)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("field", "called"), [("image", "start image"), ("mask", "mask")])
def test_a_changed_start_image_or_mask_is_noticed(tmp_path, field, called):
    files = {name: tmp_path / f"{name}.png" for name in ("image", "mask")}
    for file in files.values():
        Image.new("RGB", (8, 8)).save(file)
    request = dataclasses.replace(REQUEST, **{name: str(file) for name, file in files.items()})
    recipe = provenance.recipe_of(request, 1, HASH, provenance.inputs_of(request))
    provenance.verify_inputs(recipe)
    Image.new("RGB", (8, 8), "red").save(files[field])
    with pytest.raises(UsageError, match=f"the {called} .* has changed .* with --{field}"):
        provenance.verify_inputs(recipe)
    provenance.verify_inputs(recipe, {field})  # named anew
    files[field].unlink()
    with pytest.raises(UsageError, match=f"the {called} .* is not here"):
        provenance.verify_inputs(recipe)
