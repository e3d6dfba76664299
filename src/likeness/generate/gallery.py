"""Rows of pictures of mixtures: a folder for each row, which can be stopped and gone on with, and a labelled sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..provenance import save_png
from ..records import ImageRequest, Sample
from . import folder
from .denoise import Progress
from .grid import sheet
from .mixture import Parts, Scene

SHEET = "sheet.png"
COLUMNS = 10  # of a row on the sheet at most; its folder has them all


@dataclass(frozen=True)
class Row:
    """A folder's name, what stands beside it on the sheet, the resolved request for its pictures, and its parts."""

    name: str
    title: str
    request: ImageRequest
    parts: Parts


@dataclass(frozen=True)
class Gallery:
    """What lies in the output folder now: the pictures of each row, the sheet, and how many were there before."""

    pictures: dict[str, list[Path]]
    sheet: Path
    kept: int
    notes: tuple[str, ...] = ()


# (request with the row's words, scenes, progress) -> their pictures
Artist = Callable[[ImageRequest, list[Scene], Progress], Iterator[Sample]]


def draw(
    output: str | Path, rows: Sequence[Row], fingerprint: str, artist: Artist, progress: Progress = lambda *_: None
) -> Gallery:
    """Draw what the folders do not hold yet, and the sheet anew."""
    output = Path(output)
    planned = {row.name: folder.plan([row.request], fingerprint) for row in rows}
    left = {name: folder.missing(output / name, ones) for name, ones in planned.items()}
    steps = {row.name: row.request.steps or 0 for row in rows}
    total, done = sum(len(ones) * steps[name] for name, ones in left.items()), 0
    notes: dict[str, None] = {}

    def counted(before: int) -> Progress:
        return lambda now, _: progress(before + now, total)

    for row in rows:
        if ones := left[row.name]:
            scenes = [Scene(row.parts, one.request.seed or 0) for one in ones]
            samples = artist(row.request, scenes, counted(done))
            place, first = output / row.name, rows[0].request.seed
            folder.save_folder(place, samples, lambda _, s: notes.update(dict.fromkeys(s.notes)), ones, first)
            done += len(ones) * steps[row.name]
    pictures = {name: folder.pictures(output / name, ones) for name, ones in planned.items()}
    kept = sum(map(len, planned.values())) - sum(map(len, left.values()))
    return Gallery(pictures, _save_sheet(output / SHEET, rows, pictures, fingerprint), kept, tuple(notes))


def seed_of(output: str | Path) -> int | None:
    """The first seed of what was drawn to this folder before: a run without a seed of its own goes on from it."""
    inside = sorted(Path(output).iterdir()) if Path(output).is_dir() else []
    return next((seed for place in inside if (seed := folder.seed_of(place)) is not None), None)


def _save_sheet(path: Path, rows: Sequence[Row], pictures: dict[str, list[Path]], fingerprint: str) -> Path:
    from PIL import Image

    columns = min(COLUMNS, max(row.request.count for row in rows))
    images: list[Any] = []
    for row in rows:
        shown = [Image.open(file).convert("RGB") for file in pictures[row.name][:columns]]
        images += shown + [Image.new("RGB", shown[0].size, "white")] * (columns - len(shown))
    first = rows[0].request
    seeds = [f"seed {(first.seed or 0) + i % columns}" for i in range(len(images))]
    page = sheet(images, columns, seeds, [row.title for row in rows])
    facts = {"rows": {row.title: [list(part) for part in row.parts] for row in rows}, "count": first.count}
    return save_png(path, page, first, first.seed or 0, fingerprint, {"mixture": facts})
