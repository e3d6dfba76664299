"""Before anything is imported: no model hub, few threads; for each test: a folder of its own to work in."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
# two processes side by side (make test) want a thread each: more would wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.pop("LIKENESS_DEVICE", None)
# what is imported stays: looking through it for garbage as often as Python does costs a seventh of the time
gc.set_threshold(50_000, 20, 20)


def roomy(folder: Path) -> bool:
    """Whether it has 8 GiB to spare, and programs may lie there."""
    try:
        return shutil.disk_usage(folder).free >= 8 << 30 and not os.statvfs(folder).f_flag & os.ST_NOEXEC
    except (OSError, AttributeError):  # not there; not Linux
        return False


MEMORY = Path("/dev/shm")
# thousands of files are written through to the disk, for power cuts that no test can make: in memory that costs nothing
if "PYTEST_DEBUG_TEMPROOT" not in os.environ and os.access(MEMORY, os.W_OK) and roomy(MEMORY):
    ROOM = tempfile.TemporaryDirectory(prefix="likeness-tests-", dir=MEMORY, ignore_cleanup_errors=True)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = ROOM.name  # both go when the interpreter ends
CACHE = tempfile.TemporaryDirectory(prefix="likeness-cache-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
os.environ["LIKENESS_CACHE"] = CACHE.name
os.environ.setdefault("COLUMNS", "120")  # rich folds help texts at the terminal's width

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a test writes by a relative path (runs/, face.png) lands in the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def faces() -> Path:
    """The shipped folder of labelled test faces."""
    return ROOT / "src" / "likeness" / "assets" / "faces"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`tiny("sd15")`: the folder of a tiny pipeline of that family (sd15, sd21, sdxl), made once."""
    from tiny import build

    made: dict[str, Path] = {}

    def of(family: str) -> Path:
        if family not in made:
            made[family] = build(family, tmp_path_factory.mktemp(family) / family)
        return made[family]

    return of
