"""Who is let in, how often, and with what: keys, rates, hosts, origins, and bodies."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import time

import pytest
from PIL import Image

from likeness.service.limiter import Limiter, caller_of
from plain_engine import PlainEngine
from serving import LOCAL, app, client, listening

FACE = {"prompt": "a woman", "steps": 1}


def error(answer, status, code):
    """An error of that status and code, in the one form that all have."""
    said = answer.json()
    assert (answer.status_code, said["error"]["code"]) == (status, code), said
    assert set(said) == {"error"} and set(said["error"]) == {"code", "message", "type", "param"}
    assert "\n" not in said["error"]["message"]
    return said["error"]


@pytest.fixture
def guarded(tmp_path):
    """A server that wants keys, with a key and an admin's key."""
    with client(tmp_path, require_keys=True) as it:
        keys = it.app.state.parts.keys
        it.key, it.admin = keys.add("page", rate_per_minute=5)[1], keys.add("boss", admin=True)[1]
        it.bearer = lambda secret: {"Authorization": f"Bearer {secret}"}
        yield it


def test_a_bucket_refills_steadily_and_never_over_its_rim():
    now = [0.0]
    limiter = Limiter(clock=lambda: now[0])
    assert [limiter.spend("a", 3).allowed for _ in range(5)] == [True, True, True, False, False]
    assert limiter.spend("b", 3).allowed  # one caller's spending is not another's
    now[0] += 20  # a third of a minute: one token
    assert limiter.spend("a", 3).allowed
    refused = limiter.spend("a", 3)
    assert not refused.allowed and refused.left == 0 and 0 < refused.wait <= 20
    now[0] += 3600
    assert [limiter.spend("a", 3).allowed for _ in range(4)] == [True, True, True, False]


def test_the_limiter_forgets_whom_it_saw_longest_ago():
    limiter = Limiter(most=100)
    for number in range(1000):
        limiter.spend(f"caller {number}", 1)
        limiter.spend("always here", 1000)
    assert len(limiter) == 100
    assert limiter.spend("always here", 1000).left <= 1  # it kept on asking, so its bucket was kept


def test_one_network_is_one_caller():
    assert caller_of("2001:db8:1:2:3::4") == caller_of("2001:db8:1:2:ffff::1") != caller_of("2001:db8:1:3::1")
    assert caller_of("::ffff:10.0.0.1") == caller_of("10.0.0.1") != caller_of("10.0.0.2")
    assert caller_of("testclient") == "testclient"


def test_no_key_and_wrong_keys_are_refused_everywhere(guarded):
    document = guarded.get("/openapi.json").json()
    private = [(m, p) for p, ms in document["paths"].items() for m, o in ms.items() if "security" in o]
    assert len(private) > 20
    for method, path in private:
        for headers in ({}, guarded.bearer("lk-wrong"), {"x-api-key": "lk-wrong"}, {"Authorization": "Basic bGs="}):
            answer = guarded.request(method, path.replace("{", "").replace("}", ""), headers=headers)
            error(answer, 401, "invalid_api_key")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert guarded.get("/healthz").status_code == guarded.get("/readyz").status_code == 200


def test_both_ways_of_sending_a_key(guarded):
    for headers in (guarded.bearer(guarded.key), {"x-api-key": guarded.key}):
        assert guarded.get("/v1/models", headers=headers).status_code == 200


def test_a_removed_key_is_refused_at_once(guarded):
    keys = guarded.app.state.parts.keys
    keys.remove(next(key.id for key in keys.list() if key.name == "page"))
    error(guarded.get("/v1/models", headers=guarded.bearer(guarded.key)), 401, "invalid_api_key")


def test_only_admins_load_and_unload(guarded):
    error(guarded.post("/v1/models/sd15/load", headers=guarded.bearer(guarded.key)), 403, "not_an_admin")
    loaded = guarded.post("/v1/models/sd15/load", headers=guarded.bearer(guarded.admin))
    assert loaded.json()["likeness"]["loaded"] is True


def test_each_key_sees_its_own_history_and_jobs(guarded):
    one, other = guarded.bearer(guarded.key), guarded.bearer(guarded.admin)
    entry = guarded.post("/v1/images", json=FACE, headers=one).json()["pictures"][0]["id"]
    job = guarded.post("/v1/jobs", json=FACE, headers=one).json()["id"]
    for path, code in ((f"/v1/history/{entry}", "entry_not_found"), (f"/v1/jobs/{job}", "job_not_found")):
        assert guarded.get(path, headers=one).status_code == 200
        error(guarded.get(path, headers=other), 404, code)
        error(guarded.delete(path, headers=other), 404, code)
    assert guarded.get("/v1/history", headers=other).json()["entries"] == []
    error(guarded.post("/v1/images", json=FACE | {"image": entry}, headers=other), 404, "entry_not_found")
    error(guarded.post("/v1/images", json=FACE | {"parent": entry}, headers=other), 404, "entry_not_found")


