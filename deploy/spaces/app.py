"""A Hugging Face Space: the service on the loopback, the page on the Space's port. If one ends, so does the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

API = os.environ.get("API_PORT", "8000")
PORT = os.environ.get("PORT", "7860")


def commands(environ: dict[str, str]) -> list[list[str]]:
    """What is started: MODEL and LORA are the Space's variables."""
    likeness = [sys.executable, "-m", "likeness"]
    serve = [*likeness, "serve", "--port", API, "--model", environ.get("MODEL") or "mini"]
    if lora := environ.get("LORA"):
        serve += ["--lora", f"{lora.rsplit('/', 1)[-1]}={lora}"]
    page = [
        *likeness,
        "ui",
        "--host",
        environ.get("HOST") or "0.0.0.0",
        "--port",
        PORT,
        "--api",
        f"http://127.0.0.1:{API}",
    ]
    return [serve, page]


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    running = [subprocess.Popen(command) for command in commands(dict(os.environ))]
    try:
        while all(process.poll() is None for process in running):
            time.sleep(0.5)
        return next(process.returncode for process in running if process.poll() is not None)
    except KeyboardInterrupt:
        return 0
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            process.wait(30)


if __name__ == "__main__":
    sys.exit(main())
