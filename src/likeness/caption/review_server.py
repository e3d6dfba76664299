"""The review page on this machine: every decision is on disk before the page hears that it is kept.

Only this machine is served, and only who knows the address with its random token: other pages in the same browser can
neither read nor send. Decisions go to `decisions.jsonl` in the folder; at the end they go into the table at once, and
the file moves to `.captions/`. A server that is killed leaves the file, and the next one goes on with it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..data.manifest import mend
from ..data.writers import only_writer
from ..errors import LikenessError, UsageError
from ..files import read_jsonl
from .decisions import OPEN, Applied, Decision, apply, fingerprint
from .ledger import HIDDEN, now
from .problems import Checks
from .review_page import page, thumbnail
from .review_rows import ONLY, Row, select

DECISIONS = "decisions.jsonl"
HOSTS = ("127.0.0.1", "localhost")
LARGEST = 1 << 20  # bytes of a request
PATIENCE = 30.0  # seconds that a request may take to come in
SIDE = 320  # pixels of a picture: twice what the page shows, for fine screens
PER_PAGE = 2000


class Review:
    """What is reviewed, and the file of decisions. Memory: about 2 KB a row."""

    def __init__(self, folder: str | Path, rows: list[Row], by: str = "") -> None:
        self.folder, self.rows, self.by = Path(folder), rows, by
        self.places = {row.file_name: place for place, row in enumerate(rows)}
        self.path = self.folder / DECISIONS
        self.result: Applied | None = None
        self._turn = threading.Lock()

    def keep(self, given: list[Any]) -> int:
        """Write decisions down; those that are on disk. What is no decision, or about no row shown, is left out."""
        kept = []
        for row in given:
            try:
                made = Decision.read(row, self.folder)
            except LikenessError:
                continue
            if made.file_name in self.places:
                kept.append(made.to_dict() | ({"by": self.by} if self.by else {}))
        lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in kept).encode("utf-8", "replace")
        with self._turn:
            if self.result is not None:
                raise UsageError("this review has ended: start it again")
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                mend(file)
                if os.write(file, lines) < len(lines):  # the disk is filling up; the next one mends the torn line
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file)
            finally:
                os.close(file)
        return len(kept)

    def decided(self) -> dict[str, dict[str, str]]:
        """The decisions so far that are about the texts as they are shown."""
        last: dict[str, dict[str, str]] = {}
        for row in read_jsonl(self.path) if self.path.is_file() else []:
            place = self.places.get(row.get("file_name", ""))
            if place is not None and row.get("was") == fingerprint(self.rows[place].text):
                last[row["file_name"]] = row
        return {name: row for name, row in last.items() if row.get("decision") != OPEN}

    def finish(self) -> Applied:
        """Put the decisions into the table and their file away; once."""
        with self._turn:
            if self.result is None:
                result = apply(self.folder, self.path) if self.path.is_file() else Applied()
                if self.path.is_file():
                    aside = self.folder / HIDDEN / f"reviewed.{now().replace(':', '')}.jsonl"
                    aside.parent.mkdir(exist_ok=True)
                    os.replace(self.path, aside)
                self.result = result
            return self.result

    def page(self, number: int) -> str | None:
        """The page of that number, from 1; None if there is none."""
        start = (number - 1) * PER_PAGE
        chunk = self.rows[start : start + PER_PAGE]
        if number < 1 or not chunk:
            return None
        decided, names = self.decided(), {row.file_name for row in chunk}
        several = len(self.rows) > PER_PAGE
        about = {
            "title": f"Captions of {self.folder.resolve().name}",
            "key": "",
            "server": True,
            "decided": {name: row for name, row in decided.items() if name in names},
            "previous": str(number - 1) if number > 1 else "",
            "next": str(number + 1) if start + PER_PAGE < len(self.rows) else "",
            "part": f"page {number} of {-(-len(self.rows) // PER_PAGE)}" if several else "",
        }
        return page([row.to_dict(f"picture/{start + place}") for place, row in enumerate(chunk)], about)

    def picture(self, place: int) -> bytes:
        return thumbnail(self.folder, self.rows[place].file_name, SIDE, 85) if 0 <= place < len(self.rows) else b""


class Handler(BaseHTTPRequestHandler):
    """`server` is a `Server`. Everything that is not asked for exactly is 403, 404 or 405."""

    server: Server
    timeout = PATIENCE
    protocol_version = "HTTP/1.1"
    server_version = "likeness"
    sys_version = ""

    def do_GET(self) -> None:
        asked = self._asked()
        if asked is None:
            return
        if match := re.fullmatch(r"(\d{0,6})", asked):
            text = self.server.review.page(int(match[1] or 1))
            return self._answer(200, text.encode(), "text/html; charset=utf-8") if text else self._refuse(404)
        if match := re.fullmatch(r"picture/(\d{1,9})", asked):
            made = self.server.review.picture(int(match[1]))
            return self._answer(200, made, "image/webp") if made else self._refuse(404)
        self._refuse(404)

    def do_POST(self) -> None:
        self.close_connection = True  # a body that is refused is not read
        asked = self._asked()
        if asked is None:
            return
        if self.headers.get("Origin") not in (None, *self.server.origins):
            return self._refuse(403)
        # a form of another page cannot say this without asking first, and nobody answers it
        if self.headers.get_content_type() != "application/json":
            return self._refuse(415)
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            return self._refuse(411)
        if int(length) > LARGEST:
            return self._refuse(413)
        actions = {"decisions": self._decisions, "finish": self._finish}
        if asked not in actions:
            return self._refuse(404)
        try:
            given = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            return self._refuse(400)
        try:
            self._json(200, actions[asked](given if isinstance(given, list) else []))
        except UsageError as error:
            return self._json(409, {"error": str(error)})
        except OSError as error:
            return self._json(507, {"error": f"cannot write {DECISIONS}: {error.strerror}"})
        if asked == "finish":
            self.server.stop()

    def _decisions(self, given: list[Any]) -> dict[str, int]:
        return {"saved": self.server.review.keep(given), "given": len(given)}

    def _finish(self, given: list[Any]) -> dict[str, int]:
        if given:
            self.server.review.keep(given)
        return self.server.review.finish().to_dict()

    def _asked(self) -> str | None:
        """What of the review is asked for; None, and the answer is sent, for a stranger."""
        if self.headers.get("Host", "") not in self.server.hosts:  # another name for this machine: DNS rebinding
            self._refuse(403)
            return None
        token, _, asked = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(403)
            return None
        return asked

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._answer(status, json.dumps(value).encode(), "application/json")

    def _refuse(self, status: int) -> None:
        self.close_connection = True
        self._answer(status, HTTPStatus(status).phrase.encode(), "text/plain")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }  # fmt: skip
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address holds the token."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, review: Review, host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.review, self.token = review, secrets.token_urlsafe(16)
        self.port = int(self.server_address[1])
        self.hosts = tuple(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost"))
        self.origins = tuple(f"http://{name}" for name in self.hosts)
        self.address = f"http://127.0.0.1:{self.port}/{self.token}/"

    def stop(self) -> None:
        """End `serve_forever`, from any thread."""
        threading.Thread(target=self.shutdown, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is nobody's trouble."""


