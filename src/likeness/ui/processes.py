"""Command lines of the page and the service, and two processes that live and end together."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .look import THEME

STDERR = 2  # what they say is not our result
GRACE = 15.0  # seconds for a process to end by itself
PAGE = Path(__file__).with_name("page.py")


class Ended(Exception):
    """A process ended that should not have. `name` is which, `code` its exit code."""

    def __init__(self, name: str, code: int) -> None:
        self.name, self.code = name, code
        super().__init__(f"{name} ended with exit code {code}")


def page_command(host: str, port: int) -> list[str]:
    """Streamlit on the page: no questions, no statistics, no watching of files, no traceback in the browser."""
    options = THEME | {
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": "12",
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        "logger.hideWelcomeMessage": "true",
    }
    return [sys.executable, "-m", "streamlit", "run", str(PAGE), *(f"--{k}={v}" for k, v in options.items())]


def page_environment(api: str, key: str | None) -> dict[str, str]:
    """The environment that tells the page where to ask; a key is never on a command line, where others could see it."""
    return os.environ | {"LIKENESS_API_URL": api} | ({"LIKENESS_API_KEY": key} if key else {})


def free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def answers(url: str) -> bool:
    """Whether a GET of this address gives a good answer."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=2) as answer:
            return answer.status == 200
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def together(commands: Mapping[str, list[str]], env: Mapping[str, str]) -> Iterator[Callable[[], None]]:
    """Run the commands as long as the block; yields a check that raises `Ended` when one has ended by itself.

    Each has a process group of its own: Ctrl-C reaches only us, and we end them in order, the last first.
    """
    running: dict[str, subprocess.Popen[Any]] = {}

    def check() -> None:
        for name, process in running.items():
            if (code := process.poll()) is not None:
                raise Ended(name, code)

    try:
        for name, command in commands.items():
            running[name] = subprocess.Popen(command, env=dict(env), stdout=STDERR, start_new_session=True)
        yield check
    finally:
        for process in reversed(running.values()):
            _end(process)


def wait(ready: Mapping[str, str], check: Callable[[], None], stopped: Callable[[], Any]) -> None:
    """Come back when every address of `ready` (name -> URL) answers, or when `stopped`. Raises `Ended`."""
    missing = dict(ready)
    while missing and not stopped():
        check()
        missing = {name: url for name, url in missing.items() if not answers(url)}
        time.sleep(1.0)


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
