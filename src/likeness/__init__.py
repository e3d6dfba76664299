"""likeness turns a description of a person into a picture of a face.

    from likeness import FaceGenerator, ImageRequest

    (sample,) = FaceGenerator().generate(ImageRequest("a smiling woman in her thirties with long black hair", seed=7))
    sample.image.save("face.png")

Importing this loads neither torch nor transformers: a name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        ConfigError,
        EngineError,
        LikenessError,
        MissingExtra,
        ModelNotFound,
        PromptRefused,
        RecordError,
        TrainingError,
        UsageError,
    )
    from .generate.generator import FaceGenerator
    from .grammar import describe, parse
    from .records import Age, Attributes, FaceRecord, ImageRequest, Sample, Score

_HOMES = {
    "errors": (
        "ConfigError", "EngineError", "LikenessError", "MissingExtra", "ModelNotFound", "PromptRefused", "RecordError",
        "TrainingError", "UsageError",
    ),
    "generate.generator": ("FaceGenerator",),
    "grammar": ("describe", "parse"),
    "records": ("Age", "Attributes", "FaceRecord", "ImageRequest", "Sample", "Score"),
}  # fmt: skip
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Age",
    "Attributes",
    "ConfigError",
    "EngineError",
    "FaceGenerator",
    "FaceRecord",
    "ImageRequest",
    "LikenessError",
    "MissingExtra",
    "ModelNotFound",
    "PromptRefused",
    "RecordError",
    "Sample",
    "Score",
    "TrainingError",
    "UsageError",
    "describe",
    "parse",
]

# A library stays silent unless its user sets logging up.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    if name == "__version__":
        from .provenance import version

        return version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
