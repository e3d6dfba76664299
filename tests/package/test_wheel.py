"""The wheel in empty environments: the core draws offline, each extra works alone, and without it an error names it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow  # minutes for each environment

# extra -> a command that needs it, what it says with it, and the same command without it
NEEDS = {
    "data": (
        ["data", "prepare", "folder", "photos", "--output", "ready", "--detector", "haar", "--workers", "0"],
        "faces",
    ),
    "train": (["doctor"], "tensorboard"),
    "service": (["serve", "--show"], "port"),
    "ui": (["ui", "--help"], "page"),
    "film": (["mix", "film", "a man", "a woman", "--frames", "2", "--steps", "1", "--mp4", "-o", "film"], "film.mp4"),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", place, ROOT], check=True, capture_output=True)
    (found,) = place.glob("*.whl")
    return found


def environment(place: Path, what: str) -> Path:
    """A new virtual environment with the wheel; the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pip = [place / "bin" / "pip", "install", "-qq", "--disable-pip-version-check", "-c", ROOT / "constraints.txt", what]
    subprocess.run(pip, check=True)
    return place / "bin"


def likeness(programs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    return subprocess.run([programs / "likeness", *words], capture_output=True, text=True, env=environ)


def test_both_archives_are_made_and_hold_what_they_should(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "likeness/py.typed" in names and any(name.startswith("likeness/assets/mini/unet/") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "docs/", "runs/"))]
    assert len(list(wheel.parent.glob("*.tar.gz"))) == 1


def test_the_core_alone_draws_and_names_what_is_missing(wheel: Path, tmp_path: Path) -> None:
    programs = environment(tmp_path / "core", str(wheel))
    drawn = likeness(programs, "generate", "an old man", "--steps", "2", "--seed", "1", "-o", "face.png")
    assert drawn.returncode == 0 and Path("face.png").is_file(), drawn.stderr
    assert likeness(programs, "evaluate", "mini", "--limit", "2", "--steps", "2").returncode == 0
    for extra, words in {
        "data": ["data", "prepare", "folder", ".", "--output", "ready"],
        "service": ["serve"],
        "ui": ["ui"],
        "film": NEEDS["film"][0],
    }.items():
        done = likeness(programs, *words)
        assert done.returncode == 2 and f"likeness[{extra}]" in done.stderr, (extra, done.stderr)


@pytest.mark.parametrize("extra", NEEDS)
def test_an_extra_installs_alone_and_works(extra: str, wheel: Path, tmp_path: Path) -> None:
    import shutil

    programs = environment(tmp_path / extra, f"{wheel}[{extra}]")
    faces = sorted((ROOT / "src/likeness/assets/faces/images").iterdir())[:4]
    Path("photos").mkdir()
    for face in faces:
        shutil.copy(face, "photos")
    words, said = NEEDS[extra]
    done = likeness(programs, *words)
    assert done.returncode == 0 and said in done.stdout + done.stderr, done.stderr
