"""A running stand-in service, a client for it, and the page as Streamlit's own test runner sees it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit", reason="the page is an extra")
pytest.importorskip("httpx", reason="the page is an extra")
HERE = Path(__file__).parent


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"ui_{name}", HERE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


stand_in = _load("stand_in")


@pytest.fixture(scope="session")
def journey() -> Any:
    """The way through the page in a browser."""
    return _load("journey")


@pytest.fixture
def state() -> Any:
    """What the stand-in service remembers."""
    return stand_in.State()


@pytest.fixture
def service(state: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a stand-in service that the page is told of."""
    monkeypatch.delenv("LIKENESS_API_KEY", raising=False)
    with stand_in.running(state) as url:
        monkeypatch.setenv("LIKENESS_API_URL", url)
        yield url


@pytest.fixture
def client(service: str) -> Iterator[Any]:
    from likeness.ui.client import Client

    found = Client(service)
    yield found
    found.close()


@pytest.fixture
def page() -> Callable[[], Any]:
    """Opens the page: `page()` is a fresh browser session."""
    from streamlit.testing.v1 import AppTest

    file = HERE.parents[1] / "src" / "likeness" / "ui" / "page.py"
    return lambda: AppTest.from_file(str(file), default_timeout=60).run()


@contextlib.contextmanager
def _command(
    *args: str, env: Mapping[str, str] | None = None, stderr: Any = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A `likeness` command that runs; ended at the end of the block, whatever happened in it."""
    command, out = [sys.executable, "-m", "likeness.cli.main", *args], subprocess.PIPE
    with subprocess.Popen(command, stdout=out, stderr=stderr, text=True, env=os.environ | (env or {})) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate()


@pytest.fixture(scope="session")
def likeness() -> Any:
    """`with likeness("ui", "--port", "8501") as process:` runs the command line."""
    return _command


@pytest.fixture(scope="session")
def open_port() -> Callable[[], int]:
    """A port that nobody has, and that no system hands out by itself before it is taken (Linux begins at 32768)."""

    def found() -> int:
        while True:
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", random.SystemRandom().randrange(20_000, 30_000)))
                return probe.getsockname()[1]

    return found
