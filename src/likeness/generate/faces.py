"""Faces like a face: photos -> aligned faces -> embeddings, as they are or between one another -> pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..config import suggest
from ..errors import EngineError, ModelNotFound, UsageError
from ..models import dino
from ..models.registry import find, fingerprint, locate
from ..records import ImageRequest, Sample
from . import schedulers, seeds
from .denoise import Progress, denoise, ticks
from .guidance import WHOLE, Guidance, Interval, guided
from .resolve import check_drawing

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..data.detect import Face
    from ..models.encoders import Encoder
    from ..runtime import Runtime

DEFAULTS: dict[str, Any] = {"steps": 30, "guidance": 2.0, "scheduler": "dpm++2m"}
BATCH = 16
APART = 80.0  # pixels between the eyes in the pictures that the shipped faces were cut from
Shares = tuple[float, ...]  # of each photo in one picture


@torch.no_grad()
def draw(
    model: dino.FaceModel,
    embeddings: Tensor,
    of: Sequence[int],
    steps: int = 30,
    guidance: float = 2.0,
    scheduler: str = "dpm++2m",
    step: Callable[[], None] = lambda: None,
    interval: Interval = WHOLE,
) -> Tensor:
    """Pixels (B, 3, H, W) in about [-1, 1]: picture i like `embeddings[i]` (B, D, standardised), from the seed `of[i]`.

    Guidance leads away from the embedding of zeros, "any face"; 1 goes without. `interval`: where it holds.
    """
    config, device = model.scheduler.config, model.unet.device
    led = Guidance(guidance, interval, config.num_train_timesteps)
    silent = torch.zeros_like(embeddings)

    def network(x: Tensor, t: Tensor) -> Tensor:
        scale = led.at(t)
        if scale == 1:
            return model.predict(x, t, embeddings)
        both = torch.cat([embeddings, silent])
        said, unsaid = model.predict(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
        return guided(said, unsaid, scale)

    return model.decode(denoise(network, config, model.shape, of, steps, scheduler, device, step))


def combined(embeddings: Tensor, shares: Tensor) -> Tensor:
    """Embeddings (n, D) and shares (B, n), which sum to 1 -> (B, D): m = sum_i w_i e_i, at the length sum_i w_i |e_i|.

    A plain mean of unlike faces is shorter than any face's embedding, and lies towards "any face"; the length is kept
    as slerp keeps it (Shoemake 1985; so does unCLIP between images, Ramesh et al. 2022, sec. 3.2).
    """
    mean = shares @ embeddings
    length = shares @ embeddings.norm(dim=1, keepdim=True)  # (B, 1)
    return mean * (length / mean.norm(dim=1, keepdim=True).clamp(min=1e-6))


def average(photos: int, count: int) -> list[Shares]:
    """Each photo alike, in every picture."""
    return [(1 / photos,) * photos] * count


def interpolate(photos: int, count: int) -> list[Shares]:
    """From the first photo to the last by way of the others, at even distances."""
    found = []
    for i in range(count):
        place = i * (photos - 1) / max(1, count - 1)
        found.append(tuple(max(0.0, 1 - abs(place - photo)) for photo in range(photos)))
    return found


# way to draw from several photos -> (shares of each picture, whether all start from one noise)
MIXES: dict[str, tuple[Callable[[int, int], list[Shares]], bool]] = {
    "average": (average, False),
    "interpolate": (interpolate, True),
}


def check_mix(mix: str, photos: int, count: int) -> str:
    """Raises `UsageError` for an unknown way, or one that takes more photos or pictures."""
    if mix not in MIXES:
        raise UsageError(f"unknown --mix {mix!r}{suggest(mix, list(MIXES))}")
    if mix == "interpolate" and (photos < 2 or count < 2):
        raise UsageError("--mix interpolate goes from photo to photo: give --from-face twice or more, and --count")
    return mix


def aligned(path: str | Path, framing: str, size: int) -> Image:
    """The largest face of a photo, cut as the faces were that the model was trained on (`FRAMINGS`).

    Raises `UsageError` when the file is no picture or no face is found, `MissingExtra` without OpenCV.
    """
    from ..data.decode import open_image
    from ..data.detect import make_detector

    image = open_image(path)
    faces = [face for face in make_detector("mtcnn").detect(image) if face.eyes]
    if not faces:
        raise UsageError(f"no face found in {path}: give a photo in which both eyes can be seen, upright and not small")
    return FRAMINGS[framing](image, max(faces, key=lambda face: face.area), size)


def _tight(image: Image, face: Face, size: int) -> Image:
    """As the shipped faces: from a picture with no more pixels than theirs had, so that it is as sharp."""
    from PIL import Image as pil

    from ..data.crop import fairface_align

    assert face.eyes
    (x0, y0), (x1, y1) = face.eyes
    factor = APART * size / 128 / max(1.0, ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5)
    if factor < 1:
        small = max(1, round(image.width * factor)), max(1, round(image.height * factor))
        face = face.scaled(small[0] / image.width, small[1] / image.height)
        image = image.resize(small, pil.Resampling.LANCZOS, reducing_gap=3.0)
    assert face.eyes
    return fairface_align(image, face.eyes, size)


def _prepared(image: Image, face: Face, size: int) -> Image:
    """As `likeness data prepare` cuts when nothing else is asked."""
    from ..data.crop import CropConfig, crop

    return crop(image, face, CropConfig(size=size, upscale=True))


FRAMINGS: dict[str, Callable[[Image, Face, int], Image]] = {"tight": _tight, "prepared": _prepared}


@dataclass(frozen=True)
class FaceStudio:
    """A model of `likeness train dino` that is loaded, its encoder, name and fingerprint, and where it runs."""

    model: dino.FaceModel
    encoder: Encoder
    name: str
    fingerprint: str
    runtime: Runtime
    batch: int = BATCH

    def request(self, **asked: Any) -> ImageRequest:
        """A resolved request with these settings; what is None takes the default. Raises `UsageError`."""
        given = DEFAULTS | {"seed": seeds.fresh()} | {k: v for k, v in asked.items() if v is not None}
        size = self.model.about.size
        made = ImageRequest("variation of a photo", model=self.name, width=size, height=size, **given)
        check_drawing(made)
        return replace(made, scheduler=schedulers.canonical(made.scheduler or ""))

    def look(self, photos: Sequence[str | Path]) -> Tensor:
        """Photos -> standardised embeddings (n, D) of their faces."""
        from ..models.pixels import to_pixels

        about = self.model.about
        cut = [aligned(photo, about.framing, max(128, about.size)) for photo in photos]
        return self.model.standardised(self.encoder.embed(to_pixels(cut, about.size)))

    def variations(
        self,
        request: ImageRequest,
        photos: Sequence[str | Path],
        mix: str = "average",
        progress: Progress | None = None,
    ) -> Iterator[Sample]:
        """The pictures of a request, as they come. Interpolated ones share a seed: only the face changes."""
        check_mix(mix, len(photos), request.count)
        of, one_noise = MIXES[mix]
        shares, embeddings = of(len(photos), request.count), self.look(photos)  # (n, D)
        whole = combined(embeddings, torch.tensor(shares, device=embeddings.device))  # (count, D)
        first = request.seed or 0
        own = [first if one_noise else first + i for i in range(request.count)]
        for start in range(0, request.count, self.batch):
            rows = slice(start, start + self.batch)
            step = ticks(progress, request.steps or 0, start, len(own[rows]), request.count)
            yield from self._draw(request, whole[rows], own[rows], shares[rows], step)

    def _draw(
        self, request: ImageRequest, embeddings: Tensor, own: Sequence[int], shares: Sequence[Shares],
        step: Callable[[], None],
    ) -> Iterator[Sample]:  # fmt: skip
        from PIL import Image as pil

        from .generator import facts

        started = time.perf_counter()
        steps, guidance, scheduler = request.steps or 0, request.guidance or 0.0, request.scheduler or ""
        interval = request.guidance_interval or WHOLE
        with self.runtime.autocast():
            pixels = draw(self.model, embeddings, own, steps, guidance, scheduler, step, interval)
        if not pixels.isfinite().all():
            raise EngineError(f"{self.name} drew not-a-number: use less guidance or another scheduler")
        colours = (pixels.clamp(-1, 1) * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()  # (B, H, W, 3)
        seconds = (time.perf_counter() - started) / len(own)
        for row, (seed, part, face) in enumerate(zip(own, shares, colours, strict=True)):
            image = pil.fromarray(face)
            variation = {"of": "a photo", "photos": len(part), "shares": [round(share, 4) for share in part]}
            image.info["likeness"] = {"batch": [row, len(own)], "variation": variation, **facts(self.runtime)}
            yield Sample(image, replace(request, prompt=said(part)), seed, seconds, self.fingerprint)


def said(shares: Shares) -> str:
    """What stands in the place of a prompt. Names of files would tell who is in the photo, so there are none."""
    if len(shares) == 1:
        return "variation of a photo"
    return f"variation of {len(shares)} photos: {' + '.join(f'{100 * share:.0f} %' for share in shares)}"


def open_model(
    path: str | Path, device: str | None = None, precision: str | None = None, batch: int | None = None
) -> FaceStudio:
    """Load what `likeness train dino` made (a folder, or a hub id), and its encoder.

    Raises `UsageError` for another kind of model.
    """
    spec = find(path)
    if spec.family != "dino":
        raise UsageError(f"{path} ({spec.title}) takes no photo: give a folder of `likeness train dino` as --model")
    if batch is not None and batch < 1:
        raise UsageError(f"batch size must be 1 or more, not {batch}")
    from ..models import encoders
    from ..models.stable_diffusion import quiet
    from ..runtime import choose

    runtime, folder = choose(device, precision), locate(spec)
    try:
        with quiet():
            model = dino.load(folder, runtime.device)
            encoder = encoders.load(model.about.encoder, runtime)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelNotFound(f"{path} cannot be loaded ({reason}): copy it again") from None
    if encoder.revision != model.about.encoder_revision:
        raise UsageError(
            f"{path} was trained with another version of the encoder {model.about.encoder}: "
            "install the one that it was trained with, or train again"
        )
    return FaceStudio(model, encoder, spec.name, fingerprint(folder), runtime, batch or BATCH)
