"""Whatever a file holds: an upright RGB picture, or a reason."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from likeness.data.decode import ORIENTATION, REASONS, Limits, inspect_bytes, open_image, read_picture
from likeness.errors import BadImage

PORTRAITS = Path(__file__).parent / "fixtures" / "portraits"
FACE = PORTRAITS / "synthetic_male_21.jpg"


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def flag() -> Image.Image:
    """Four colours, wider than high: no two of the eight orientations look alike."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30], pixels[:20, 30:], pixels[20:, :30] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return Image.fromarray(pixels)


def reason(data: bytes, folder: Path, name: str = "a.jpg", **limits: int) -> str:
    (folder / name).write_bytes(data)
    with pytest.raises(BadImage) as caught:
        open_image(folder / name, limits=Limits(**limits))
    assert name in str(caught.value) and "\n" not in str(caught.value)
    return caught.value.reason


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks with right checksums, whatever they hold."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in [(b"IHDR", header), *chunks, (b"IEND", b"")]:
        parts.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture_upright_and_its_size_is_known_before_drawing(kind, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(flag(), kind, exif=exif)
    picture = inspect_bytes(data)
    drawn = picture.draw()
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")  # Pillow's own reading
    assert drawn.size == picture.size == expected.size
    assert np.array_equal(drawn, expected) and not drawn.info


def test_exif_behind_the_pixels_of_a_png_counts():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in np.asarray(flag())))
    data = png(60, 40, (b"IDAT", rows), (b"eXIf", exif.tobytes()[6:]))
    picture = inspect_bytes(data)
    assert picture.size == picture.draw().size == (40, 60)
    assert picture.draw().getpixel((39, 0)) == (255, 0, 0)  # the top left corner is now at the top right


