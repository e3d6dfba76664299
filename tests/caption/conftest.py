"""The server of these tests can be imported: `from unruly import serve`; no key or model of the user's is used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.caption.captioner import Face
from likeness.records import FaceRecord

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIKENESS_API_KEY", "LIKENESS_ENDPOINT", "LIKENESS_MODEL", "GROQ_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[int], list[Face]]:
    """`pictures(20)`: so many small pictures, no two alike, as faces of a table."""

    def made(count: int) -> list[Face]:
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        random = np.random.default_rng(5)
        faces = []
        for i in range(count):
            path = folder / f"{i:05d}.jpg"
            Image.fromarray(random.integers(0, 255, (4, 4, 3), np.uint8)).resize((48, 48)).save(path)
            faces.append(Face(FaceRecord(path.name), path))
        return faces

    return made
