"""Servers for tests: an app with a store of its own, in this process or behind a real port."""

from __future__ import annotations

import base64
import contextlib
import http.server
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from likeness.service.app import create_app
from likeness.service.settings import Settings
from plain_engine import PlainEngine, PlainTexts

LOCAL = "http://127.0.0.1:8000"


def settings(folder: Path, **changes: Any) -> Settings:
    """With database and pictures in `folder`, and so many requests a minute that no test runs into the limit."""
    place = {"database": f"sqlite:///{folder / 'likeness.db'}", "pictures": str(folder / "pictures")}
    return Settings(**place | {"rate_per_minute": 100_000} | changes)


def app(folder: Path, engine: Any = None, **changes: Any) -> FastAPI:
    """With an engine that draws plain pictures at once."""
    return create_app(settings(folder, **changes), engine or PlainEngine(), texts=PlainTexts())


@contextlib.contextmanager
def client(folder: Path, engine: Any = None, **changes: Any) -> Iterator[TestClient]:
    """A client in this process; `client.app.state.parts` are the server's parts."""
    with TestClient(app(folder, engine, **changes), LOCAL, raise_server_exceptions=False) as it:
        yield it


@contextlib.contextmanager
def listening(app: FastAPI) -> Iterator[tuple[str, int]]:
    """A real server in a thread: its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                thread.join(0.01)
            yield listener.getsockname()[:2]
        finally:
            server.should_exit = True
            thread.join(120)
            assert not thread.is_alive(), "the server did not end"


def until(true: Callable[[], object]) -> None:
    """Wait for it, as long as a busy machine may take."""
    for _ in range(12_000):
        if true():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it has not become true within two minutes")


@contextlib.contextmanager
def gateway() -> Iterator[str]:
    """An image engine of the field: `{"caption"}` -> `{"image_url"}`, a new picture each time."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/generate-image"
        finally:
            server.shutdown()
            thread.join()


class _Gateway(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        written = io.BytesIO()
        Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3)).save(written, "PNG")
        picture = base64.b64encode(written.getvalue()).decode()
        said = json.dumps({"status": "success", "image_url": f"data:image/png;base64,{picture}"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *args: object) -> None:
        pass


class Process:
    """`likeness serve` as its own process, with what it says on stdout and stderr in files."""

    def __init__(self, folder: Path, *options: str, **environ: str) -> None:
        self.folder, self.options = folder, options
        own = {"LIKENESS_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("LIKENESS_SERVE")} | own | environ
        self.said, self.logged = folder / "stdout", folder / "stderr"

    def start(self, port: int = 0) -> str:
        """Its address, once it answers."""
        command = [sys.executable, "-m", "likeness.cli.main", "serve", "--port", str(port), *self.options]
        with open(self.said, "wb") as out, open(self.logged, "ab") as err:
            # a group of its own: the kill of a test reaches the workers too, as a power cut would
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=self.environ, start_new_session=True)
        for _ in range(6000):
            if found := re.search(r"serves at (http://\S+)", self.said.read_text()):
                return found[1]
            assert self.process.poll() is None, self.logged.read_text()[-2000:]
            threading.Event().wait(0.05)
        raise AssertionError("the server is not up after five minutes")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(330)
