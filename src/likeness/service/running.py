"""A server process: the address is taken first, then the model is loaded, then requests are answered until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ..errors import UsageError
from .app import create_app
from .settings import Settings


class Server(uvicorn.Server):
    """Tells the app of a signal; uvicorn then takes no new connections, and a second Ctrl-C waits for nobody."""

    def __init__(self, config: uvicorn.Config, leave: Callable[[], object]) -> None:
        super().__init__(config)
        self.leave = leave

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.leave()
        super().handle_exit(sig, frame)


def run(settings: Settings, announce: Callable[[str, FastAPI], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` hears the address and the app when it is ready.

    Raises `UsageError` when the address is taken or none of this machine, and what the engine raises at its start.
    """
    with bind(settings.host, settings.port) as listener:
        app = create_app(settings)
        config = uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=int(settings.grace) + 5,
        )  # fmt: skip
        server = Server(config, app.state.leave)
        with _stoppable(server):
            asyncio.run(_serve(app, server, listener, announce))


async def _serve(
    app: FastAPI, server: Server, listener: socket.socket, announce: Callable[[str, FastAPI], None]
) -> None:
    loop, leave = asyncio.get_running_loop(), server.leave
    server.leave = lambda: loop.call_soon_threadsafe(leave)
    async with app.router.lifespan_context(app):  # not uvicorn's: an error of the start comes out as it is
        announce(address(listener), app)
        await server.serve(sockets=[listener])


@contextlib.contextmanager
def _stoppable(server: Server) -> Iterator[None]:
    """A signal while the model is loaded ends the start; one that uvicorn hands on after its end is spent."""

    def stop(number: int, frame: FrameType | None) -> None:
        if not server.started:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `UsageError`."""
    try:
        family, _, _, _, place = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
        except OSError:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot listen at {host}:{port}: {said}. Choose another with --host and --port.") from None
    listener.listen(2048)
    return listener


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