def test_broken_exif_does_not_cost_the_picture():
    for block in (b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        assert inspect_bytes(encoded(flag(), "JPEG", exif=block)).draw().size == (60, 40)


def test_cmyk():
    plain = inspect_bytes(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF")).draw()
    assert plain.mode == "RGB" and plain.getpixel((3, 3)) == (255, 0, 0)
    jpeg = inspect_bytes(encoded(Image.new("CMYK", (8, 8), (255, 0, 255, 0)), "JPEG", quality=100)).draw()
    assert np.abs(np.subtract(jpeg.getpixel((3, 3)), (0, 255, 0))).max() < 8


def test_colours_of_another_profile_become_srgb():
    """A profile that swaps nothing but is no sRGB: LAB. And sRGB's own profile changes nothing."""
    grey = Image.new("LAB", (8, 8), (128, 128, 128))  # L* 50, no colour; sRGB 119 (CIE 15:2004 with the sRGB curve)
    drawn = inspect_bytes(encoded(grey, "TIFF")).draw()
    assert np.abs(np.subtract(drawn.getpixel((4, 4)), 119)).max() <= 2
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert inspect_bytes(encoded(flag(), "PNG", icc_profile=profile)).draw().tobytes() == flag().tobytes()
    assert inspect_bytes(encoded(flag(), "PNG", icc_profile=b"junk" * 99)).draw().tobytes() == flag().tobytes()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_range(kind):
    ramp = Image.fromarray(np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16))
    drawn = np.asarray(inspect_bytes(encoded(ramp, kind)).draw())
    assert np.abs(drawn[..., 0].reshape(-1).astype(int) - np.arange(256)).max() <= 1
    assert (drawn[..., 0] == drawn[..., 2]).all()


def test_floats_and_32_bits_keep_their_range():
    ramp = np.arange(256, dtype=np.float32).reshape(16, 16)
    spoiled = ramp.copy() / 255
    spoiled[0, 0] = np.nan
    for values in (ramp, ramp / 255, ramp * 257, spoiled, (ramp * 257).astype(np.int32)):
        drawn = np.asarray(inspect_bytes(encoded(Image.fromarray(values), "TIFF")).draw())[..., 0]
        assert np.abs(drawn.reshape(-1).astype(int) - np.arange(256)).max() <= 1


def test_alpha_lies_on_white():
    clear, half = (10, 20, 30, 0), (0, 0, 0, 128)
    for kind in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        assert (
            inspect_bytes(encoded(Image.new("RGBA", (8, 8), clear), kind, **options)).draw().getpixel((2, 2))
            == (255,) * 3
        )
        assert (
            inspect_bytes(encoded(Image.new("RGBA", (8, 8), half), kind, **options)).draw().getpixel((2, 2))
            == (127,) * 3
        )
    assert inspect_bytes(encoded(Image.new("LA", (8, 8), (0, 0)), "PNG")).draw().getpixel((2, 2)) == (255,) * 3
    palette = flag().quantize(4)
    for transparency in (
        palette.getpixel((0, 0)),
        bytes(0 if i == palette.getpixel((0, 0)) else 255 for i in range(4)),
    ):
        drawn = inspect_bytes(encoded(palette, "PNG", transparency=transparency)).draw()
        assert drawn.getpixel((0, 0)) == (255, 255, 255) and drawn.getpixel((0, 39)) == (0, 0, 255)
    assert inspect_bytes(encoded(flag(), "PNG", transparency=(255, 0, 0))).draw().getpixel((0, 0)) == (255,) * 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    drawn = inspect_bytes(encoded(frames[0], kind, save_all=True, append_images=frames[1:])).draw()
    assert np.abs(np.subtract(drawn.getpixel((9, 9)), (255, 0, 0))).max() < 4


def test_other_modes():
    for mode in ("1", "L", "P"):
        drawn = inspect_bytes(encoded(flag().convert(mode), "PNG")).draw()
        assert drawn.mode == "RGB" and drawn.size == (60, 40)


def test_the_extension_says_nothing(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(flag(), "WEBP", lossless=True))
    assert read_picture(tmp_path / "a.png").format == "WEBP"
    assert open_image(tmp_path / "a.png").tobytes() == flag().tobytes()


def test_names_with_newlines_and_other_scripts(tmp_path):
    for name in ("a\nb.png", "日本 🙂.png", " .png", "-rf.png"):
        (tmp_path / name).write_bytes(encoded(flag(), "PNG"))
        assert open_image(tmp_path / name).size == (60, 40)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_cut_off_anywhere_is_truncated_or_damaged(kind, tmp_path):
    whole = encoded(Image.open(FACE).resize((128, 128)), kind)
    for part in (0.2, 0.5, 0.9):
        assert reason(whole[: int(len(whole) * part)], tmp_path) in {"truncated", "damaged"}
    assert reason(whole[:3], tmp_path) == "not an image"


def test_what_is_no_picture(tmp_path):
    assert reason(b"", tmp_path) == reason(bytes(5000), tmp_path) == "empty"
    for junk in (
        b"<html><body>404</body></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ):
        assert reason(junk, tmp_path) == "not an image"


def test_files_that_are_none(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "folder.jpg").mkdir()
    found = {}
    for name in ("pipe.jpg", "loop.jpg", "folder.jpg", "nothing.jpg", "nul\0l.jpg", "/dev/zero"):
        with pytest.raises(BadImage) as caught:
            open_image(tmp_path / name)
        found[name] = caught.value.reason
    assert found.pop("nul\0l.jpg") == found.pop("nothing.jpg") == found.pop("loop.jpg") == "missing"
    assert set(found.values()) == {"not a file"}


def test_bombs_are_refused_before_they_unpack(tmp_path):
    data = encoded(Image.new("RGB", (3000, 3000)), "PNG")
    assert reason(data, tmp_path, pixels=8_000_000) == "too many pixels"
    assert reason(data, tmp_path, bytes=1000) == "too large"
    # 60,000 x 60,000 pixels in a hundred bytes: beyond Pillow's own limit too
    assert reason(png(60_000, 60_000, (b"IDAT", zlib.compress(bytes(99)))), tmp_path) == "too many pixels"
    text = png(
        8, 8, (b"zTXt", b"note\0\0" + zlib.compress(bytes(64 << 20), 9)), (b"IDAT", zlib.compress(bytes(8 * 25)))
    )
    assert len(text) < 100_000 and reason(text, tmp_path) == "bomb"
    many = [(b"zTXt", b"note\0\0" + zlib.compress(bytes(1_000_000), 9))] * 80  # each is small enough, not all of them
    assert reason(png(8, 8, *many, (b"IDAT", zlib.compress(bytes(8 * 25)))), tmp_path) == "bomb"
    scans = encoded(flag(), "JPEG", progressive=True)
    at = scans.rindex(b"\xff\xda")
    assert reason(scans[:at] + scans[at:-2] * 300 + scans[-2:], tmp_path) == "bomb"


def test_noise_in_a_file_never_gets_past_as_anything_but_a_bad_image():
    """800 files with bytes changed: each is drawn, or refused with a known reason."""
    rng = random.Random(0)
    small = Image.open(FACE).resize((48, 48))
    wholes = [encoded(small, kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF")]
    wholes.append(encoded(small, "TIFF", compression="tiff_lzw"))
    outcomes = set()
    for i in range(800):
        data = bytearray(wholes[i % len(wholes)])
        for _ in range(rng.choice((1, 4, 30))):
            data[rng.randrange(min(len(data), rng.choice((64, 10**6))))] = rng.randrange(256)
        try:
            assert inspect_bytes(bytes(data), Limits(pixels=10_000_000)).draw().mode == "RGB"
            outcomes.add("drawn")
        except BadImage as error:
            outcomes.add(error.reason)
    assert {"drawn", "damaged", "not an image"} <= outcomes <= {"drawn", *REASONS}


def test_a_bad_image_travels_between_processes():
    error = pickle.loads(pickle.dumps(BadImage("truncated", "9 bytes", "a.jpg")))
    assert (error.reason, error.detail, error.path) == ("truncated", "9 bytes", "a.jpg")
    assert str(error) == "a.jpg: truncated: the file ends too early (9 bytes)"


def test_a_large_jpeg_is_drawn_small_and_looks_the_same(tmp_path):
    whole = Image.open(FACE).convert("RGB").resize((1920, 1440), Image.Resampling.LANCZOS)
    whole.save(tmp_path / "large.jpg", quality=92)
    full, small = open_image(tmp_path / "large.jpg"), open_image(tmp_path / "large.jpg", target=240)
    assert full.size == (1920, 1440) and small.size == (480, 360)
    first, second = (np.asarray(i.resize((320, 240), Image.Resampling.LANCZOS), float) for i in (full, small))
    assert 10 * np.log10(255**2 / ((first - second) ** 2).mean()) > 40  # dB
    assert read_picture(tmp_path / "large.jpg").draw(0.5).size == (960, 720)
    assert read_picture(tmp_path / "large.jpg").draw(0.51).size == (1920, 1440)
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    whole.save(tmp_path / "turned.jpg", exif=turned)
    assert open_image(tmp_path / "turned.jpg", target=240).size == (360, 480)
    assert open_image(FACE, target=4000).size == (480, 480)
