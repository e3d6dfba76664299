"""A model hub in miniature: folders served by the hub's HTTP protocol, as far as downloads need it."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

COMMIT = "c" * 40


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repositories: dict[str, Path] = {}
    asked: list[str] = []

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = unquote(urlparse(self.path).path).strip("/")
        self.asked.append(f"{self.command} {path}")
        if path.startswith("api/models/"):
            name = "/".join(path.split("/")[2:4])
            if name in self.repositories:
                rest = path.split("/")[4:]
                facts = self.tree(name) if "tree" in rest else self.facts(name, commit(rest[-1] if rest else ""))
                return self.send(json.dumps(facts).encode(), body)
            return self.fail("RepoNotFound")
        name, _, file = path.partition("/resolve/")
        revision, _, file = file.partition("/")
        if name not in self.repositories:
            return self.send(b"hub", body) if not path else self.fail("RepoNotFound")
        where = self.repositories[name] / file
        if not where.is_file():
            return self.fail("EntryNotFound")
        content = where.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": commit(revision)}
        self.send(content, body, headers)

    def files(self, name: str) -> list[Path]:
        return sorted(p for p in self.repositories[name].rglob("*") if p.is_file())

    def facts(self, name: str, sha: str) -> dict:
        root = self.repositories[name]
        files = [{"rfilename": p.relative_to(root).as_posix()} for p in self.files(name)]
        return {"id": name, "modelId": name, "sha": sha, "siblings": files, "private": False, "tags": []}

    def tree(self, name: str) -> list[dict]:
        root = self.repositories[name]
        return [
            {"type": "file", "path": p.relative_to(root).as_posix(), "size": p.stat().st_size, "oid": "0" * 40}
            for p in self.files(name)
        ]

    def send(self, content: bytes, body: bool, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def fail(self, code: str) -> None:
        self.send(b"", False, {"X-Error-Code": code}, 404)

    def log_message(self, *args: object) -> None:
        pass


def commit(revision: str) -> str:
    """A branch's newest commit; a commit is itself."""
    return revision if len(revision) == 40 else COMMIT


@contextlib.contextmanager
def serve(repositories: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub with these repositories, and the requests that it got."""
    handler = type("Hub", (Handler,), {"repositories": repositories, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
