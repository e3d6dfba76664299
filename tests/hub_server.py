"""A model hub in miniature: the part of the hub's HTTP protocol that `huggingface_hub` uses, down and up.

Folders are served as repositories; pushes are kept in memory, commit by commit. Whatever goes wrong on the way, a test
says beforehand with a `Fault`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

COMMIT = "c" * 40
Content = dict[str, bytes]


@dataclass
class Fault:
    """`times` requests that match (`GET path`) are answered by `status` and `headers`; status 0 cuts the line.

    With `after`, so many bytes of the answer's (or the sender's) body pass first; the first `skip` requests pass whole.
    """

    match: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    times: int = 1
    after: int = 0
    skip: int = 0


@dataclass
class Repository:
    """Commits by their hash, branches by name. A folder has one commit, which any hash names."""

    commits: dict[str, Content] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    private: bool = False

    def sha(self, revision: str) -> str | None:
        if self.folder:
            return revision if len(revision) == 40 else COMMIT
        return self.branches.get(revision) or (revision if revision in self.commits else None)

    def files(self, sha: str) -> Content:
        if self.folder:
            found = sorted(p for p in self.folder.rglob("*") if p.is_file())
            return {p.relative_to(self.folder).as_posix(): p.read_bytes() for p in found}
        return self.commits[sha]


@dataclass
class Hub:
    """`tokens`: who may read what is private, and write. `asked`: `GET path` of every request; `stored`: by SHA-256."""

    repositories: dict[str, Repository]
    tokens: set[str]
    address: str = ""
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)


def large(name: str) -> bool:
    return name.endswith((".safetensors", ".png", ".bin"))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def handle_one(self) -> None:
        path = unquote(urlparse(self.path).path).strip("/")
        line = f"{self.command} {path}"
        self.hub.asked.append(line)
        self.fault = next((f for f in self.hub.faults if f.times and re.search(f.match, line)), None)
        if self.fault and self.fault.skip:
            self.fault.skip, self.fault = self.fault.skip - 1, None
        if self.fault:
            self.fault.times -= 1
            if not self.fault.status and self.command == "PUT":
                self.rfile.read(self.fault.after)
                return self.cut()
            if self.fault.status:
                self.received()
                return self.send(self.fault.body, self.fault.status, self.fault.headers)
        if self.command in ("GET", "HEAD"):
            return self.look(path)
        body = self.received()
        known = self.headers.get("Authorization", "").removeprefix("Bearer ") in self.hub.tokens
        if not known and self.command != "PUT":  # the place of an upload is a secret of its own
            wrong = (
                "Invalid credentials in Authorization header" if self.headers.get("Authorization") else "Unauthorized"
            )
            return self.send({"error": wrong}, 401)
        for pattern, answer in WRITES:
            if found := re.fullmatch(pattern, path):
                return answer(self, body, *found.groups())
        return self.send({}, 404)

    do_GET = do_HEAD = do_POST = do_PUT = handle_one

    # --- reading

    def look(self, path: str) -> None:
        if not path:
            return self.send(b"hub")
        api = re.fullmatch(r"api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+).*)?", path)
        name, _, rest = path.partition("/resolve/")
        name, (what, revision) = (api[1], (api[2], api[3])) if api else (name, ("file", rest.partition("/")[0]))
        repository = self.hub.repositories.get(name)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository is None or (repository.private and token not in self.hub.tokens):
            return self.send({}, 404, {"X-Error-Code": "RepoNotFound"})
        sha = repository.sha(revision or "main")
        if sha is None:
            return self.send({}, 404, {"X-Error-Code": "RevisionNotFound"})
        files = repository.files(sha)
        if what == "tree":
            return self.send([entry(name, content) for name, content in files.items()])
        if api:
            siblings = [{"rfilename": one} for one in files]
            facts = {"id": name, "modelId": name, "sha": sha, "siblings": siblings, "tags": []}
            return self.send(facts | {"private": repository.private})
        file = rest.partition("/")[2]
        if file not in files:
            return self.send({}, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
        return self.give(files[file], sha)

    def give(self, content: bytes, sha: str) -> None:
        """A file, or what of it is wanted yet."""
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            self.hub.ranges.append(asked[0])
            start, total = int(asked[1]), len(content)
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            return self.send(content[start:], 206, headers)
        return self.send(content, 200, headers)

    # --- writing

    def received(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        facts = {"url": f"{self.hub.address}/{name}", "name": name, "id": name}
        if name in self.hub.repositories:
            return self.send({"error": "You already created this model repo"} | facts, 409)
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        self.hub.repositories[name] = Repository({COMMIT: {}}, {"main": COMMIT}, private=private)
        return self.send(facts)

    def branch(self, body: bytes, name: str, branch: str) -> None:
        branches = self.hub.repositories[name].branches
        if branch in branches:
            return self.send({"error": "Reference already exists"}, 409)
        branches[branch] = branches["main"]
        return self.send({})

    def preupload(self, body: bytes, name: str, revision: str) -> None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            return self.send({}, 404, {"X-Error-Code": "RepoNotFound"})
        here = repository.files(repository.sha(revision) or COMMIT)
        rows = [
            {"path": f["path"], "uploadMode": "lfs" if large(f["path"]) else "regular", "shouldIgnore": False,
             "oid": entry(f["path"], here[f["path"]])["oid"] if f["path"] in here else None}
            for f in json.loads(body)["files"]
        ]  # fmt: skip
        return self.send({"files": rows})

    def batch(self, body: bytes, name: str) -> None:
        objects = []
        for one in json.loads(body)["objects"]:
            where = {"upload": {"href": f"{self.hub.address}/lfs/{one['oid']}"}}
            objects.append(one if one["oid"] in self.hub.stored else one | {"actions": where})
        return self.send({"transfer": "basic", "objects": objects})

    def store(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            return self.send({"error": "not what was announced"}, 400)
        self.hub.stored[oid] = body
        return self.send({})

    def commit(self, body: bytes, name: str, revision: str) -> None:
        repository = self.hub.repositories[name]
        files = dict(repository.files(repository.branches[revision]))
        for row in map(json.loads, body.decode().splitlines()):
            value = row["value"]
            if row["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                files[value["path"]] = self.hub.stored[value["oid"]]
        sha = hashlib.sha1(f"{len(repository.commits)}".encode() + body).hexdigest()
        repository.commits[sha] = files
        repository.branches[revision] = sha
        where = f"{self.hub.address}/{name}/commit/{sha}"
        return self.send({"success": True, "commitOid": sha, "commitUrl": where, "hookOutput": ""})

    def validate(self, body: bytes) -> None:
        return self.send({"errors": [], "warnings": []})

    # --- answering

    def send(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault and not self.fault.status:
            self.wfile.write(raw[: self.fault.after])
            return self.cut()
        self.wfile.write(raw)

    def cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


NAME = r"([^/]+/[^/]+)"
WRITES = (
    (r"api/repos/create", Handler.create),
    (rf"api/models/{NAME}/branch/(.+)", Handler.branch),
    (rf"api/models/{NAME}/preupload/(.+)", Handler.preupload),
    (rf"{NAME}\.git/info/lfs/objects/batch", Handler.batch),
    (r"lfs/([0-9a-f]{64})", Handler.store),
    (rf"api/models/{NAME}/commit/(.+)", Handler.commit),
    (r"api/validate-yaml", Handler.validate),
)


def entry(name: str, content: bytes) -> dict[str, Any]:
    """A file in a listing: a git blob, or an object of the large file storage."""
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    row: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": blob}
    if large(name):
        digest = hashlib.sha256(content).hexdigest()
        row |= {"oid": digest, "lfs": {"oid": digest, "size": len(content), "pointerSize": 134}}
    return row


class Hurried:
    """The client's clock, but it does not wait between its attempts."""

    def __getattr__(self, name: str) -> Any:
        return (lambda seconds: None) if name == "sleep" else getattr(time, name)


