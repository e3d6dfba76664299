"""The app as a whole: what every answer has, what is counted and logged, how it starts and ends."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from likeness.errors import ModelNotFound
from likeness.service import logs
from likeness.service.engine import Failed
from plain_engine import PlainEngine
from serving import app, client, listening

FACE = {"prompt": "a woman with a secret scar", "steps": 1}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with client(tmp_path_factory.mktemp("app")) as it:
        yield it


@pytest.fixture
def lines():
    """The log of the service as JSON, line by line."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.JsonLines())
    logger = logging.getLogger(logs.LOGGER)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(before)


def samples(text):
    return {
        (s.name, *sorted(s.labels.items())): s.value for f in text_string_to_metric_families(text) for s in f.samples
    }


def test_every_answer_has_an_id_and_takes_a_sensible_one(here):
    assert re.fullmatch(r"[0-9a-f]{16}", here.get("/nothing").headers["X-Request-Id"])
    assert here.get("/healthz", headers={"X-Request-Id": "my-1.2_3"}).headers["X-Request-Id"] == "my-1.2_3"
    for bad in ("a b", "x" * 65, 'x"y', "<script>"):
        assert here.get("/healthz", headers={"X-Request-Id": bad}).headers["X-Request-Id"] != bad


def test_unknown_paths_and_wrong_methods(here):
    unknown = here.get("/v1/nothing")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    for method, path, allowed in (
        ("PUT", "/v1/images", "POST"), ("PATCH", "/v1/history/x", "DELETE, GET, HEAD"),
        ("POST", "/v1/history/x/favourite", "DELETE, PUT"), ("DELETE", "/healthz", "GET, HEAD"),
        ("PUT", "/v1/models/mini/load", "POST"), ("PUT", "/v1/models/owner/name", "GET, HEAD"),
    ):  # fmt: skip
        wrong = here.request(method, path)
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, allowed)
        assert wrong.json()["error"]["code"] == "method_not_allowed"


def test_head_answers_as_get_does_without_a_body(here):
    for path in ("/healthz", "/v1/models", "/v1/attributes", "/nothing", "/docs"):
        head, get = here.head(path), here.get(path)
        assert head.content == b"" and head.status_code == get.status_code
        assert head.headers["content-length"] == get.headers["content-length"] != "0"


def test_log_lines_tell_what_happened_and_not_what_was_asked(here, lines):
    drawn = here.post("/v1/images", json=FACE | {"seed": 5, "count": 2}, headers={"X-Request-Id": "one"})
    again = here.post("/v1/jobs", json=FACE | {"negative_prompt": "a secret hat"}, headers={"X-Request-Id": "two"})
    here.post("/v1/images", json=FACE | {"prompt": "a secret girl of 9 years"}, headers={"X-Request-Id": "three"})
    here.get(f"/v1/history/{drawn.json()['pictures'][0]['id']}?q=secret")
    here.post("/v1/images", content="a secret text")
    told = {line["id"]: line for line in lines() if line["event"] == "request"}
    assert told["one"]["path"] == "/v1/images" and told["one"]["status"] == 200 and told["one"]["ms"] > 0
    assert (told["one"]["model"], told["one"]["pictures"], told["one"]["cached"]) == ("mini", 2, False)
    assert told["two"]["status"] == again.status_code == 202
    assert (told["three"]["status"], told["three"]["code"]) == (400, "prompt_refused")
    assert "/v1/history/{id}" in [line["path"] for line in told.values()]  # the template: an id says who it was
    assert "secret" not in json.dumps(lines())


def test_probes_that_go_well_do_not_fill_the_log(here, lines):
    for path in ("/healthz", "/readyz", "/metrics", "/v1/models"):
        assert here.get(path).status_code == 200
    assert [line["path"] for line in lines()] == ["/v1/models"]


def test_log_prompts_writes_them(tmp_path, lines):
    with client(tmp_path, log_prompts=True) as it:
        it.post("/v1/images", json=FACE)
    assert any(line.get("prompt") == FACE["prompt"] for line in lines())