def test_a_keys_own_rate_holds_and_is_told(guarded):
    headers = guarded.bearer(guarded.key)
    answers = [
        guarded.post("/v1/captions", json={"rewrite": True, "prompt_text": "a man"}, headers=headers) for _ in range(6)
    ]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers] == [4, 3, 2, 1, 0, 0]
    error(answers[-1], 429, "rate_limited")
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 12 and answers[-1].headers["X-RateLimit-Limit"] == "5"
    assert guarded.get("/v1/history", headers=headers).status_code == 200  # reading has a bucket of its own
    assert guarded.post("/v1/images", json=FACE, headers=guarded.bearer(guarded.admin)).status_code == 200


def test_guessing_keys_is_limited_by_address(tmp_path):
    with client(tmp_path, require_keys=True, rate_per_minute=3) as it:
        codes = [it.get("/v1/models", headers={"x-api-key": f"lk-{n}"}).status_code for n in range(5)]
    assert codes == [401, 401, 401, 429, 429]


def test_without_keys_the_address_pays(tmp_path):
    with client(tmp_path, rate_per_minute=2) as it:
        assert [it.post("/v1/images", json=FACE).status_code for _ in range(3)] == [200, 200, 429]


def test_a_page_of_elsewhere_reaches_nothing(tmp_path):
    """A browser on this machine would carry any page's requests to a server on its loopback address."""
    with client(tmp_path, hosts=("faces.lan",)) as it:
        for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:8000", ""):
            error(it.get("/v1/history", headers={"Host": host}), 403, "host_not_allowed")
        for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "faces.lan"):
            assert it.get("/v1/history", headers={"Host": host}).status_code == 200
        for origin in ("https://evil.example", "null", "http://127.0.0.1:9"):
            error(it.post("/v1/models/mini/unload", headers={"Origin": origin}), 403, "origin_not_allowed")
        assert it.post("/v1/models/mini/unload", headers={"Origin": LOCAL}).status_code == 200


def test_cross_origin_is_closed_unless_opened(tmp_path):
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    with client(tmp_path) as it:
        closed = it.options("/v1/images", headers=asked)
        assert closed.status_code == 405 and not [h for h in closed.headers if h.startswith("access-control")]
        assert "access-control-allow-origin" not in it.get("/v1/models", headers={"Origin": asked["Origin"]}).headers
    with client(tmp_path, cors_origins=("https://page.example",)) as it:
        opened = it.options("/v1/images", headers=asked)
        assert opened.status_code == 200 and opened.headers["access-control-allow-origin"] == asked["Origin"]
        assert "access-control-allow-credentials" not in opened.headers
        drawn = it.post("/v1/images", json=FACE, headers={"Origin": asked["Origin"]})
        assert drawn.status_code == 200 and "X-Request-Id" in drawn.headers["access-control-expose-headers"]
        assert it.options("/v1/images", headers=asked | {"Origin": "https://evil.example"}).status_code == 400


def test_headers_that_browsers_obey(tmp_path):
    with client(tmp_path) as it:
        for path in ("/v1/history", "/v1/models", "/nothing", "/healthz"):
            headers = it.get(path).headers
            assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
            assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        page = it.get("/docs")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "<script" not in page.text and "http://" not in page.text and "https://" not in page.text
        assert "/v1/images" in page.text and "ImageBody" in page.text


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b"{", 400, "invalid_json"),
        ({}, b"[" * 100_000, 400, "invalid_request"),
        ({}, b"", 422, "invalid_value"),
        ({}, b"[]", 422, "invalid_value"),
        ({}, b'{"prompt": "a man", "steps": "2"}', 422, "invalid_value"),
        ({}, b'{"prompt": "a man", "steps": true}', 422, "invalid_value"),
        ({}, b'{"prompt": "a man", "guidance": NaN}', 422, "invalid_value"),
        ({}, b'{"prompt": "a man", "guidance": 1e999}', 422, "invalid_value"),
        ({}, b'{"prompt": "a man", "guidance_interval": [0.6]}', 422, "invalid_value"),
        ({}, b'{"prompt": "a man", "guidance_interval": [0, 2]}', 422, "invalid_value"),
        ({}, b'{"prompt": "a man", "guidance_interval": [0.7, 0.2]}', 400, "invalid_request"),
        ({}, b'{"prompt": "a man", "seed": ' + b"9" * 5000 + b"}", 400, "invalid_request"),
        ({}, b'{"prompt": "a man", "sede": 2}', 422, "invalid_value"),
        ({}, b'{"prompt": "\\ud800"}', 422, "invalid_value"),
        ({}, b'{"prompt": "a\\u0000man"}', 422, "invalid_value"),
        ({}, b'{"prompt": "\xff"}', 400, "invalid_request"),
        ({}, b'{"prompt": "   "}', 400, "invalid_request"),
        ({"Content-Type": "text/plain"}, b'{"prompt": "a man"}', 415, "unsupported_media_type"),
        ({"Content-Type": ""}, b'{"prompt": "a man"}', 415, "unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"prompt=a", 415, "unsupported_media_type"),
    ],
)
def test_bodies_that_are_none(plain, headers, body, status, code):
    said = error(
        plain.post("/v1/images", content=body, headers={"Content-Type": "application/json"} | headers), status, code
    )
    assert "sede" not in said["message"] or said["param"] == "sede"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with client(tmp_path_factory.mktemp("plain"), loras={"glasses": "/somewhere/glasses.safetensors"}) as it:
        yield it