@contextmanager
def serving(
    folder: str | Path,
    port: int = 0,
    only: str = "all",
    limit: int | None = None,
    seed: int = 0,
    checks: Checks | None = None,
    by: str = "",
    host: str = HOSTS[0],
) -> Iterator[Server]:
    """A bound server, not running yet; the folder's only one. `port` 0: any free one. Raises `UsageError`."""
    if host not in HOSTS:
        raise UsageError(f"host {host!r}: the review is for this machine only, at {HOSTS[0]}")
    rows = list(select(folder, only, limit, seed, checks))
    if not rows:
        raise UsageError(f"{folder} has no captions to review ({ONLY[only]})")
    with only_writer(Path(folder) / HIDDEN / "review"):
        try:
            server = Server(Review(folder, rows, by), HOSTS[0], port)
        except (OSError, OverflowError) as error:
            raise UsageError(f"cannot listen on port {port}: {error}. Give another --port, or 0 for any.") from None
        with server:
            yield server


def serve(
    folder: str | Path,
    host: str = HOSTS[0],
    port: int = 8765,
    only: str = "all",
    limit: int | None = None,
    seed: int = 0,
    checks: Checks | None = None,
    by: str = "",
    tell: Callable[[str], None] = lambda address: None,
) -> Applied:
    """Serve the review until the page's "finish" or Ctrl-C, then put the decisions into the table; what became of them.

    `tell` hears the address. `by`: who decides. Raises `UsageError` for another host than this machine, a port in use,
    nothing to review, and while another review of the folder runs.
    """
    with serving(folder, port, only, limit, seed, checks, by, host) as server:
        tell(server.address)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            pass
        return server.review.finish()
