"""Films from face to face: words go over in a straight line, noise on the great circle. GIF, MP4 and a strip."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import MissingExtra, UsageError
from ..files import atomic_path
from ..provenance import recipe_of, save_png, xmp
from ..records import ImageRequest
from . import folder
from .denoise import Progress
from .gallery import Artist
from .grid import sheet
from .mixture import Parts, Scene, between, written
from .seeds import LARGEST

FRAMES = "frames"
STRIP = 8  # pictures on the strip at most
_MOST = 10_000


@dataclass(frozen=True)
class Face:
    """Where a film stops over: what is drawn (prompts or groups with their shares), from which seed."""

    parts: Parts
    seed: int


def faces(parts: Sequence[Parts], seeds: Sequence[int]) -> list[Face]:
    """One of a kind goes with all of the other: one prompt and three seeds are three faces. Raises `UsageError`."""
    count = max(len(parts), len(seeds))
    if any(len(given) not in (1, count) for given in (parts, seeds)):
        raise UsageError(f"{len(parts)} faces and {len(seeds)} seeds: give one --seed for each face, or one for all")
    said, grown = list(parts) * (count // len(parts)), list(seeds) * (count // len(seeds))
    if any(not 0 <= seed <= LARGEST for seed in seeds):
        raise UsageError(f"seeds must be 0 to {LARGEST}, not {', '.join(map(str, seeds))}")
    found = [Face(p, s) for p, s in zip(said, grown, strict=True)]
    if count < 2 or len(set(found)) < 2:
        raise UsageError("a film needs two faces: give two prompts, or one prompt and two seeds")
    return found


def scenes(stops: Sequence[Face], frames: int, loop: bool = False) -> list[Scene]:
    """`frames` pictures from each face to the next, the first of them the face itself, and the last face.

    With `loop` a way leads back to the first face instead. Raises `UsageError` for a count that is none.
    """
    ways = list(zip(stops, [*stops[1:], stops[0]] if loop else stops[1:], strict=False))
    if not 1 <= frames <= _MOST // len(ways):
        raise UsageError(f"frames must be 1 to {_MOST // len(ways)}, not {frames}")
    found = []
    for a, b in ways:
        for i in range(frames):
            part = i / frames
            towards = (b.seed, part) if i and a.seed != b.seed else None
            found.append(Scene(between(a.parts, b.parts, part), a.seed, towards))
    return found if loop else [*found, Scene(stops[-1].parts, stops[-1].seed)]


@dataclass(frozen=True)
class Film:
    """Its pictures in their order, the resolved request that they share, how they are mixed and played, and by whom."""

    shots: Sequence[Scene]
    request: ImageRequest
    fingerprint: str
    method: str = "blend"
    fps: float = 12
    loop: bool = False

    def __post_init__(self) -> None:
        if not 0.5 <= self.fps <= 50:
            raise UsageError(f"fps must be 0.5 to 50, not {self.fps:g}")

    def asked(self, shot: Scene) -> ImageRequest:
        return replace(self.request, prompt=written(shot.parts, self.method), seed=shot.seed, count=1)

    def planned(self) -> list[folder.Planned]:
        """Each frame with a key that says all of it."""
        found = []
        for number, shot in enumerate(self.shots, 1):
            one = self.asked(shot)
            said = json.dumps([asdict(one), shot.facts(self.method), self.fingerprint, number], sort_keys=True)
            key = hashlib.sha256(said.encode()).hexdigest()[:16]
            found.append(folder.Planned(one, key, number, f"{number:05d}.png"))
        return found


@dataclass(frozen=True)
class Drawn:
    """The frames in their order, how many were there before, and what the model does not know."""

    frames: list[Path]
    kept: int
    notes: tuple[str, ...]


def draw(output: str | Path, film: Film, artist: Artist, progress: Progress = lambda *_: None) -> Drawn:
    """Draw the frames that `output`/frames lacks.

    Raises `UsageError` when the folder holds the frames of another film.
    """
    place, planned = Path(output) / FRAMES, film.planned()
    if strangers := folder.others(place, planned):
        raise UsageError(f"{place} holds another film ({strangers[0]}): choose another --output")
    left, notes = folder.missing(place, planned), dict[str, None]()
    if left:
        drawn = artist(film.request, [film.shots[one.number - 1] for one in left], progress)
        tell = lambda _, sample: notes.update(dict.fromkeys(sample.notes))  # noqa: E731
        folder.save_folder(place, drawn, tell, left, film.shots[0].seed)
    return Drawn(folder.pictures(place, planned), len(planned) - len(left), tuple(notes))


def save(output: str | Path, film: Film, frames: Sequence[Path], mp4: bool = False) -> list[Path]:
    """film.gif and strip.png, with `mp4` film.mp4 too. A film without a loop plays there and back."""
    from PIL import Image

    pictures = [Image.open(file).convert("RGB") for file in frames]
    played = pictures if film.loop else there_and_back(pictures)
    written = [
        _save_gif(Path(output) / "film.gif", film, played),
        _save_strip(Path(output) / "strip.png", film, pictures),
    ]
    return written + ([_save_mp4(Path(output) / "film.mp4", film, played)] if mp4 else [])


def there_and_back(frames: Sequence[Any]) -> list[Any]:
    """A film that can start again at its end."""
    return [*frames, *frames[-2:0:-1]]


def check_mp4() -> None:
    """Raises `MissingExtra` where no film can be written as MP4."""
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise MissingExtra(
            "--mp4 needs imageio-ffmpeg: pip install 'likeness[film]', or leave it out: a GIF comes anyway"
        )


def _recipe(film: Film) -> str:
    first = film.shots[0]
    facts = {"mixture": first.facts(film.method)}
    return json.dumps(recipe_of(film.asked(first), first.seed, film.fingerprint, facts), ensure_ascii=False)


def _save_gif(path: Path, film: Film, frames: Sequence[Any]) -> Path:
    """An endless GIF of PIL images. Its comment is the recipe of its first frame, its XMP marks it as generated."""
    with atomic_path(path) as temporary:
        frames[0].save(
            temporary, format="GIF", save_all=True, append_images=list(frames[1:]), loop=0,
            duration=round(1000 / film.fps), comment=_recipe(film).encode(),
        )  # fmt: skip
        whole = temporary.read_bytes()
        # XMP specification part 3, 1.1.2: behind the packet every byte counts down to the block's end
        trailer = bytes([1, *range(255, -1, -1), 0])
        block = b"\x21\xff\x0bXMP DataXMP" + xmp(film.asked(film.shots[0]).prompt).encode() + trailer
        temporary.write_bytes(whole.removesuffix(b";") + block + b";")
    return Path(path)


def _save_mp4(path: Path, film: Film, frames: Sequence[Any]) -> Path:
    """H.264 that every player takes. Its comment is the recipe of its first frame."""
    check_mp4()
    comment = ["-metadata", f"comment={_recipe(film)}"]
    with atomic_path(path) as temporary:
        writer = importlib.import_module("imageio_ffmpeg").write_frames(
            str(temporary), frames[0].size, fps=film.fps, macro_block_size=2, output_params=comment
        )
        writer.send(None)
        for frame in frames:
            writer.send(frame.tobytes())
        writer.close()
    return path


def _save_strip(path: Path, film: Film, frames: Sequence[Any]) -> Path:
    """Up to `STRIP` frames side by side, evenly chosen, the ends among them."""
    count = min(STRIP, len(frames))
    chosen = [round(i * (len(frames) - 1) / max(count - 1, 1)) for i in range(count)]
    shots = [film.shots[i] for i in chosen]
    page = sheet([frames[i] for i in chosen], count, [_label(shot) for shot in shots])
    facts = {"method": film.method, "frames": [shot.facts(film.method) for shot in shots]}
    return save_png(path, page, film.asked(shots[0]), shots[0].seed, film.fingerprint, {"mixture": facts})


def _label(shot: Scene) -> str:
    """What a frame shows: a face's words and seed, or how far on the way it is."""
    if shot.towards:
        return f"{shot.towards[1]:.0%}"
    return f"seed {shot.seed}: {shot.parts[0][0]}" if len(shot.parts) == 1 else f"{shot.parts[-1][1]:.0%}"