@contextlib.contextmanager
def running(repositories: dict[str, Path] | None = None, tokens: set[str] | None = None) -> Iterator[Hub]:
    """A hub with these folders as repositories, on a port of its own."""
    served = {name: Repository(folder=folder) for name, folder in (repositories or {}).items()}
    hub = Hub(served, tokens or set())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def serve(repositories: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub with these repositories, and the requests that it got."""
    with running(repositories) as hub:
        yield hub.address, hub.asked


def join(patch: Any, hub: Hub, home: Path, token: str | None = "right") -> None:
    """Let the hub client of this process, which has read its settings already, use that hub and a cache in `home`.

    `patch`: pytest's monkeypatch. `token`: what the user is logged in with.
    """
    from huggingface_hub import constants, hf_api
    from huggingface_hub.utils import _http

    patch.setattr(_http, "time", Hurried())
    for variable in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_TOKEN"):
        patch.delenv(variable, raising=False)
    patch.setenv("HF_HUB_OFFLINE", "0")
    patch.setenv("HF_ENDPOINT", hub.address)
    if token:
        patch.setenv("HF_TOKEN", token)
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "ENDPOINT", hub.address)
    patch.setattr(hf_api.api, "endpoint", hub.address)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # its chunks are stored by a service of their own
    patch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
