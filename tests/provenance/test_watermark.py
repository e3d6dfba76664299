"""The watermark is faint, is read after what happens to pictures on their way, and is not seen where there is none."""

import numpy as np
import pytest
from PIL import Image

from likeness.errors import UsageError
from likeness.provenance import watermark, watermark_bits
from likeness.provenance.watermark_tile import TILE, gains, layout, spectrum

PAYLOADS = [bytes([n, 255 - n, 7, 0, 170]) for n in range(24)]


@pytest.fixture(scope="module")
def marked(portraits):
    return [watermark.embed(image, payload) for image, payload in zip(portraits, PAYLOADS, strict=True)]


def share(images, payloads=PAYLOADS, search=False):
    found = [watermark.detect(image, search) for image in images]
    return np.mean([f is not None and f.payload == p for f, p in zip(found, payloads, strict=False)])


def psnr(one, two):
    return 10 * np.log10(255**2 / np.mean((np.asarray(one, float) - np.asarray(two, float)) ** 2))


def test_a_mark_is_read_as_it_was_written_and_cannot_be_seen(portraits, marked):
    assert share(marked) == 1
    assert min(psnr(a, b) for a, b in zip(portraits, marked, strict=True)) > 41


def test_the_same_face_and_bytes_give_the_same_pixels(portraits, marked):
    assert watermark.embed(portraits[0], PAYLOADS[0]).tobytes() == marked[0].tobytes()
    assert watermark.embed(portraits[0], PAYLOADS[1]).tobytes() != marked[0].tobytes()


def test_a_mark_can_be_taken_off(portraits, marked):
    freed = [watermark.erase(image) for image in marked]
    assert min(psnr(a, b) for a, b in zip(portraits, freed, strict=True)) > 48  # rounding alone leaves 51 to 59
    assert not any(watermark.detect(image, search=False) for image in freed)


def test_what_is_not_marked_or_was_cropped_stays(portraits, marked):
    cut = marked[0].crop((5, 9, 121, 125))
    assert watermark.erase(portraits[0]) is portraits[0] and watermark.erase(cut) is cut


def test_jpeg_at_80_leaves_it(marked, saved_again):
    assert share([saved_again(image, "JPEG", quality=80)[1] for image in marked]) >= 0.95


def test_a_crop_moves_the_tile_and_it_is_found_again(marked):
    found = [watermark.detect(image.crop((5, 9, 121, 125)), search=False) for image in marked]
    assert np.mean([f is not None and f.payload == p for f, p in zip(found, PAYLOADS, strict=True)]) >= 0.95
    # the tile began at (0, 0), so after the crop it begins at (-5, -9), which is (59, 55) in the next one
    assert np.mean([(f.x, f.y) == (59, 55) for f in found if f]) >= 0.95


def test_a_crop_and_then_jpeg(marked, saved_again):
    cut = [image.crop((3, 7, 118, 122)) for image in marked]
    assert share([saved_again(image, "JPEG", quality=80)[1] for image in cut]) >= 0.9


