"""`likeness ui` opens the page for a service that runs; `likeness up` starts both."""

from __future__ import annotations

import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ..errors import LikenessError, MissingExtra, UsageError
from . import output as out

API, PAGE = 8000, 8501
HOST = "127.0.0.1"
EVERYWHERE = {"0.0.0.0", "::"}  # to listen at, not to be asked for


def ui(
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65535)] = PAGE,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for other machines too.")] = HOST,
    api: Annotated[
        str | None, typer.Option(help="Address of the service.", show_default="http://127.0.0.1:8000")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The service's key; better in LIKENESS_API_KEY.")] = None,
) -> None:
    """The web page: describe somebody, draw faces, change them. Needs a running service (`likeness serve`)."""
    from ..ui import processes

    _installed("streamlit")
    address = api or os.environ.get("LIKENESS_API_URL") or f"http://{HOST}:{API}"
    if not address.startswith(("http://", "https://")):
        raise UsageError(f"--api {address!r} is no address: write it as http://{HOST}:{API}")
    _free(host, port, "--port")
    page = _url(HOST if host in EVERYWHERE else host, port)

    def tell() -> None:
        _addresses(page, address)
        if not processes.answers(f"{address.rstrip('/')}/healthz"):
            out.remark("The service does not answer yet: start it with `likeness serve`.")

    commands = {"the page": processes.page_command(host, port)}
    _run(commands, processes.page_environment(address, key), {"the page": f"{page}/_stcore/health"}, tell)


def up(
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65535)] = PAGE,
    api_port: Annotated[int, typer.Option(help="Port of the service.", min=1, max=65535)] = API,
    model: Annotated[str | None, typer.Option(help="Model that the service draws with.", show_default="mini")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings of the service, as for `likeness serve`.")] = None,
    lora: Annotated[list[str] | None, typer.Option(help="LoRA to draw with, as NAME=PATH. Repeatable.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
) -> None:
    """Start the service and the page on this machine, and open the page. Ctrl-C ends both."""
    from ..ui import processes

    _installed("fastapi", "streamlit")
    if port == api_port:
        raise UsageError(f"the page and the service cannot both have port {port}: change --port or --api-port")
    _free(HOST, api_port, "--api-port")
    _free(HOST, port, "--port")
    service, page = _url(HOST, api_port), _url(HOST, port)
    serve = [sys.executable, "-m", "likeness.cli.main", "serve", "--host", HOST, "--port", str(api_port)]
    serve += ["--model", model] if model else []
    serve += ["--config", str(config)] if config else []
    serve += [word for one in lora or () for word in ("--lora", one)]
    commands = {
        "the service": serve,
        "the page": processes.page_command(HOST, port),
    }
    ready = {"the service": f"{service}/readyz", "the page": f"{page}/_stcore/health"}

    def tell() -> None:
        _addresses(page, service)
        out.result("Ctrl-C ends both.")
        if not no_browser:
            webbrowser.open(page)

    out.remark("Starting the service and the page…")
    _run(commands, processes.page_environment(service, None), ready, tell)


def _run(
    commands: dict[str, list[str]],
    env: dict[str, str],
    ready: dict[str, str],
    tell: Callable[[], None],
) -> None:
    """Until a signal comes, which is a good end; or until a process ends by itself, which is not."""
    from ..ui import processes

    try:
        with _signals() as stopped, processes.together(commands, env) as check:
            processes.wait(ready, check, stopped.is_set)
            if not stopped.is_set():
                tell()
            while not stopped.wait(0.3):
                check()
            out.remark("Ending…")
    except processes.Ended as end:
        rest = "; the other was ended too" if len(commands) > 1 else ""
        raise LikenessError(f"{end.name} ended unexpectedly with exit code {end.code}{rest}: see above") from None


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM or a closed terminal sets."""
    stopped = threading.Event()
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _installed(*modules: str) -> None:
    if missing := [module for module in modules if find_spec(module) is None]:
        raise MissingExtra(f"the page needs {missing[0]}: pip install 'likeness[service,ui]'")


def _free(host: str, port: int, flag: str) -> None:
    from ..ui import processes

    if not processes.free(host, port):
        raise UsageError(f"port {port} of {host} is taken or not allowed: choose another with {flag}")


def _addresses(page: str, service: str) -> None:
    out.result(f"page     {page}\nservice  {service}")
    sys.stdout.flush()


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
