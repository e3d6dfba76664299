"""A model of groups at work: which combinations there are, what they are called, and their faces with recipes."""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import suggest
from ..errors import EngineError, ModelNotFound, UsageError
from ..models.hub import HUB_ID
from ..models.registry import find, fingerprint, locate
from ..records import ImageRequest, Sample
from . import mixture, schedulers
from .denoise import Progress, ticks
from .guidance import WHOLE
from .mixture import Parts, Scene
from .resolve import check_drawing

if TYPE_CHECKING:
    from ..models.ddpm import GroupModel
    from ..runtime import Runtime

ANY = "any"  # asks for any face
DEFAULTS: dict[str, Any] = {"steps": 30, "guidance": 2.0, "scheduler": "dpm++2m"}
FEW = 4  # up to so many groups every combination is drawn, beyond only pairs
BATCH = 16
_Wanted = tuple[tuple[str, ...], tuple[float, ...]]  # groups, and their weights if any were said


@dataclass(frozen=True)
class Combination:
    """The name of its folder, and groups with their shares; without any, it is any face."""

    name: str
    parts: Parts

    @property
    def title(self) -> str:
        return mixture.title(self.parts)


def combinations(
    groups: Sequence[str], texts: Sequence[str] = (), shares: Sequence[float] = (), pure: bool = False
) -> list[Combination]:
    """Those that are asked for: `IE`, `Indian+East Asian`, `Indian:0.7+White:0.3`, one group, or `any`.

    Without any, every one of up to `FEW` groups, else every pair; in reverse alphabetical order, as the field writes
    OI, OE, IE, OIE for Orientals, Indians and Europeans. `shares` hold for those that say none themselves; `pure` puts
    the groups before. Raises `UsageError`.
    """
    order = sorted(groups, reverse=True)
    sizes = range(2, len(order) + 1) if len(order) <= FEW else (2,)
    every = [names for size in sizes for names in itertools.combinations(order, size)] or [tuple(order)]
    wanted: list[_Wanted] = [_read(text, groups) for text in texts] or [(names, ()) for names in every]
    singles: list[_Wanted] = [((name,), ()) for name in order] if pure else []
    found: dict[str, Combination] = {}
    for names, weights in [*singles, *wanted]:
        if shares and not weights and len(names) > 1:
            weights = tuple(shares)
        parts = mixture.read(names, weights or [1.0] * len(names)) if names else ()
        one = Combination(_name(parts, groups), parts)
        if found.setdefault(one.name, one) != one:
            raise UsageError(f"two combinations would share the folder {one.name}: draw them to two --output folders")
    return list(found.values())


def _read(text: str, groups: Sequence[str]) -> _Wanted:
    """Groups, and their weights if the text gives any."""
    known = {name.lower(): name for name in groups} | _by_initial(groups)
    if text.strip().lower() == ANY:
        return (), ()
    pieces = [piece.strip() for piece in text.split("+")]
    letters = [letter.upper() for letter in text.strip()]
    if letters and len(pieces) == 1 and pieces[0].lower() not in known and set(letters) <= set(_by_initial(groups)):
        pieces = letters
    names, weights = [], []
    for piece in pieces:
        name, colon, weight = piece.rpartition(":")
        name, weight = (name.strip(), weight) if colon else (piece, "1")
        found = known.get(name.lower()) or known.get(name.upper())
        if found is None:
            raise UsageError(f"the model knows no group {name!r}{suggest(name, list(groups))}")
        try:
            weights.append(float(weight))
        except ValueError:
            raise UsageError(f"{piece!r}: write GROUP:SHARE, such as {found}:0.7") from None
        names.append(found)
    if len(set(names)) < len(names):
        raise UsageError(f"{text!r} names a group twice")
    return tuple(names), tuple(weights) if ":" in text else ()


def _by_initial(groups: Sequence[str]) -> dict[str, str]:
    """Initial -> group, for initials that no two groups share."""
    counted = Counter(name[:1].upper() for name in groups)
    return {name[:1].upper(): name for name in groups if counted[name[:1].upper()] == 1}