def test_resized_and_mirrored_pictures_are_searched(marked):
    for size in ((96, 96), (200, 200)):
        assert share([image.resize(size, Image.Resampling.BICUBIC) for image in marked[:2]], search=True) == 1
    found = watermark.detect(marked[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert found and found.mirrored and found.payload == PAYLOADS[0]


def test_no_mark_is_seen_where_there_is_none(portraits):
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8)) for _ in range(8)]
    stripes = [Image.fromarray(np.uint8(np.indices((128, 128)).sum(0) % n * 255 // n)) for n in (2, 8, 16, 64)]
    assert not any(watermark.detect(image, search=False) for image in [*portraits, *noise, *stripes])
    assert not any(watermark.detect(image) for image in [portraits[3], stripes[2]])


def test_a_large_picture_is_marked_more_faintly(portraits):
    large = portraits[0].resize((640, 560), Image.Resampling.BICUBIC)
    marked = watermark.embed(large, PAYLOADS[3])
    assert psnr(large, marked) > 44
    assert watermark.detect(marked, search=False).payload == PAYLOADS[3]
    assert watermark.detect(marked.crop((31, 17, 600, 520)), search=False).payload == PAYLOADS[3]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_other_modes(portraits, mode):
    image = portraits[5].convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    marked = watermark.embed(image, PAYLOADS[5])
    assert marked.mode == (mode if mode in ("L", "RGBA") else "RGB")
    assert watermark.detect(marked, search=False).payload == PAYLOADS[5]
    if mode == "RGBA":
        assert marked.getchannel("A").tobytes() == image.getchannel("A").tobytes()


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_picture_of_nothing_is_marked_too(shade):
    marked = watermark.embed(Image.new("RGB", (130, 90), (shade,) * 3), PAYLOADS[1])
    assert marked.size == (130, 90)
    assert watermark.detect(marked, search=False).payload == PAYLOADS[1]


def test_what_cannot_be_marked_is_said():
    with pytest.raises(UsageError, match="5 bytes"):
        watermark.embed(Image.new("RGB", (128, 128)), b"1234")
    with pytest.raises(UsageError, match="too small"):
        watermark.embed(Image.new("RGB", (128, 63)), b"12345")
    assert watermark.detect(Image.new("RGB", (1, 1))) is None


def test_the_code_mends_errors_and_refuses_noise():
    """A tenth of the signs turned round is mended; the check sum lets no random message through."""
    rng = np.random.default_rng(1)
    sent = watermark_bits.encode(b"likes")
    assert watermark_bits.decode(sent) == b"likes"
    turned = [sent * np.where(rng.random(sent.size) < 0.1, -1, 1) for _ in range(20)]
    assert sum(watermark_bits.decode(soft) == b"likes" for soft in turned) >= 19
    assert not any(watermark_bits.decode(rng.normal(size=sent.size)) for _ in range(300))


def test_the_code_is_the_one_that_it_says():
    """3GPP TS 36.212, 5.1.3.1: a single one answers with the generators 133, 171, 165 (octal), first bit first."""
    from likeness.provenance.watermark_bits import _emitted

    answer = [[(1 - sign) // 2 for sign in _emitted(1 << 6 >> t)] for t in range(7)]
    assert [int("".join(map(str, column)), 2) for column in zip(*answer, strict=True)] == [0o133, 0o171, 0o165]


def test_the_layout_never_changes():
    """Pictures that were marked once must be read for ever: another layout needs another version."""
    import hashlib

    parts = layout()
    told = b"".join(np.ascontiguousarray(a, "<i8").tobytes() for a in (parts.u, parts.v, parts.sync, parts.bit))
    told += np.ascontiguousarray(parts.known.real, "<i8").tobytes()
    assert hashlib.sha256(told).hexdigest()[:16] == "48cd8dfac4270752"


def test_a_shift_is_a_turn_of_the_spectrum(portraits):
    """The shift theorem, on which finding the tile again rests."""
    parts, rng = layout(), np.random.default_rng(2)
    tile = np.tile(rng.normal(size=(TILE, TILE)) * 20 + 128, (3, 3))
    here, there = spectrum(tile[9 : 9 + 128, 5 : 5 + 128]), spectrum(tile[:128, :128])
    error = np.abs(parts.shifted(here, TILE - 5, TILE - 9) - there)
    assert np.median(error) < 0.3 * np.median(np.abs(there))  # the borders of the two differ


def test_gains_share_one_margin_within_the_budget():
    rng = np.random.default_rng(3)
    said, places = rng.normal(0, 3, 50), np.full(50, 4)
    moved = 2.0 * places
    found = gains(said, moved, places, float(places.sum()), (0.2, 3.0))
    assert (places * found**2).sum() == pytest.approx(places.sum(), rel=1e-3)
    inside = (found > 0.2) & (found < 3)
    assert np.ptp((said + found * moved)[inside]) < 1e-6 and inside.any()
