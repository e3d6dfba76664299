"""One item of a source -> its faces as picture files, or the reason why there are none. What a worker process does."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadImage, LikenessError, MissingExtra, UsageError
from ..files import DISK
from .crop import CropConfig, Square, choose_faces, cut_from, fairface_align, frame, main_faces
from .decode import Picture, inspect_bytes, read_picture
from .detect import Detector, Face, Point, find_faces, make_detector
from .encode import encode
from .filters import FaceInfo, phash, reject
from .recipe import PrepareConfig
from .sources import Item, is_minor

if TYPE_CHECKING:
    from PIL import Image

# Reasons beside those of `decode.REASONS` (a picture that cannot be read) and `filters.REASONS` (one that is left out).
REASONS = {
    "minor": "shows, or may show, somebody under 18 by its label or text",
    "wrong eyes": "the eyes that its table gives are no two places in the picture",
    "failed": "an unexpected error at this picture; please report it",
    "crashed": "the process that read it died, twice",
    "too slow": "not done within the time limit",
}
EYES = 0.37  # the distance of the eyes by the side of the crop in the FairFace alignment
BOX = 2.4  # a face's box by the distance of its eyes, as detectors draw it
BLOCKS = "4"  # of 16 MB, that Pillow keeps for the next picture: memory fresh from the system costs 2,500 faults each


@dataclass(frozen=True)
class Task:
    """An item, its number in the order of all sources, the stem of its file's name, and its origin in two parts."""

    number: int
    item: Item
    stem: str
    origin: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Kept:
    """A written face. file: its path in the folder for pictures in progress; points in the written picture's pixels;
    crop: centre, side and angle (radians) of the square in the source picture."""

    file: str
    sha256: str
    phash: int
    crop: tuple[float, float, float, float]
    box: tuple[float, float, float, float] | None = None
    landmarks: tuple[Point, ...] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of an item: written faces, and (reason, detail) for it or for those of its faces that went."""

    kept: tuple[Kept, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()


def dropped(reason: str, detail: str = "") -> Outcome:
    return Outcome(dropped=((reason, detail),))


class Cutter:
    """Does tasks by one recipe; the detector is made when the first picture needs it."""

    def __init__(self, config: PrepareConfig, pending: Path) -> None:
        self.config, self.pending = config, pending
        self._found: Detector | None = None

    def __call__(self, task: Task) -> Outcome:
        """Never raises for a bad picture; raises `LikenessError` when nothing can go on: full disk, missing extra."""
        try:
            if not self.config.minors and is_minor(task.item):
                return dropped("minor")
            return self._cut(task)
        except BadImage as error:
            return dropped(error.reason, error.detail)
        except (MissingExtra, Unworkable):
            raise
        except OSError as error:
            if error.errno in DISK:
                said = f"cannot write {self.pending}: {error.strerror}. Make room and run it again."
                raise UsageError(said) from None
            return dropped("failed", f"{type(error).__name__}: {error.strerror}")
        except Exception as error:  # one odd picture must not cost a night
            return dropped("failed", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")

    def detector(self) -> Detector:
        if self._found is None:
            try:
                self._found = make_detector(self.config.detector, **self.config.detector_options())
            except MissingExtra:
                raise
            except LikenessError as error:
                raise Unworkable(str(error)) from None
        return self._found

    def _cut(self, task: Task) -> Outcome:
        item, config = task.item, self.config
        picture = read_picture(item.path) if item.data is None else inspect_bytes(item.data, path=item.path)
        faces, drawn, looked = self._faces(picture, item)
        if faces is None:
            return dropped("wrong eyes")
        crop = config.crop if looked else CropConfig(**vars(config.crop) | {"policy_none": "center"})
        least = config.filters.rival
        chosen = choose_faces(faces, crop, least)
        if not chosen:
            return dropped("several faces" if faces else "no face")
        seen = max(1, len(main_faces(faces, least)))
        kept: list[Kept] = []
        gone: list[tuple[str, str]] = []
        for number, face in enumerate(chosen):
            made = self._face(picture, face, crop, seen, drawn)
            if isinstance(made, str):
                gone.append((made, f"face {number + 1}" if len(chosen) > 1 else ""))
                continue
            image, square = made
            kept.append(self._written(task, number, image, square, face))
        return Outcome(tuple(kept), tuple(gone))

    def _faces(self, picture: Picture, item: Item) -> tuple[list[Face] | None, Image.Image | None, bool]:
        """Faces, what was drawn to find them, and whether anybody looked; None instead of faces for impossible eyes."""
        if item.eyes is None:
            detector = self.detector()
            faces, drawn = find_faces(picture, detector)
            return faces, drawn, detector.longest > 0
        (x0, y0), (x1, y1) = sorted(item.eyes)
        width, height = picture.size
        apart = math.hypot(x1 - x0, y1 - y0)
        # out of the picture by half of it: a crop of somebody's forehead may have its eyes just outside
        there = all(-width / 2 <= x <= 1.5 * width and -height / 2 <= y <= 1.5 * height for x, y in item.eyes)
        if not there or not 1 <= apart <= max(width, height):  # `not`, because every comparison with NaN is false
            return None, None, True
        half = BOX * apart / 2
        middle = (x0 + x1) / 2, (y0 + y1) / 2 + 0.2 * half
        box = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
        return [Face(box, eyes=((x0, y0), (x1, y1)))], None, True

    def _face(
        self, picture: Picture, face: Face | None, crop: CropConfig, seen: int, drawn: Image.Image | None
    ) -> tuple[Image.Image, Square] | str:
        """A face cut out and the square that it fills, or why it is not wanted."""
        config = self.config
        if config.align == "fairface":
            if face is None or face.eyes is None:
                return "no face"
            square = _fairface_square(face.eyes)
            image = _fairface(picture, face.eyes, square, crop.size)
        else:
            square = frame(picture.size, face, crop)
        info = FaceInfo(seen, face.confidence if face else 1.0, square.side, square.outside(*picture.size))
        if config.align == "crop":
            image = cut_from(picture, square, crop, drawn)
        reason = reject(image, info, config.filters)
        return reason if reason else (image, square)

    def _written(self, task: Task, number: int, image: Image.Image, square: Square, face: Face | None) -> Kept:
        data = encode(image, self.config.writing())
        name = f"{task.number}-{number}"
        with open(self.pending / name, "wb") as file:
            file.write(data)
        # always floats: readers guess a column's type from its first rows
        crop = (round(square.x, 2), round(square.y, 2), round(float(square.side), 2), round(square.angle, 5))
        box = marks = None
        if face is not None:
            marks = placed(face.landmarks or face.eyes or (), square, image.width) or None
            (x, y), grow = placed([((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2)], square,
                                  image.width)[0], image.width / square.side / 2  # fmt: skip
            wide, high = face.width * grow, face.height * grow
            box = (round(x - wide, 2), round(y - high, 2), round(x + wide, 2), round(y + high, 2))
        return Kept(name, hashlib.sha256(data).hexdigest(), phash(image), crop, box, marks)


class Unworkable(UsageError):
    """The recipe cannot be carried out here at all."""


def placed(points: Any, square: Square, size: int) -> tuple[Point, ...]:
    """Points of a picture as they lie in the crop of `square` at `size` pixels."""
    turn = complex(math.cos(square.angle), -math.sin(square.angle)) * size / square.side
    found = []
    for x, y in points:
        at = (complex(x, y) - complex(square.x, square.y)) * turn + complex(size - 1, size - 1) / 2
        found.append((round(at.real, 2), round(at.imag, 2)))
    return tuple(found)


def _fairface_square(eyes: tuple[Point, Point]) -> Square:
    (x0, y0), (x1, y1) = eyes
    across = complex(x1 - x0, y1 - y0)
    side = abs(across) / EYES
    # the eyes are at 0.315 of the height, so the centre is 0.185 of the side below them
    centre = complex(x0 + x1, y0 + y1) / 2 + across / abs(across) * 1j * 0.185 * side
    return Square(centre.real, centre.imag, side, math.atan2(across.imag, across.real))


def _fairface(picture: Picture, eyes: tuple[Point, Point], square: Square, size: int) -> Image.Image:
    drawn = picture.draw(min(1.0, 3 * size / square.side))  # it samples at twice the size
    x, y = drawn.width / picture.size[0], drawn.height / picture.size[1]
    if drawn.size != picture.size:
        eyes = Face((0, 0, 1, 1), eyes=eyes).scaled(x, y).eyes or eyes
    return fairface_align(drawn, eyes, size)


# --- in a worker process -------------------------------------------------------------------------------------------

_cutter: Cutter | None = None


def begin(config: PrepareConfig, pending: Path) -> None:
    """Make this process a worker: one thread, deaf to Ctrl-C (the parent ends it), gone when its parent is."""
    import signal
    import threading
    from multiprocessing import connection, parent_process

    global _cutter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()
    os.environ.setdefault("PILLOW_BLOCKS_MAX", BLOCKS)  # read when Pillow is imported
    parent = parent_process()
    if parent is not None:

        def follow() -> None:
            connection.wait([parent.sentinel])
            os._exit(1)  # the pipes of a pool stay open in its workers, so they would wait for ever

        threading.Thread(target=follow, daemon=True).start()
    _cutter = Cutter(config, pending)


def work(task: Task) -> Outcome:
    """A task in a process that has begun."""
    assert _cutter is not None
    return _cutter(task)


def one_thread() -> None:
    """Each worker has a core; threads of their own would fight, and their number would change the last bits of sums."""
    import contextlib
    import sys

    os.environ["OMP_NUM_THREADS"] = "1"  # for what is imported later
    with contextlib.suppress(ImportError):
        import cv2

        cv2.setNumThreads(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