def test_an_error_that_nobody_expected_tells_nothing_of_the_inside(tmp_path, lines):
    engine = PlainEngine()
    with client(tmp_path, engine) as it:
        engine.failing = KeyError("a secret of the inside")
        answer = it.post("/v1/images", json=FACE, headers={"X-Request-Id": "boom"})
    assert answer.status_code == 500 and answer.json()["error"]["code"] == "internal_error"
    assert answer.headers["X-Request-Id"] == "boom" and "secret" not in answer.text
    (failed,) = [line for line in lines() if line["event"] == "internal error"]
    assert (failed["id"], failed["error"]) == ("boom", "KeyError") and failed["trace"]
    assert "secret" not in json.dumps(lines())  # the words of an exception may quote a prompt


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("crash", 500, "engine_crashed"), ("memory", 503, "out_of_memory"), ("expired", 504, "deadline_exceeded"),
     ("remote", 502, "remote_engine_failed"), ("cancelled", 503, "cancelled"), ("refused", 400, "picture_refused"),
     ("engine", 500, "engine_failed"), ("something new", 500, "engine_failed")],
)  # fmt: skip
def test_failures_of_the_engine_have_their_statuses(tmp_path_factory, here, kind, status, code):
    engine = here.app.state.parts.engine
    engine.failing = Failed(kind, "it did not work")
    try:
        answer = here.post("/v1/images", json=FACE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert ("Retry-After" in answer.headers) == (status == 503)
        job = here.post("/v1/jobs", json=FACE).json()["id"]
        assert here.get(f"/v1/jobs/{job}").json()["error"]["code"] == code
    finally:
        engine.failing = None


def test_metrics_count_by_route_and_not_by_path(tmp_path):
    with client(tmp_path) as it, client(tmp_path) as other:
        for seed in (1, 1, 2):
            it.post("/v1/images", json=FACE | {"seed": seed})
        for number in range(20):
            it.get(f"/nothing/{number}")
        it.request("BREW", "/coffee")
        found = samples(it.get("/metrics").text)
        assert found["likeness_requests_total", ("method", "POST"), ("route", "/v1/images"), ("status", "200")] == 3
        assert found["likeness_requests_total", ("method", "GET"), ("route", "none"), ("status", "404")] == 20
        assert found["likeness_requests_total", ("method", "other"), ("route", "none"), ("status", "404")] == 1
        assert (found["likeness_cache_hits_total",], found["likeness_cache_misses_total",]) == (1, 2)
        assert found["likeness_pictures_total", ("cached", "no"), ("model", "mini")] == 2
        assert found["likeness_request_seconds_count", ("route", "/v1/images")] == 3
        assert found["likeness_batched_pictures_total",] == 2 and "likeness_queue_depth" in {k[0] for k in found}
        assert samples(other.get("/metrics").text)["likeness_cache_hits_total",] == 0  # a registry for each app


def test_ready_says_what_is_missing(tmp_path):
    with client(tmp_path) as it:
        parts = it.app.state.parts
        assert it.get("/readyz").json() == {"status": "ready", "checks": {"engine": True, "store": True, "open": True}}
        parts.engine.up = False
        answer = it.get("/readyz")
        assert answer.status_code == 503 and "engine" in answer.json()["error"]["message"]
        assert answer.headers["Retry-After"] and it.get("/healthz").status_code == 200
        parts.engine.up = True
        it.portal.call(parts.closing.set)
        assert "open" in it.get("/readyz").json()["error"]["message"]


def test_the_app_starts_and_ends_its_engine(tmp_path):
    engine = PlainEngine()
    made = app(tmp_path, engine)
    assert not engine.up  # nothing runs before the app does
    with TestClient(made):
        assert engine.up
    assert not engine.up


def test_an_engine_that_does_not_start_is_the_apps_own_error(tmp_path):
    class Broken(PlainEngine):
        async def start(self):
            raise ModelNotFound("no model of that name")

    with pytest.raises(ModelNotFound, match="no model of that name"), client(tmp_path, Broken()):
        pass


def test_the_end_lets_what_runs_finish_and_tells_the_rest(tmp_path):
    """After the signal, `grace` seconds; then who still waits hears that the server closes, and event streams end."""
    import httpx

    engine = PlainEngine()
    made = app(tmp_path, engine, grace=0.3)
    with listening(made) as (host, port):
        base = f"http://{host}:{port}"
        engine.gate.clear()

        async def leave():
            async with httpx.AsyncClient(base_url=base, timeout=120) as it:
                job = (await it.post("/v1/jobs", json=FACE)).json()
                waiting = asyncio.create_task(it.post("/v1/images", json=FACE))
                while len(engine.live) < 2:
                    await asyncio.sleep(0.01)
                async with it.stream("GET", job["events"]) as stream:
                    lines = stream.aiter_lines()
                    assert await anext(lines)  # it listens
                    made.state.leave()
                    return await waiting, [line async for line in lines if line]

        answer, events = asyncio.run(leave())
    assert answer.status_code == 503 and "closing" in answer.json()["error"]["message"]
    assert events[-2] == "event: failed" and "closing" in events[-1]


def test_openapi_documents_every_route(here):
    document = here.get("/openapi.json").json()
    assert {"/generate-caption", "/generate-image", "/v1/images", "/v1/jobs/{id}/events", "/v1/images/generations",
            "/v1/models", "/v1/history/{id}/favourite", "/v1/verify", "/metrics"} <= set(document["paths"])  # fmt: skip
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert "500" in operation["responses"], (method, path)
            if "security" in operation:
                assert {"401", "429"} <= set(operation["responses"]), (method, path)
            if "requestBody" in operation:
                assert {"400", "408", "413", "415", "422"} <= set(operation["responses"]), (method, path)
