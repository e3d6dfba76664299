"""Where pictures go, decided and tried before the first is drawn."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..records import ImageRequest, Sample

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")  # any other name is a folder's


@dataclass(frozen=True)
class Destination:
    """A file for one picture (or one sheet), or a folder for several."""

    path: Path
    folder: bool
    grid: bool
    several: bool
    planned: tuple[Any, ...] | None = None  # what a file of prompts asks for and the folder lacks (`folder.Planned`)
    base_seed: int | None = None
    marks: Any = None  # `provenance.Marks`; None: recipe and XMP only

    def save(self, samples: Iterator[Sample]) -> list[Path]:
        """Write the pictures as they come; the files written, the sheet last."""
        from ..generate import folder

        kept: list[Sample] = []

        def keep() -> Iterator[Sample]:
            for sample in samples:
                kept.append(sample)
                yield sample

        if self.folder and self.several:
            written = folder.save_folder(
                self.path, keep(), planned=self.planned, base_seed=self.base_seed, marks=self.marks
            )
        elif self.grid and not self.folder:
            written = []
            kept.extend(samples)
        else:
            target = self.path / f"face-{(first := next(keep())).seed}.png" if self.folder else self.path
            written = [folder.save(target, first if self.folder else next(keep()), self.marks)]
        if self.grid:
            written.append(_save_sheet(self.path / "grid.png" if self.folder else self.path, kept, self.marks))
        return written


def choose(
    output: Path | None, grid: bool, requests: list[ImageRequest], watermark: bool = False, sign: bool = False
) -> Destination:
    """Raises `UsageError` when the place cannot take what will be drawn, `MissingExtra` when it cannot be signed.

    Leaves nothing behind.
    """
    marks = _marks(watermark, sign)
    several = sum(request.count for request in requests) > 1
    if output is None:
        seed = requests[0].seed
        name = f"grid-{seed}.png" if grid else "faces" if several else f"face-{seed}.png"
        output, folder = _unused(Path(name)), several and not grid
    else:
        folder = output.is_dir() or output.suffix.lower() not in PICTURES
    if not folder:
        if output.suffix.lower() != ".png":
            raise UsageError(f"{output}: pictures are saved as .png, which carries their recipe; a folder does too")
        if several and not grid:
            raise UsageError(f"{output} can hold one picture: give a folder to --output, or add --grid")
    _try(output, folder)
    return Destination(output, folder, grid, several, marks=marks)


def _marks(watermark: bool, sign: bool) -> Any:
    if not (watermark or sign):
        return None
    from ..provenance import Marks, certificates

    if sign:
        certificates.credentials(None, None, None)
    return Marks(watermark=watermark, c2pa=sign)


def _try(output: Path, folder: bool) -> None:
    """Write and remove a file in the nearest folder that exists: permission bits do not tell all."""
    nearest = output if folder else output.parent
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}. Choose another --output.") from None


def _unused(path: Path) -> Path:
    """The path, or the first of `name-2`, `name-3`, … that does not exist: defaults never overwrite."""
    numbers = iter(range(2, 1_000_000))
    candidate = path
    while candidate.exists():
        candidate = path.with_name(f"{path.stem}-{next(numbers)}{path.suffix}")
    return candidate


def _save_sheet(path: Path, samples: list[Sample], marks: Any) -> Path:
    from ..generate.grid import sheet
    from ..provenance import UNTOUCHED, save_png

    prompts = list(dict.fromkeys(s.request.prompt for s in samples))
    labels = [s.request.prompt if len(prompts) > 1 else f"seed {s.seed}" for s in samples]
    page, first = sheet([s.image for s in samples], labels=labels), samples[0]
    facts: dict[str, Any] = {"count": len(samples), "seeds": [s.seed for s in samples], "prompts": prompts}
    extra = {"grid": facts, "drawn": first.image.info.get("likeness", {})}
    return save_png(path, page, first.request, first.seed, first.fingerprint, extra, marks or UNTOUCHED)