def _name(parts: Parts, groups: Sequence[str]) -> str:
    """`OI`; with full names where an initial means two groups; `OI-70-30` for unequal shares; a group by its name."""
    if not parts:
        return ANY
    initials = {name: letter for letter, name in _by_initial(groups).items()}
    names = [group for group, _ in parts]
    short = len(names) > 1 and all(name in initials for name in names)
    said = "".join(initials[n] for n in names) if short else "+".join(re.sub(r"[^\w-]+", "-", n) for n in names)
    shares = [share for _, share in parts]
    equal = max(shares) - min(shares) < 1e-6
    return said if equal else "-".join([said, *(f"{100 * share:.3g}" for share in shares)])


def request(model: str, **asked: Any) -> ImageRequest:
    """A resolved request with these settings; what is None or not given takes the default. Raises `UsageError`."""
    given = DEFAULTS | {name: value for name, value in asked.items() if value is not None}
    made = ImageRequest(mixture.ANY, model=model, **given)
    check_drawing(made)
    return replace(made, scheduler=schedulers.canonical(made.scheduler or ""))


@dataclass(frozen=True)
class Studio:
    """A model of groups that is loaded, its name and fingerprint, and where it runs."""

    model: GroupModel
    name: str
    fingerprint: str
    runtime: Runtime
    batch: int = BATCH

    def draw(
        self, request: ImageRequest, scenes: Sequence[Scene], method: str = "blend", progress: Progress | None = None
    ) -> Iterator[Sample]:
        """The faces of scenes, as they come; everything but groups and noise is the request's."""
        from .generator import facts

        for first in range(0, len(scenes), self.batch):
            batch = scenes[first : first + self.batch]
            step = ticks(progress, request.steps or 0, first, len(batch), len(scenes))
            started = time.perf_counter()
            images = self._pictures(request, batch, method, step)
            seconds = (time.perf_counter() - started) / len(batch)
            for row, (scene, image) in enumerate(zip(batch, images, strict=True)):
                machine = {"batch": [row, len(batch)]} | facts(self.runtime)
                image.info |= {"likeness": machine, "mixture": scene.facts(method)}
                asked = replace(request, prompt=mixture.written(scene.parts, method))
                yield Sample(image, asked, scene.seed, seconds, self.fingerprint)

    def _pictures(
        self, request: ImageRequest, scenes: Sequence[Scene], method: str, step: Callable[[], None]
    ) -> list[Any]:
        from PIL import Image

        from .denoise import starts
        from .mix import draw

        noise = starts(scenes, (3, self.model.size, self.model.size))
        parts, seeds = [dict(scene.parts) for scene in scenes], [scene.seed for scene in scenes]
        steps, guidance, scheduler = request.steps or 0, request.guidance or 0.0, request.scheduler or ""
        interval = request.guidance_interval or WHOLE
        with self.runtime.autocast():
            pixels = draw(self.model, parts, seeds, steps, guidance, method, scheduler, step, noise, interval)
        if not pixels.isfinite().all():
            raise EngineError(f"{self.name} drew not-a-number: use less guidance or another scheduler")
        colours = (pixels.clamp(-1, 1) * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()  # (B, H, W, 3)
        return [Image.fromarray(face) for face in colours]


def open_model(
    path: str | Path, device: str | None = None, precision: str | None = None, batch: int | None = None
) -> Studio:
    """Load what `likeness train ddpm` made: a folder, or the hub id that it was pushed to.

    Raises `UsageError` for a model of another kind, `ModelNotFound` for a damaged one or none.
    """
    if not (Path(path).expanduser().is_dir() or HUB_ID.fullmatch(str(path))):
        raise ModelNotFound(f"no folder {path}: give one of `likeness train ddpm`, or its hub id")
    spec = find(path)
    if spec.family != "ddpm":
        other = "`likeness generate --from-face`" if spec.family == "dino" else "`likeness mix prompts --model`"
        raise UsageError(f"{path} ({spec.title}) has no groups: use {other}, or give a folder of `likeness train ddpm`")
    if batch is not None and batch < 1:
        raise UsageError(f"batch size must be 1 or more, not {batch}")
    from ..models import ddpm
    from ..models.stable_diffusion import quiet
    from ..runtime import choose

    runtime, folder = choose(device, precision), locate(spec)
    try:
        with quiet():
            model = ddpm.load(folder, runtime.device)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelNotFound(f"{path} cannot be loaded ({reason}): copy it again") from None
    return Studio(model, spec.name, fingerprint(folder), runtime, batch or BATCH)
