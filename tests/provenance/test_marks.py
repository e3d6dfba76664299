"""All marks on one picture, what remains of them after what happens to pictures, and what is concluded."""

import dataclasses
import io
import json

import pytest
from PIL import Image, PngImagePlugin

from likeness.errors import BadImage, UsageError
from likeness.provenance import Marks, mark_png, payload_of, read, request_of, save_png, xmp
from likeness.provenance import verify as room
from likeness.provenance.verify import verify
from likeness.records import ImageRequest

FINGERPRINT = "0123456789abcdef" * 4
REQUEST = ImageRequest("a man with a hat", width=128, height=128, steps=30, guidance=4.0, seed=3)
PLAIN = Marks()


def marked(image, marks=PLAIN, request=REQUEST, **extra):
    return mark_png(image, request, 3, FINGERPRINT, extra, marks)


def opened(data):
    return Image.open(io.BytesIO(data))


def test_signing_leaves_the_texts_and_the_pixels(signed, portraits, tmp_path):
    (tmp_path / "face.png").write_bytes(signed)
    recipe = read(tmp_path / "face.png")
    assert request_of(recipe) == REQUEST and recipe["marked"] and recipe["parameters"].startswith("a man with a hat\n")
    assert recipe["watermark"] == payload_of(recipe).hex()
    assert opened(signed).tobytes() == opened(marked(portraits[0])).tobytes()


def test_the_same_request_gives_the_same_bytes_and_payload(portraits):
    assert marked(portraits[0]) == marked(portraits[0])
    said = {}
    for name, request, extra in (
        ("same", REQUEST, {"drawn": {"batch": [3, 8]}}),  # how it was drawn is not what it is
        ("seed", dataclasses.replace(REQUEST, seed=4), {}),
        ("words", dataclasses.replace(REQUEST, prompt="a man"), {}),
        ("start", REQUEST, {"start_sha256": "ab"}),
    ):
        data = mark_png(portraits[0], request, request.seed, FINGERPRINT, extra)
        said[name] = json.loads(opened(data).text["likeness"])["watermark"]
    assert len(set(said.values())) == 4
    plain = json.loads(opened(marked(portraits[0])).text["likeness"])
    assert said["same"] == plain["watermark"]


def test_marks_are_switched_one_by_one(portraits):
    for off, left in (
        ({"watermark"}, {"recipe", "xmp"}),
        ({"xmp"}, {"recipe", "watermark"}),
        ({"recipe"}, {"xmp", "watermark"}),
    ):
        verdict = verify(marked(portraits[3], Marks(**dict.fromkeys(off, False))), search=False)
        found = {"recipe": verdict.recipe, "xmp": verdict.xmp, "watermark": verdict.watermark}
        assert {name for name, value in found.items() if value} == left
    hidden = marked(portraits[3], Marks(recipe=False))
    assert b"a man with a hat" not in hidden, "who leaves out the recipe wants no words in the file"


def test_save_png_leaves_the_pixels_unless_asked(portraits, tmp_path):
    kept = save_png(tmp_path / "a.png", portraits[0], REQUEST, 3, FINGERPRINT)
    assert Image.open(kept).tobytes() == portraits[0].tobytes() and "watermark" not in read(kept)
    other = save_png(tmp_path / "b.png", portraits[0], REQUEST, 3, FINGERPRINT, marks=PLAIN)
    assert other.read_bytes() == marked(portraits[0])


def test_a_picture_too_small_for_a_watermark_gets_the_other_marks():
    data = marked(Image.new("RGB", (32, 32), "red"))
    assert opened(data).getpixel((0, 0)) == (255, 0, 0)
    assert "watermark" not in json.loads(opened(data).text["likeness"])


def test_what_is_concluded(signed, authority, portraits, saved_again, monkeypatch):
    whole = verify(signed, [authority])
    assert whole.conclusion.startswith("made by likeness") and "for whom a trust anchor vouches" in whole.conclusion
    assert whole.of_likeness and whole.belongs and whole.watermark.confidence > 0.9
    assert verify(signed).conclusion.startswith("says of itself: made by likeness")

    jpeg, picture = saved_again(opened(signed), "JPEG", quality=80)
    lost = verify(jpeg, [authority])
    assert lost.manifest is None and not lost.recipe and lost.watermark and lost.of_likeness
    assert "the watermark remains, the marks in the file were dropped" in lost.conclusion
    assert verify(saved_again(picture.crop((4, 2, 120, 118)), "WEBP", quality=90)[0]).watermark

    unsigned = verify(marked(portraits[0]))
    assert "there is no signature" in unsigned.conclusion and unsigned.belongs
    bare = verify(marked(portraits[0], Marks(watermark=False)), search=False)
    assert "neither a signature nor a watermark" in bare.conclusion and bare.of_likeness
    nothing = verify(saved_again(portraits[0], "PNG")[0])
    assert "proves nothing" in nothing.conclusion and not nothing.of_likeness
    json.dumps([v.to_dict() for v in (whole, lost, nothing)])


def test_a_recipe_on_another_picture_is_noticed(portraits):
    texts = opened(marked(portraits[0])).text
    other = opened(marked(portraits[1], request=dataclasses.replace(REQUEST, prompt="somebody else")))
    info = PngImagePlugin.PngInfo()
    info.add_text("likeness", texts["likeness"])
    buffer = io.BytesIO()
    other.save(buffer, "PNG", pnginfo=info)
    verdict = verify(buffer.getvalue(), search=False)
    assert verdict.belongs is False and "of another picture" in verdict.conclusion


def test_a_damaged_recipe_is_a_note(portraits):
    info = PngImagePlugin.PngInfo()
    info.add_text("likeness", "{")
    info.add_itxt("XML:com.adobe.xmp", xmp("x"))
    buffer = io.BytesIO()
    portraits[2].save(buffer, "PNG", pnginfo=info)
    verdict = verify(buffer.getvalue(), search=False)
    assert verdict.recipe is None and verdict.xmp and "damaged" in verdict.notes[0]


def test_a_manifest_that_cannot_be_read_here_is_a_note(signed, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    verdict = verify(signed, search=False)
    assert verdict.manifest is None and verdict.recipe and "likeness[service]" in verdict.notes[0]


def test_hostile_files_are_one_clear_error(signed, tmp_path, monkeypatch):
    import os

    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    cases = {"folder": "not a file", "pipe": "not a file", "none.png": "missing", "nul\0": "missing"}
    for name, says in cases.items():
        with pytest.raises(BadImage, match=says):
            verify(tmp_path / name)
    for data in (b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", signed[:200], b"GIF89a" + bytes(99)):
        with pytest.raises(BadImage) as caught:
            verify(data)
        assert "\n" not in str(caught.value)
    huge = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(huge, "PNG")  # 50 kB that unpack to 400 million pixels
    with pytest.raises(BadImage, match="bomb|too many pixels"):
        verify(huge.getvalue())
    monkeypatch.setattr(room, "BYTES", 1000)
    (tmp_path / "large.png").write_bytes(signed)
    for picture in (signed, tmp_path / "large.png"):
        with pytest.raises(BadImage, match="too large"):
            verify(picture)
    with pytest.raises(UsageError):
        verify(tmp_path / "large.png", ["nonsense"])
