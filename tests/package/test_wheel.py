"""The wheel in empty environments: the core draws offline, each extra works alone, and without it an error names it.

The core's dependencies are installed once. The environment of an extra sees them, through a `.pth` file, and its own:
what `pip install likeness[extra]` into an empty environment would have, without fetching torch for each.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "src" / "likeness" / "assets"
pytestmark = pytest.mark.slow  # minutes: it installs torch

PREPARE = ["data", "prepare", "folder", "photos", "--output", "ready", "--detector", "haar", "--workers", "0"]
TRAIN = ["train", "judge", "--preset", "smoke/judge", "--data", str(ASSETS / "faces"), "--set", "split=test"]
CAPTION = ["caption", "run", "faces", "--captioner", "api", "--model", "face-vision", "--endpoint"]
FILM = ["mix", "film", "a man", "a woman", "--frames", "2", "--steps", "1", "--mp4", "-o", "film"]
# extra -> a command that the core alone cannot do
NEEDS = {
    "data": PREPARE,
    "caption": [*CAPTION, "http://127.0.0.1:9/v1"],
    "train": [*TRAIN, "--output", "run"],
    "film": FILM,
    "service": ["serve"],
    "ui": ["ui"],
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", place, ROOT], check=True, capture_output=True)
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and no extra."""
    return _environment(tmp_path_factory.mktemp("core"), str(wheel))


@pytest.fixture
def with_extra(wheel: Path, core: Path, tmp_path: Path) -> Callable[[str], Path]:
    """`with_extra("data")`: the interpreter of an environment with the wheel and that extra."""
    return lambda extra: _environment(tmp_path / f"with-{extra}", f"{wheel}[{extra}]", _packages(core))


def _environment(place: Path, what: str, below: Path | None = None) -> Path:
    """A new virtual environment with `what`, on top of the packages in `below`; its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    python = place / "bin" / "python"
    if below:
        (_packages(python) / "core.pth").write_text(f"{below}\n")
    # --no-compile: most of torch is never imported here, and compiling all of it takes longer than all the rest
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--no-compile"]
    subprocess.run([*pip, "--disable-pip-version-check", "-c", ROOT / "constraints.txt", what], check=True)
    return python


def _packages(python: Path) -> Path:
    (found,) = python.parent.parent.glob("lib/python*/site-packages")
    return found


def _environ(**more: str) -> dict[str, str]:
    """This one's, without what would lead out of the new environment or into the user's folders."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "LIKENESS"))}
    own = {"HF_HUB_OFFLINE": "1", "LIKENESS_HOME": str(Path("home").resolve()), "LIKENESS_CACHE": "cache"}
    return kept | own | more


def likeness(python: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "likeness", *words]
    return subprocess.run(command, capture_output=True, text=True, env=_environ(**environ), timeout=900)


@contextlib.contextmanager
def running(command: list[str | Path]) -> Iterator[subprocess.Popen[str]]:
    """A program that runs until it is told to end, as Ctrl-C does; it then ends well."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environ()) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def _asked(address: str, body: dict[str, object] | None = None) -> bytes:
    """What the server answers, once it listens."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    for _ in range(600):
        with contextlib.suppress(ConnectionError, urllib.error.URLError):
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.read()
        time.sleep(0.5)
    raise AssertionError(f"{address} does not answer")


def test_both_archives_are_made_and_hold_what_they_should(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "likeness/py.typed" in names and any(name.startswith("likeness/assets/mini/unet/") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "docs/", "runs/"))]
    assert len(list(wheel.parent.glob("*.tar.gz"))) == 1


def test_the_core_alone_draws_offline(core: Path) -> None:
    program = core.parent / "likeness"  # as a user calls it
    drawn = [program, "generate", "an old man", "--steps", "2", "--seed", "1", "-o", "face.png"]
    done = subprocess.run(drawn, capture_output=True, text=True, env=_environ())
    assert done.returncode == 0 and Path("face.png").is_file(), done.stderr
    done = likeness(core, "evaluate", "mini", "--limit", "2", "--steps", "2")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("extra", NEEDS)
