import shutil

import torch
from diffusers import AutoencoderTiny
from PIL import Image

from likeness.models.pixels import to_pixels
from likeness.runtime import Runtime
from likeness.train.latents import cached_latents

CPU = Runtime(torch.device("cpu"))


def encoder():
    torch.manual_seed(0)
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    )


def faces(folder, colors):
    files = [folder / f"{c}.png" for c in colors]
    for file, color in zip(files, colors, strict=True):
        Image.new("RGB", (16, 16), color).save(file)
    return files


def test_a_latent_follows_its_picture_and_not_its_place(tmp_path):
    vae = encoder()
    files = faces(tmp_path, ["red", "green", "blue"])
    first = cached_latents(files, vae, 16, tmp_path / "cache", CPU)
    files = [files[2], files[0], files[1]]
    shutil.copy(files[0], tmp_path / "renamed.png")
    again = cached_latents([*files, tmp_path / "renamed.png"], vae, 16, tmp_path / "cache", CPU)
    assert torch.equal(again, first[[2, 0, 1, 2]])
    with torch.no_grad():
        expected = vae.encode(to_pixels(files[:1], 16).flip(-1)).latents
    torch.testing.assert_close(again[0, 1], expected[0].half(), atol=2e-3, rtol=0)


def test_only_what_is_missing_is_encoded(tmp_path):
    vae, calls = encoder(), []
    files = faces(tmp_path, ["red", "green"])
    cached_latents(files, vae, 16, tmp_path, CPU, lambda done, total: calls.append(total))
    cached_latents(files, vae, 16, tmp_path, CPU, lambda done, total: calls.append(total))
    cached_latents(files + faces(tmp_path, ["white"]), vae, 16, tmp_path, CPU, lambda done, total: calls.append(total))
    assert calls == [2, 1]


def test_another_encoder_has_another_cache(tmp_path):
    files = faces(tmp_path, ["red"])
    one = cached_latents(files, encoder(), 16, tmp_path, CPU)
    changed = encoder()
    torch.nn.init.zeros_(next(changed.encoder.parameters()))
    assert not torch.equal(one, cached_latents(files, changed, 16, tmp_path, CPU))
