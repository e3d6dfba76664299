"""Engines behind a URL: a real HTTP server that speaks both forms, and fails in every way."""

import asyncio
import base64
import http.server
import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from likeness.errors import PromptRefused, UsageError
from likeness.provenance import Marks
from likeness.records import ImageRequest
from likeness.service.captions import Captions
from likeness.service.engine import Busy, Failed
from likeness.service.remote import RemoteEngine, RemoteText


def png(color):
    with io.BytesIO() as file:
        Image.new("RGB", (96, 64), color).save(file, "PNG")
        return file.getvalue()


class Gateway(http.server.BaseHTTPRequestHandler):
    """Answers by the path; what it was asked is kept in `server.asked`."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body, self.headers.get("Authorization")))
        times = sum(path == self.path for path, _, _ in self.server.asked)
        answers = {
            "/generate-image": {"status": "success", "image_url": "/pictures/red.png"},
            "/v1/images/generations": {"data": [{"b64_json": base64.b64encode(png("blue")).decode()}]},
            "/generate-caption": {"status": "success", "caption": "A man in his thirties."},
            "/v1/chat/completions": {"choices": [{"message": {"content": '"A woman with red hair."'}}]},
            "/nothing": {"status": "success"}, "/text": {"image_url": "/pictures/text"},
            "/gone": {"image_url": "/pictures/none"}, "/unreadable": {"b64_json": "????"},
        }  # fmt: skip
        if self.path == "/strict/v1/images/generations":
            if "seed" in body:
                return self.answer(400, {"error": {"message": "Unknown parameter: 'seed'."}})
            return self.answer(200, answers["/v1/images/generations"])
        if self.path in ("/busy", "/busier"):
            free = self.path == "/busy" and times > 1
            return self.answer(200 if free else 503, answers["/generate-image"], {"Retry-After": "0.05"})
        if self.path == "/slow":
            self.server.end.wait(300)
        if self.path == "/html":
            return self.answer(200, b"<html>")
        if self.path == "/broken":
            return self.answer(500, {"detail": "out of paint"})
        self.answer(200, answers.get(self.path, {}))

    def do_GET(self):
        found = {"/pictures/red.png": png("red"), "/pictures/text": b"no picture"}.get(self.path)
        self.answer(200 if found else 404, found or b"")

    def answer(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **dict(headers)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass  # the client has gone

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    made.asked, made.end = [], threading.Event()
    made.url = f"http://127.0.0.1:{made.server_port}"
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.end.set()
    made.shutdown()
    made.server_close()


def draw(url, *requests, engine=None, **settings):
    """The handles of these requests, over; and the engine."""

    async def go():
        engine = RemoteEngine(url, **({"marks": Marks(watermark=False)} | settings))
        await engine.start()
        handles = [await engine.submit(request) for request in requests]
        for handle in handles:
            async for _ in handle.events():
                pass
        await engine.close()
        return handles, engine

    return asyncio.run(go())


def pixel(picture):
    return tuple(np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))[0, 0])


def test_the_fields_form(server):
    asked = ImageRequest("a man", seed=5, count=2, negative_prompt="hat")
    (handle,), engine = draw(server.url + "/generate-image", asked)
    assert [handle.pictures[i].seed for i in (0, 1)] == [5, 6] and pixel(handle.pictures[0]) == (255, 0, 0)
    assert [body for _, body, _ in server.asked] == [
        {"caption": "a man", "negative_prompt": "hat", "seed": seed} for seed in (5, 6)
    ]
    assert [event.kind for event in handle.log] == ["queued", "started", "picture", "picture", "done"]
    assert engine.depth()["pictures"] == 2


def test_what_comes_is_marked_as_generated(server):
    (handle,), _ = draw(server.url + "/generate-image", ImageRequest("a man", seed=5))
    info = Image.open(io.BytesIO(handle.pictures[0].png)).info
    assert json.loads(info["likeness"])["request"] == handle.pictures[0].recipe["request"]
    assert handle.pictures[0].recipe["request"]["width"] == 96 and "trainedAlgorithmicMedia" in str(info)


def test_openais_form_with_a_model_and_a_key(server):
    (handle,), _ = draw(
        server.url + "/v1", ImageRequest("a man", seed=5, width=96, height=64), model="flux", key="secret"
    )
    assert pixel(handle.pictures[0]) == (0, 0, 255)
    assert server.asked == [
        ("/v1/images/generations", {"prompt": "a man", "n": 1, "model": "flux", "size": "96x64", "seed": 5},
         "Bearer secret")
    ]  # fmt: skip


def test_a_server_that_takes_no_seed_is_asked_without(server):
    handles, _ = draw(server.url + "/strict/v1", ImageRequest("a man", count=2))
    assert len(handles[0].pictures) == 2
    assert ["seed" in body for _, body, _ in server.asked] == [True, False, False]  # asked once only


def test_a_busy_server_is_asked_once_more(server):
    (handle,), _ = draw(server.url + "/busy", ImageRequest("a man"))
    assert handle.log[-1].kind == "done"
    (handle,), _ = draw(server.url + "/busier", ImageRequest("a man"))
    assert handle.failure.kind == "remote" and "answered 503" in str(handle.failure)
    assert [path for path, _, _ in server.asked].count("/busier") == 2


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [
        ("/nothing", "remote", "without a picture"), ("/html", "remote", "no JSON object"),
        ("/broken", "remote", "500: out of paint"), ("/text", "remote", "no picture that can be read"),
        ("/gone", "remote", "answered 404"), ("/unreadable", "remote", "cannot be read"),
        ("/slow", "expired", "did not answer within 0.3 s"),
    ],
)  # fmt: skip
def test_whatever_the_server_does_is_one_line(server, path, kind, says):
    (handle,), _ = draw(server.url + path, ImageRequest("a man"), timeout=0.3 if path == "/slow" else 120)
    assert handle.failure.kind == kind and says in str(handle.failure) and "\n" not in str(handle.failure)


def test_nobody_there(server):
    (handle,), _ = draw("http://127.0.0.1:9/generate-image", ImageRequest("a man"))
    assert handle.failure.kind == "remote" and "cannot be reached" in str(handle.failure)
    with pytest.raises(UsageError, match="no address"):
        RemoteEngine("127.0.0.1:9")


def test_limits_deadlines_and_leaving(server):
    async def go():
        engine = RemoteEngine(server.url + "/slow", queue=2)
        await engine.start()
        first, second = [await engine.submit(ImageRequest("a man")) for _ in range(2)]
        with pytest.raises(Busy):
            await engine.submit(ImageRequest("a man"))
        first.cancel()
        late = await engine.submit(ImageRequest("a man"), deadline=0.1)
        with pytest.raises(Failed) as failed:
            await late.result()
        assert failed.value.kind == "expired"
        second.cancel()
        assert engine.depth()["running"] == engine.depth()["queued"] == 0 and engine.depth()["left"] == 3
        await engine.close()
        with pytest.raises(Failed):
            await engine.submit(ImageRequest("a man"))

    asyncio.run(go())


def test_what_is_refused_is_not_sent(server):
    async def refuse(request, error):
        with pytest.raises(error):
            await RemoteEngine(server.url).resolve(request)

    for request, error in (
        (ImageRequest("a nude child"), PromptRefused), (ImageRequest(""), UsageError),
        (ImageRequest("a man", model="sdxl"), UsageError), (ImageRequest("a man", image="/etc/passwd"), UsageError),
        (ImageRequest("a man", count=0), UsageError), (ImageRequest("a man", steps=0), UsageError),
    ):  # fmt: skip
        asyncio.run(refuse(request, error))
    assert not server.asked


def describe(url, text, **settings):
    async def go():
        engine = RemoteText(url, **settings)
        try:
            return await engine.describe(text)
        finally:
            await engine.close()

    return asyncio.run(go())


def test_texts_in_both_forms(server):
    assert describe(server.url + "/generate-caption", "man, 30s") == "A man in his thirties."
    assert describe(server.url + "/v1", "red hair", model="llama") == "A woman with red hair."
    (_, field, _), (_, chat, _) = server.asked
    assert field == {"prompt_text": "man, 30s"} and chat["model"] == "llama" and "red hair" in str(chat["messages"])
    for path, kind in (("/nothing", "remote"), ("/broken", "remote"), ("/slow", "expired")):
        with pytest.raises(Failed) as failed:
            describe(server.url + path, "a man", timeout=0.3 if path == "/slow" else 120)
        assert failed.value.kind == kind
    with pytest.raises(UsageError):
        describe(server.url, "  ")


def test_texts_of_this_machine_keep_what_was_said():
    said = asyncio.run(Captions().describe("Indian male, 30s"))
    assert "South Asian" in said and len(said) > 60 and said == asyncio.run(Captions().describe("Indian male, 30s"))
    with pytest.raises(UsageError):
        asyncio.run(Captions().describe(" "))