def png(*size, **saved):
    written = io.BytesIO()
    Image.new("RGB", size, "red").save(written, "PNG", **saved)
    return written.getvalue()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../etc/passwd", "file:///etc/passwd", "http://127.0.0.1/x.png", "%2e%2e"]
)
def test_no_path_of_a_request_is_opened(plain, path):
    assert plain.post("/v1/images", json=FACE | {"image": path.ljust(8)}).status_code == 400
    assert plain.post("/v1/images", json=FACE | {"loras": [{"name": path}]}).status_code == 404
    assert plain.post("/v1/images", json=FACE | {"model": path}).status_code == 404
    assert plain.get(f"/v1/images/{path}.png").status_code in (404, 422)
    assert plain.get(f"/v1/images/{'0' * 64}.png").status_code == 404
    assert plain.get(f"/v1/models/{path}").status_code == 404


def test_paths_of_the_server_are_never_told(plain):
    face = base64.b64encode(png(64, 64)).decode()
    answer = plain.post(
        "/v1/images", json=FACE | {"steps": 2, "image": face, "loras": [{"name": "glasses", "weight": 0.5}]}
    )
    assert answer.status_code == 200
    entry = plain.get(f"/v1/history/{answer.json()['pictures'][0]['id']}")
    assert entry.json()["request"]["loras"] == [{"name": "glasses", "weight": 0.5}]
    assert entry.json()["request"]["image"].startswith("sha256:")
    assert "/somewhere" not in entry.text + answer.text + plain.get("/v1/loras").text
    assert "likeness-uploads" not in entry.text
    assert len(plain.app.state.parts.desk.uploads) == 0  # and the file is gone


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a" + bytes(50), png(6000, 6000), b"\x89PNG\r\n\x1a\n" + bytes(100), png(64, 64)[:-30], bytes(1000)],
    ids=["empty", "gif", "pixels", "damaged", "truncated", "zeros"],
)
def test_pictures_that_are_none(plain, data):
    sent = base64.b64encode(data).decode()
    said = error(plain.post("/v1/images", json=FACE | {"image": sent or "========"}), 400, "invalid_image")
    assert said["param"] == "image"
    assert len(plain.app.state.parts.desk.uploads) == 0


def test_operators_limits(tmp_path):
    with client(tmp_path, max_prompt=20, max_count=2, max_steps=5, max_body=2000) as it:
        error(it.post("/v1/images", json={"prompt": "a" * 21}), 400, "prompt_too_long")
        error(it.post("/generate-caption", json={"prompt_text": "a" * 51}), 400, "prompt_too_long")
        assert error(it.post("/v1/images", json=FACE | {"count": 3}), 400, "invalid_value")["param"] == "count"
        assert error(it.post("/v1/images", json=FACE | {"steps": 6}), 400, "invalid_value")["param"] == "steps"
        error(it.post("/v1/images", json=FACE | {"negative_prompt": "a" * 4000}), 413, "body_too_large")


def send(place, head, *chunks, pause=0.0):
    """Raw HTTP: the head, then the chunks with a pause before each; the status, and all that came back."""
    with socket.create_connection(place, timeout=120) as line:
        line.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        for chunk in chunks:
            time.sleep(pause)
            try:
                line.sendall(chunk)
            except OSError:
                break
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return answer.status, answer.read()


def test_a_huge_body_is_refused_before_it_is_read_and_a_slow_one_after_its_time(tmp_path):
    head = "POST /v1/images HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\n"
    with listening(app(tmp_path, max_body=100_000, body_seconds=300)) as place:
        # nothing of the gigabyte is ever sent: the answer comes all the same
        assert send(place, f"{head}Content-Length: {1 << 30}")[0] == 413
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        assert send(place, f"{head}Transfer-Encoding: chunked", chunk, chunk)[0] == 413
        body = b'{"prompt": "a man", "steps": 1}'
        assert send(place, f"{head}Content-Length: {len(body)}", body[:9], body[9:], pause=0.02)[0] == 200
    with listening(app(tmp_path, body_seconds=0.3)) as place:
        assert send(place, f"{head}Content-Length: 100", *([b" "] * 20), pause=0.03)[0] == 408
        assert send(place, f"{head}Content-Length: 100")[0] == 408


def test_keys_are_looked_at_before_the_body(tmp_path):
    head = "POST /v1/images HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\nContent-Length: 1000"
    with listening(app(tmp_path, require_keys=True)) as place:
        assert send(place, head)[0] == 401  # no byte of the body was sent


def test_an_engine_that_is_full_says_when_to_come_again(tmp_path):
    engine = PlainEngine(queue=0)
    with client(tmp_path, engine) as it:
        answer = it.post("/v1/images", json=FACE)
        error(answer, 429, "queue_full")
        assert answer.headers["Retry-After"] == "4"  # 3.2 s, rounded up
        error(it.post("/v1/jobs", json=FACE), 429, "queue_full")
