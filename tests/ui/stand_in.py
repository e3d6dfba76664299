"""A service of plain drawn faces: a real HTTP server that speaks the API which the page needs, and can misbehave."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image, ImageDraw, ImageFilter

from likeness.errors import RecordError
from likeness.grammar import describe, parse
from likeness.records import FIELDS, Attributes

SIZE = 128
AGES = {"minimum": 18, "maximum": 120, "ranges": ["18-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+"]}
OVER = {"done", "failed", "cancelled"}


@dataclasses.dataclass
class State:
    """What the server remembers; `key` is asked for if set, `pause` is the time of one step in seconds."""

    key: str = ""
    pause: float = 0.0
    busy: bool = False
    forgetful: bool = False  # takes jobs and knows nothing of them, as after a new start
    loras: tuple[str, ...] = ("glasses",)
    entries: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    pictures: dict[str, bytes] = dataclasses.field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = dataclasses.field(default_factory=list)


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code = status, code
        super().__init__(message)


def face(seed: int, words: str = "", blur: float = 0.0) -> bytes:
    """A PNG (a JPEG when blurred) of a plain face whose colours come from its seed and its words."""
    seed += zlib.crc32(words.encode()) % 1000
    tone = (170 + seed * 37 % 70, 130 + seed * 53 % 60, 110 + seed * 29 % 50)
    image = Image.new("RGB", (SIZE, SIZE), (60 + seed * 17 % 80, 90, 110))
    draw = ImageDraw.Draw(image)
    draw.ellipse((24, 8, 104, 100), fill=(30 + seed * 11 % 120, 40, 30))
    draw.ellipse((30, 20, 98, 118), fill=tone)
    for x in (50, 78):
        draw.ellipse((x - 6, 52, x + 6, 62), fill="white")
        draw.ellipse((x - 3, 54, x + 3, 61), fill=(40, 60, 80))
        if "glass" in words or "spectac" in words:
            draw.ellipse((x - 12, 45, x + 12, 69), outline="black", width=2)
    draw.line((64, 60, 60, 80, 66, 82), fill=(120, 80, 70), width=2)
    draw.arc((48, 82, 80, 102), 20, 160, fill=(150, 40, 50), width=3)
    found = io.BytesIO()
    image.filter(ImageFilter.GaussianBlur(blur)).save(found, format="JPEG" if blur else "PNG")
    return found.getvalue()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        body = json.loads(raw) if raw else query
        self.state.asked.append((self.command, url.path, body))
        try:
            if self.state.key and self.headers.get("authorization") != f"Bearer {self.state.key}":
                raise Refused(401, "wrong_key", "a valid key is needed")
            _, *parts = url.path.split("/")
            self._route(self.command, parts, body)
        except Refused as error:
            self._json({"error": {"code": error.code, "message": str(error), "type": "x"}}, error.status)

    def _route(self, method: str, parts: list[str], body: Any) -> None:
        match method, parts:
            case "GET", ["healthz" | "readyz"]:
                self._json({"status": "ok"})
            case "GET", ["v1", "attributes"]:
                self._json({"groups": groups(), "ages": AGES})
            case "GET", ["v1", "models"]:
                self._json({"object": "list", "data": [{"id": "mini", "likeness": {"title": "mini"}}]})
            case "GET", ["v1", "loras"]:
                self._json({"loras": [{"name": name} for name in self.state.loras]})
            case "POST", ["v1", "captions"]:
                self._json(caption(body))
            case "POST", ["v1", "jobs"]:
                self._json(self._submit(body), 202)
            case "GET", ["v1", "jobs", job]:
                self._json(self._job(job))
            case "DELETE", ["v1", "jobs", job]:
                self._job(job)["stop"] = True  # the status follows from the one thread that tells the job's events
                self._json({})
            case "GET", ["v1", "jobs", job, "events"]:
                self._events(self._job(job))
            case "GET", ["v1", "history"]:
                self._json(self._page(body))
            case "DELETE", ["v1", "history", entry]:
                self._entry(entry)
                self._json(self.state.entries.pop(entry))
            case (("PUT" | "DELETE"), ["v1", "history", entry, "favourite"]):
                self._entry(entry)["favourite"] = method == "PUT"
                self._json(self._entry(entry))
            case "GET", ["v1", "images", name] if name.removesuffix(".png") in self.state.pictures:
                self._send(200, self.state.pictures[name.removesuffix(".png")], "image/png")
            case _:
                raise Refused(404, "not_found", "there is nothing here")

    def _job(self, job: str) -> dict[str, Any]:
        if job not in self.state.jobs:
            raise Refused(404, "not_found", "no such job")
        return self.state.jobs[job]

    def _entry(self, entry: str) -> dict[str, Any]:
        if entry not in self.state.entries:
            raise Refused(404, "not_found", "no such entry")
        return self.state.entries[entry]

    def _submit(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.state.busy:
            raise Refused(429, "busy", "too many requests are waiting")
        if "forbidden" in body["prompt"]:
            raise Refused(422, "prompt_refused", "this service draws nobody of that kind")
        job = {"id": f"j{len(self.state.jobs)}", "status": "queued", "body": body, "pictures": [], "notes": []}
        if not self.state.forgetful:
            self.state.jobs[job["id"]] = job
        return {k: v for k, v in job.items() if k != "body"}

    def _events(self, job: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        body, steps = job["body"], job["body"].get("steps") or 4
        self._event("queued", {"position": 0})
        if "crash" in body["prompt"]:
            job |= {"status": "failed", "error": {"code": "crash", "message": "the model stopped unexpectedly"}}
            return self._event("failed", {"error": job["error"]})
        job["status"] = "running"
        self._event("started", {})
        for step in range(1, steps + 1):
            time.sleep(self.state.pause)
            if job.get("stop"):
                job["status"] = "cancelled"
                return self._event("cancelled", {})
            self._event("step", {"step": step, "steps": steps})
            for index in range(body.get("count", 1)):
                blur = 8.0 * (steps - step + 0.1) / steps
                preview = face(body.get("seed", 7) + index, body["prompt"], blur)
                self._event("preview", {"index": index, "image": base64.b64encode(preview).decode()})
        for index in range(body.get("count", 1)):
            job["pictures"].append(self._finish(body, body.get("seed", 7) + index))
            self._event("picture", {"index": index} | job["pictures"][-1])
        job["status"] = "done"
        self._event("done", {"pictures": job["pictures"], "notes": []})

    def _finish(self, body: dict[str, Any], seed: int) -> dict[str, Any]:
        words = body["prompt"] + (" glasses" if body.get("loras") else "")
        png = face(seed, words)
        digest = hashlib.sha256(png).hexdigest()
        self.state.pictures[digest] = png
        request = {"model": "mini", "steps": 4, "guidance": 3.0, "negative_prompt": ""} | body | {"seed": seed}
        entry = {
            "id": f"e{len(self.state.entries):03}-{seed}", "kind": "image", "digest": digest, "seed": seed,
            "width": SIZE, "height": SIZE, "prompt": body["prompt"], "model": "mini", "request": request,
            "favourite": False, "created": "2026-01-01T00:00:00Z",
            "attributes": body.get("attributes"), "parent": body.get("parent"),
        }  # fmt: skip
        self.state.entries[entry["id"]] = entry
        url = f"http://elsewhere.invalid/v1/images/{digest}.png"  # a public address that the page itself may not reach
        same = ("id", "digest", "seed", "width", "height")
        return {k: entry[k] for k in same} | {"url": url, "recipe": {"request": request}}

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        rows = [e for e in reversed(self.state.entries.values()) if query.get("q", "") in e["prompt"]]
        rows = [e for e in rows if e["favourite"] or query.get("favourites") != "true"]
        start, limit = int(query.get("cursor", 0)), int(query.get("limit", 50))
        following = str(start + limit) if len(rows) > start + limit else None
        return {"entries": rows[start : start + limit], "next": following}

    def _event(self, kind: str, data: dict[str, Any]) -> None:
        self.wfile.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def _json(self, data: Any, status: int = 200) -> None:
        self._send(status, json.dumps(data).encode(), "application/json")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        if status == 429:
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(data)


def groups() -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name, spec in FIELDS.items():
        row = {"name": name, "values": list(spec.values), "many": spec.many, "mandatory": name == "gender"}
        found.setdefault(spec.group, []).append(row)
    return [{"name": name, "title": name.capitalize(), "fields": rows} for name, rows in found.items()]


def caption(body: dict[str, Any]) -> dict[str, Any]:
    try:
        if body.get("attributes"):
            said = Attributes.from_dict(body["attributes"])
            return {"caption": describe(said), "attributes": said.to_dict(), "notes": []}
    except RecordError as error:
        raise Refused(422, "bad_attributes", str(error)) from None
    text = body.get("prompt_text", "")
    more = " The light is soft." if body.get("rewrite") else ""
    return {"caption": text + more, "attributes": parse(text).attributes.to_dict(), "notes": []}


@contextmanager
def running(state: State) -> Iterator[str]:
    """The server's address while it runs."""
    handler = type("Bound", (Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
