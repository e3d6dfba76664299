"""What `prepare` does to every picture, as one frozen record: how faces are found, cut, sifted and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import suggest
from ..errors import ConfigError, UsageError
from .crop import CropConfig
from .detect import DETECTORS
from .filters import FilterConfig

FORMATS = {"png": "PNG", "webp": "WEBP", "jpg": "JPEG"}
ALIGNMENTS = ("crop", "fairface")
QUALITY = {"webp": 90, "jpg": 95}  # png keeps every pixel
LEVEL = {"png": 3, "webp": 4}

NO_FILTERS = FilterConfig(min_size=0, outside=1, blur=0, dark=0, bright=255, duplicates=-1)
# The shipped faces: their table was sifted by hand, so nothing is sifted again. With these numbers
# the files come out as large as the given ones, and nearest to them.
FAIRFACE: dict[str, Any] = {
    "crop": {"size": 128, "edges": "mirror"},
    "filters": vars(NO_FILTERS),
    "align": "fairface",
    "format": "webp",
    "quality": 86,
    "level": 6,
}


@dataclass(frozen=True)
class PrepareConfig:
    """crop, filters: see there; detector: a name of `DETECTORS`, with `detector_path` (yunet's ONNX file) and `longest`
    (it looks at a copy of at most so many pixels; 0: its own default);
    align: "crop" frames as `crop` says, "fairface" exactly as the faces that the embedded models were trained on;
    format: png, webp or jpg; quality: of webp and jpg, 0: 90 and 95; level: how hard to compress, PNG 0 to 9, webp 0 to
    6, -1: 3 and 4 (higher ones take several times as long and save a few percent);
    minors: keep pictures of people who are, or may be, under 18 by their label or text.
    """

    crop: CropConfig = field(default_factory=CropConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    detector: str = "mtcnn"
    detector_path: str | None = None
    longest: int = 0
    align: str = "crop"
    format: str = "png"
    quality: int = 0
    level: int = -1
    minors: bool = False

    def __post_init__(self) -> None:
        for name, known in (("detector", [*DETECTORS]), ("align", [*ALIGNMENTS]), ("format", [*FORMATS])):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} cannot be {getattr(self, name)!r}{suggest(str(getattr(self, name)), known)}")
        if not 0 <= self.quality <= 100 or not -1 <= self.level <= 9:
            raise ConfigError("quality is within 1 to 100 (0: the format's own), level within 0 to 9 (-1: its own)")
        if self.detector_path and not Path(self.detector_path).is_file():
            raise UsageError(f"no file {self.detector_path}")

    def detector_options(self) -> dict[str, Any]:
        """What `make_detector` takes beside the name."""
        options: dict[str, Any] = {"longest": self.longest} if self.longest and self.detector != "none" else {}
        return options | ({"path": self.detector_path} if self.detector_path else {})

    def writing(self) -> dict[str, Any]:
        """What Pillow's `save` takes."""
        quality = self.quality or QUALITY.get(self.format, 0)
        level = LEVEL.get(self.format, 0) if self.level < 0 else self.level
        by_format: dict[str, dict[str, Any]] = {
            "png": {"compress_level": level},
            "webp": {"quality": quality, "method": min(level, 6)},
            "jpg": {"quality": quality, "subsampling": 0},
        }
        return {"format": FORMATS[self.format], **by_format[self.format]}
