import pytest
from PIL import Image

from likeness.errors import LikenessError, UsageError
from likeness.generate.resolve import resolve, start_image
from likeness.models.registry import MODELS
from likeness.records import ImageRequest

MINI, SD15 = MODELS["mini"], MODELS["sd15"]


def test_defaults_come_from_the_family():
    mini = resolve(ImageRequest("a man"), MINI)
    assert (mini.width, mini.height, mini.steps, mini.scheduler) == (128, 128, 30, "dpm++2m")
    big = resolve(ImageRequest("a man", model="sd15"), SD15)
    assert (big.width, big.steps, big.guidance, big.model) == (512, 50, 7.5, "sd15")


def test_a_missing_seed_is_drawn_and_recorded():
    drawn = {resolve(ImageRequest("a man"), MINI).seed for _ in range(8)}
    assert len(drawn) > 1 and all(isinstance(seed, int) and seed >= 0 for seed in drawn)
    assert resolve(ImageRequest("a man", seed=0), MINI).seed == 0


def test_what_is_given_stays():
    asked = ImageRequest("a man", "hat", 64, 96, 5, 0.0, 3, 2, scheduler="Euler a")
    got = resolve(asked, MINI)
    assert (got.width, got.height, got.steps, got.guidance, got.count) == (64, 96, 5, 0.0, 2)
    assert got.scheduler == "euler-a" and got.negative_prompt == "hat"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prompt": ""}, "empty"),
        ({"prompt": " \n\t"}, "empty"),
        ({"prompt": "x" * 10_000}, "10,000 characters"),
        ({"negative_prompt": "x" * 10_000}, "negative prompt"),
        ({"width": 100}, "multiple of 8: the nearest is 96"),
        ({"height": 0}, "multiple of 8"),
        ({"width": -8}, "multiple of 8"),
        ({"width": 8192}, "too large"),
        ({"steps": 0}, "steps"),
        ({"steps": 10**6}, "steps"),
        ({"guidance": float("nan")}, "guidance"),
        ({"guidance": -1.0}, "guidance"),
        ({"count": 0}, "count"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"scheduler": "eular"}, "did you mean 'euler'"),
        ({"image": "/nowhere.png"}, "no start image"),
        ({"loras": (("x", 99.0),)}, "weight of LoRA x"),
        ({"prompt": "a (man:3)"}, "outside 0 to 2"),
        ({"prompt": "a 12 year old girl"}, "adults only"),
    ],
)
def test_bad_requests_are_one_line_with_exit_code_2(changes, says):
    with pytest.raises(LikenessError, match=says) as caught:
        resolve(ImageRequest(**({"prompt": "a man"} | changes)), MINI)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


def test_a_prompt_of_5000_characters_is_taken():
    assert resolve(ImageRequest("a man " * 800), MINI)


def test_a_captioner_does_not_draw():
    with pytest.raises(UsageError, match="does not draw"):
        resolve(ImageRequest("a man"), MODELS["llava-7b"])
    with pytest.raises(UsageError, match="--lora diffyface, with --model sd21"):
        resolve(ImageRequest("a man"), MODELS["diffyface"])


def test_a_start_image_is_cut_to_shape_upright_and_opaque(tmp_path):
    Image.new("RGBA", (300, 100), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    picture = start_image(str(tmp_path / "clear.png"), 64, 96)
    assert picture.size == (64, 96) and picture.mode == "RGB" and picture.getpixel((5, 5)) == (255, 255, 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (80, 40), "red").save(tmp_path / "side.jpg", exif=exif)
    assert start_image(str(tmp_path / "side.jpg"), 40, 80).size == (40, 80)


def test_start_image_faults(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    asked = ImageRequest("a man", image=str(tmp_path / "broken.png"))
    with pytest.raises(UsageError, match="not a picture"):
        resolve(asked, MINI)
    Image.new("RGB", (8, 8)).save(tmp_path / "good.png")
    for strength in (0.0, 1.5, 0.01):
        with pytest.raises(UsageError, match="strength"):
            resolve(ImageRequest("a man", image=str(tmp_path / "good.png"), strength=strength), MINI)
