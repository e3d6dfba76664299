"""How the service marks its pictures and reads marks: the settings' part of provenance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..files import state_folder
from .settings import MarkSettings

if TYPE_CHECKING:
    from ..provenance import Marks


def marks(settings: MarkSettings) -> Marks:
    """What the engine sets on every picture. Raises `UsageError` or `MissingExtra` now, not at the first picture."""
    from ..provenance import Marks
    from ..provenance.certificates import credentials

    chosen = Marks(
        watermark=settings.watermark, c2pa=settings.c2pa, certificate=settings.certificate or None,
        key=settings.key or None,
    )  # fmt: skip
    if chosen.c2pa:
        credentials(chosen.certificate, chosen.key, chosen.state)
    return chosen


def verifier(settings: MarkSettings) -> Callable[[bytes], dict[str, Any]]:
    """A picture's bytes -> what is known of it; trusts the settings' anchors and the server's own authority."""

    def verify(data: bytes) -> dict[str, Any]:
        from ..provenance.verify import verify as look

        return look(data, [path.read_text("utf-8") for path in _anchors(settings)]).to_dict()

    for path in _anchors(settings):
        if not path.is_file():
            raise UsageError(f"marks.anchors: no file {path}")
    return verify


def _anchors(settings: MarkSettings) -> list[Path]:
    from ..provenance.certificates import AUTHORITY, FOLDER

    own = state_folder() / FOLDER / AUTHORITY
    return [*map(Path, settings.anchors), *([own] if own.is_file() else [])]