def test_without_an_extra_the_error_names_it(extra: str, core: Path) -> None:
    _photos(Path("photos"))
    _table(Path("faces"))
    done = likeness(core, *NEEDS[extra])
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert re.search(rf"likeness\[[\w,]*\b{extra}\b", done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_data_alone_prepares_photos(with_extra: Callable[[str], Path]) -> None:
    _photos(Path("photos"))
    done = likeness(with_extra("data"), *PREPARE)
    assert done.returncode == 0 and Path("ready/metadata.jsonl").is_file(), done.stderr


def test_caption_alone_asks_a_server(with_extra: Callable[[str], Path]) -> None:
    _table(Path("faces"))
    python = with_extra("caption")
    server = subprocess.Popen(
        [sys.executable, ROOT / "tests/caption/unruly.py"], stdout=subprocess.PIPE, text=True, env=_environ()
    )
    try:
        found = re.search(r"http://\S+", server.stdout.readline() if server.stdout else "")
        assert found
        done = likeness(python, *CAPTION, found[0], LIKENESS_API_KEY="any")
        assert done.returncode == 0, done.stderr
        done = likeness(python, "caption", "finish", "faces")
        assert done.returncode == 0, done.stderr
    finally:
        server.kill()
        server.communicate()
    assert all(json.loads(line)["text"] for line in Path("faces/metadata.jsonl").read_text().splitlines())


def test_train_alone_trains_with_its_logs(with_extra: Callable[[str], Path]) -> None:
    done = likeness(with_extra("train"), *TRAIN, "--output", "run")
    assert done.returncode == 0 and list(Path("run").glob("events.out.tfevents.*")), done.stderr


def test_film_alone_writes_an_mp4(with_extra: Callable[[str], Path]) -> None:
    done = likeness(with_extra("film"), *FILM)
    assert done.returncode == 0 and b"ftyp" in Path("film/film.mp4").read_bytes()[:16], done.stderr


def test_service_alone_serves_and_names_postgres(with_extra: Callable[[str], Path]) -> None:
    python = with_extra("service")
    with running([python, "-m", "likeness", "serve", "--port", "0"]) as process:
        found = re.search(r"serves at (http://\S+)", process.stdout.readline() if process.stdout else "")
        assert found
        answer = json.loads(_asked(f"{found[1]}/v1/images", {"prompt": "an old man", "seed": 1, "steps": 2}))
    assert len(answer["pictures"]) == 1
    done = likeness(python, "keys", "add", "somebody", LIKENESS_SERVE_DATABASE="postgresql://nobody@127.0.0.1:9/none")
    assert done.returncode == 2 and "likeness[postgres]" in done.stderr, done.stderr


def test_postgres_alone_keeps_keys_in_postgresql(with_extra: Callable[[str], Path]) -> None:
    from postgres_server import new_database

    database = new_database()
    python = with_extra("postgres")
    done = likeness(python, "keys", "add", "somebody", LIKENESS_SERVE_DATABASE=database)
    assert done.returncode == 0, done.stderr
    assert "somebody" in likeness(python, "keys", "list", LIKENESS_SERVE_DATABASE=database).stdout


def test_ui_alone_shows_the_page(with_extra: Callable[[str], Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with running([with_extra("ui"), "-m", "likeness", "ui", "--port", str(port)]):
        assert _asked(f"http://127.0.0.1:{port}/_stcore/health") == b"ok"
        assert b"<html" in _asked(f"http://127.0.0.1:{port}/")


def test_notebook_alone_is_a_kernel_that_can_caption(with_extra: Callable[[str], Path]) -> None:
    code = "import ipykernel.kernelapp, openai, cv2, datasets, likeness; print(likeness.__version__)"
    done = subprocess.run([with_extra("notebook"), "-c", code], capture_output=True, text=True, env=_environ())
    assert done.returncode == 0, done.stderr


def _photos(folder: Path) -> None:
    folder.mkdir()
    for face in sorted((ASSETS / "faces/images").iterdir())[:4]:
        shutil.copy(face, folder)


def _table(folder: Path) -> None:
    """A prepared folder whose faces have no texts yet."""
    images = folder / "images"
    folder.mkdir()
    _photos(images)
    rows = [{"file_name": f"images/{face.name}", "text": ""} for face in sorted(images.iterdir())]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
