"""The addresses one by one: what goes in, what comes out, what history keeps."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import socket

import httpx
import pytest
from PIL import Image

from likeness import grammar
from likeness.provenance import request_of
from likeness.records import FIELDS, Age, Attributes
from likeness.ui.face import of_entry
from plain_engine import PlainEngine
from serving import app, client, listening, until

FACE = {"prompt": "a woman with black hair", "steps": 2}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with client(tmp_path_factory.mktemp("routes")) as it:
        yield it


def events(text):
    """An event stream as (kind, data)."""
    blocks = [dict(line.split(": ", 1) for line in b.splitlines()) for b in text.strip().split("\n\n") if b[0] != ":"]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


def test_a_picture_is_answered_served_and_kept(here):
    asked = FACE | {"negative_prompt": "hat", "count": 3, "seed": 40, "response_format": "b64_json"}
    answer = here.post("/v1/images", json=asked).json()
    assert [picture["seed"] for picture in answer["pictures"]] == [40, 41, 42]
    assert (answer["model"], answer["notes"]) == ("mini", ["a plain picture"])
    for picture in answer["pictures"]:
        data = base64.b64decode(picture["b64_json"])
        assert hashlib.sha256(data).hexdigest() == picture["digest"]
        served = here.get(picture["url"])
        assert served.content == data and served.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(data)).size == (picture["width"], picture["height"])
        assert request_of(picture["recipe"]).seed == picture["seed"]  # what `likeness generate --like` reads
        entry = here.get(f"/v1/history/{picture['id']}").json()
        assert (entry["digest"], entry["url"], entry["seed"]) == (picture["digest"], picture["url"], picture["seed"])
        assert (entry["prompt"], entry["negative_prompt"]) == (FACE["prompt"], "hat")
        assert entry["request"]["steps"] == 2 and not entry["favourite"]


def test_the_same_request_twice_has_the_same_bytes_and_is_drawn_once(here):
    engine, asked = here.app.state.parts.engine, FACE | {"seed": 77, "count": 2}
    first = here.post("/v1/images", json=asked).json()
    before = engine.drawn
    again = here.post("/v1/images", json=asked).json()
    assert engine.drawn == before
    assert [p["cached"] for p in first["pictures"]] == [False, False] and [p["cached"] for p in again["pictures"]] == [
        True,
        True,
    ]
    assert [p["digest"] for p in first["pictures"]] == [p["digest"] for p in again["pictures"]]
    assert again["notes"] == first["notes"] and again["pictures"][0]["recipe"] == first["pictures"][0]["recipe"]
    assert again["pictures"][0]["id"] != first["pictures"][0]["id"]  # answered twice, so twice in history
    assert here.post("/v1/images", json=asked | {"width": 128, "height": 128}).json()["pictures"][0][
        "cached"
    ]  # resolved alike


def test_another_request_misses(here):
    asked = FACE | {"seed": 81, "count": 2}
    here.post("/v1/images", json=asked)
    for other in (
        {"seed": 82},
        {"steps": 3},
        {"prompt": "a man"},
        {"count": 1},
        {"guidance": 2.5},
        {"guidance_interval": [0, 0.6]},
        {"negative_prompt": "hat"},
    ):
        assert not here.post("/v1/images", json=asked | other).json()["pictures"][0]["cached"], other


def test_an_interval_of_guidance_comes_back_in_the_recipe_and_goes_out_again(here):
    (picture,) = here.post("/v1/images", json=FACE | {"seed": 83, "guidance_interval": [0, 0.6]}).json()["pictures"]
    assert picture["recipe"]["request"]["guidance_interval"] == [0, 0.6]
    kept = of_entry(here.get(f"/v1/history/{picture['id']}").json())
    assert kept.again()["guidance_interval"] == [0, 0.6] and kept.facts()["Guided from, to"] == "0, 0.6"


def test_another_fingerprint_misses(here):
    engine, asked = here.app.state.parts.engine, FACE | {"seed": 79}
    here.post("/v1/images", json=asked)
    engine.fingerprint = "e" * 64
    try:
        assert not here.post("/v1/images", json=asked).json()["pictures"][0]["cached"]
    finally:
        engine.fingerprint = "f" * 64
    assert here.post("/v1/images", json=asked).json()["pictures"][0]["cached"]


def test_without_a_seed_each_picture_is_new(here):
    one, other = (here.post("/v1/images", json=FACE).json()["pictures"][0] for _ in range(2))
    assert one["seed"] != other["seed"] and not other["cached"]


def test_the_cache_is_emptied_by_age_or_at_once(tmp_path):
    with client(tmp_path) as it:
        asked = FACE | {"seed": 1}
        picture = it.post("/v1/images", json=asked).json()["pictures"][0]
        assert it.delete("/v1/cache?older_than=600").json()["answers"] == 0
        assert it.post("/v1/images", json=asked).json()["pictures"][0]["cached"]
        assert it.delete("/v1/cache").json()["answers"] == 1
        assert not it.post("/v1/images", json=asked).json()["pictures"][0]["cached"]
        assert it.get(picture["url"]).status_code == 200  # history has it still


def test_the_cache_can_be_off(tmp_path):
    with client(tmp_path, cache=False) as it:
        assert [it.post("/v1/images", json=FACE | {"seed": 1}).json()["pictures"][0]["cached"] for _ in "12"] == [
            False
        ] * 2


def test_equal_requests_at_once_are_drawn_once(tmp_path):
    engine = PlainEngine()
    with listening(app(tmp_path, engine)) as (host, port):

        async def many():
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=120) as it:
                asked = [asyncio.create_task(it.post("/v1/images", json=FACE | {"seed": 5})) for _ in range(5)]
                other = asyncio.create_task(it.post("/v1/images", json=FACE | {"seed": 6}))
                return [(await task).json()["pictures"][0] for task in (*asked, other)]

        *alike, other = asyncio.run(many())
    assert engine.drawn == 2 and len({p["digest"] for p in alike}) == 1 and other["digest"] != alike[0]["digest"]
    assert sorted(p["cached"] for p in alike) == [False, True, True, True, True]


def test_who_hangs_up_frees_the_place(tmp_path):
    engine = PlainEngine(queue=1)
    with listening(app(tmp_path, engine)) as (host, port):
        engine.gate.clear()
        for path in ("/v1/images", "/v1/images/generations", "/generate-image"):
            body = b'{"caption": "a man"}' if path == "/generate-image" else b'{"prompt": "a man"}'
            head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            with socket.create_connection((host, port), timeout=120) as line:
                line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                until(lambda: engine.live)
            until(lambda: not engine.live)  # or the next one would find the queue full
        engine.gate.set()
        assert httpx.post(f"http://{host}:{port}/v1/images", json=FACE, timeout=120).status_code == 200
        assert engine.drawn == 1


def test_a_job_tells_its_progress_and_ends(here):
    created = here.post("/v1/jobs", json=FACE | {"count": 2, "seed": 300})
    job = created.json()
    assert created.status_code == 202 and created.headers["Location"] == f"/v1/jobs/{job['id']}"
    told = events(here.get(job["events"]).text)
    kinds = [kind for kind, _ in told]
    assert [k for k in kinds if k != "preview"] == ["queued", "started", "step", "step", "picture", "picture", "done"]
    assert [data["step"] for kind, data in told if kind == "step"] == [1, 2]
    state = here.get(f"/v1/jobs/{job['id']}").json()
    assert (state["status"], state["step"], state["steps"], state["error"]) == ("done", 2, 2, None)
    assert state["pictures"] == told[-1][1]["pictures"] and [p["seed"] for p in state["pictures"]] == [300, 301]
    assert here.get(f"/v1/history/{state['pictures'][0]['id']}").status_code == 200
    # a second listener hears all of it, one that comes back only the rest
    assert events(here.get(job["events"]).text)[-1] == told[-1]
    assert [k for k, _ in events(here.get(job["events"], headers={"Last-Event-ID": "3"}).text)][0] == "step"


def test_a_job_of_the_cache_has_its_pictures_too(here):
    first = here.post("/v1/images", json=FACE | {"seed": 301}).json()["pictures"][0]
    job = here.post("/v1/jobs", json=FACE | {"seed": 301}).json()
    told = events(here.get(job["events"]).text)
    assert [kind for kind, _ in told] == ["picture", "done"] and told[0][1]["digest"] == first["digest"]


def test_previews_come_while_it_is_drawn(tmp_path):
    engine = PlainEngine()
    with listening(app(tmp_path, engine)) as (host, port), httpx.Client(base_url=f"http://{host}:{port}") as it:
        engine.gate.clear()
        job = it.post("/v1/jobs", json=FACE).json()
        seen = []
        with it.stream("GET", job["events"], timeout=120) as stream:
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    seen.append(line[7:])
                    if seen == ["queued"]:  # it listens before the first step is done
                        engine.gate.set()
                if line.startswith("data: ") and seen[-1] == "preview":
                    assert base64.b64decode(json.loads(line[6:])["image"]).startswith(b"\xff\xd8")
    assert "preview" in seen and seen[-1] == "done"


def test_a_job_is_cancelled_and_its_place_is_free(here):
    engine = here.app.state.parts.engine
    here.portal.call(engine.gate.clear)
    try:
        job = here.post("/v1/jobs", json=FACE).json()
        assert len(engine.live) == 1
        assert here.delete(f"/v1/jobs/{job['id']}").json()["status"] == "cancelled"
        assert events(here.get(job["events"]).text)[-1] == ("cancelled", {})
        assert not engine.live
    finally:
        here.portal.call(engine.gate.set)
    done = here.post("/v1/jobs", json=FACE).json()
    here.get(done["events"])
    assert here.delete(f"/v1/jobs/{done['id']}").json()["status"] == "done"  # what is over stays


def test_wrong_jobs_are_refused_at_once(here):
    for body, code in (({"prompt": " "}, "invalid_request"), (FACE | {"width": 13}, "invalid_request")):
        assert here.post("/v1/jobs", json=body).json()["error"]["code"] == code


def test_refining_starts_from_history_and_remembers_it(here):
    parent = here.post("/v1/images", json=FACE | {"seed": 9}).json()["pictures"][0]
    changed = here.post("/v1/images", json=FACE | {"prompt": "an older woman", "image": parent["id"], "strength": 0.6})
    entry = here.get(f"/v1/history/{changed.json()['pictures'][0]['id']}").json()
    assert entry["parent"] == parent["id"] and entry["request"]["strength"] == 0.6


def test_attributes_are_checked_and_kept(here):
    said = {"gender": "female", "age": "30-39", "glasses": "eyeglasses"}
    picture = here.post("/v1/images", json=FACE | {"attributes": said}).json()["pictures"][0]
    assert here.get(f"/v1/history/{picture['id']}").json()["attributes"] == said
    for wrong in (
        {"gender": "car"},
        {"colour": "red"},
        {"age": "old"},
        {"nose": [{}]},
        {"gender": ["male"]},
        {"age": [1]},
    ):
        answer = here.post("/v1/images", json=FACE | {"attributes": wrong})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_attributes"), wrong


def test_minors_are_refused(here):
    for prompt in ("a naked girl of 12 years", "a child"):
        answer = here.post("/v1/images", json={"prompt": prompt})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "prompt_refused")
    for path in ("/generate-caption", "/v1/captions"):  # no text engine, near or far, is asked for that either
        answer = here.post(path, json={"prompt_text": "a naked girl of 12 years"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "prompt_refused")


def test_gateways_endpoints(here):
    caption = here.post("/generate-caption", json={"prompt_text": "old man"}).json()
    assert caption == {"status": "success", "caption": "old man. A face against a plain background."}
    answer = here.post(
        "/generate-image", json={"caption": caption["caption"], "seed": 4, "width": 64, "height": 64}
    ).json()
    assert set(answer) == {"status", "image_url"} and answer["image_url"].startswith("http://127.0.0.1:8000/v1/images/")
    assert Image.open(io.BytesIO(here.get(answer["image_url"]).content)).size == (64, 64)


def test_captions_from_attributes_and_from_words(here):
    said = {"gender": "male", "age": "40-49", "hair_color": "red", "facial_hair": ["full beard"]}
    answer = here.post("/v1/captions", json={"attributes": said}).json()
    assert answer["attributes"] == said
    assert answer["caption"] == grammar.describe(Attributes.from_dict(said), seed=None)
    read = here.post("/v1/captions", json={"prompt_text": "a bald man wearing glasses"}).json()
    assert read["attributes"] == {"gender": "male", "hair_length": "bald", "glasses": "eyeglasses"}
    assert read["caption"] == "a bald man wearing glasses"
    longer = here.post("/v1/captions", json={"prompt_text": "old man", "rewrite": True}).json()["caption"]
    assert longer.startswith("old man.") and len(longer) > 10
    assert here.post("/v1/captions", json={}).json() == {"caption": "", "attributes": {}, "notes": []}
    assert here.post("/v1/captions", json={"prompt_text": "unreadable", "rewrite": True}).status_code == 400


def test_written_captions_are_cached_and_kept(here):
    for _ in range(2):
        here.post("/generate-caption", json={"prompt_text": "a captain"})
    found = here.get("/v1/history", params={"kind": "caption", "q": "CAPTAIN"}).json()["entries"]
    assert len(found) == 2 and found[0]["digest"] is None and found[0]["url"] is None


def test_the_form_of_attributes_is_the_table_of_fields(here):
    form = here.get("/v1/attributes").json()
    fields = {row["name"]: row for group in form["groups"] for row in group["fields"]}
    assert list(fields) == list(FIELDS)
    assert all(
        row["values"] == list(FIELDS[name].values) and row["many"] == FIELDS[name].many for name, row in fields.items()
    )
    assert [name for name, row in fields.items() if row["mandatory"]] == ["gender"]
    ages = [Age.parse(text) for text in form["ages"]["ranges"]]
    assert ages[0].low == form["ages"]["minimum"] == 18 and ages[-1].high == form["ages"]["maximum"]
    assert all(one.high + 1 == next_.low for one, next_ in zip(ages, ages[1:], strict=False))  # none between two ranges


def test_history_is_searched_paged_marked_and_deleted(tmp_path):
    with client(tmp_path) as it:
        made = [
            it.post("/v1/images", json=FACE | {"prompt": f"man number {n}"}).json()["pictures"][0] for n in range(5)
        ]
        pages, cursor = [], None
        while True:
            page = it.get("/v1/history", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
            pages.append([entry["id"] for entry in page["entries"]])
            if not (cursor := page["next"]):
                break
        assert [len(page) for page in pages] == [2, 2, 1]
        assert sum(pages, []) == [p["id"] for p in reversed(made)]
        assert [e["prompt"] for e in it.get("/v1/history", params={"q": "Number 3"}).json()["entries"]] == [
            "man number 3"
        ]
        assert it.put(f"/v1/history/{made[1]['id']}/favourite").json()["favourite"] is True
        assert [e["id"] for e in it.get("/v1/history?favourites=true").json()["entries"]] == [made[1]["id"]]
        assert it.delete(f"/v1/history/{made[1]['id']}/favourite").json()["favourite"] is False
        assert it.delete(f"/v1/history/{made[0]['id']}").json() == {"id": made[0]["id"], "deleted": True}
        for answer in (it.get(f"/v1/history/{made[0]['id']}"), it.delete(f"/v1/history/{made[0]['id']}"),
                       it.put(f"/v1/history/{made[0]['id']}/favourite")):  # fmt: skip
            assert answer.status_code == 404
        assert it.get("/v1/history?cursor=nonsense").status_code == 400
        assert it.get("/v1/history?limit=0").status_code == 422


def test_models_and_loras(here):
    listed = here.get("/v1/models").json()
    assert listed["object"] == "list" and [m["id"] for m in listed["data"]] == ["mini", "sd15"]
    assert listed["data"][0] == here.get("/v1/models/mini").json() and listed["data"][0]["likeness"]["default"]
    assert here.post("/v1/models/sd15/load").json()["likeness"]["loaded"] is True
    assert here.post("/v1/models/sd15/unload").json()["likeness"]["loaded"] is False
    for method, path in (("GET", "/v1/models/none"), ("POST", "/v1/models/none/load")):
        assert here.request(method, path).json()["error"]["code"] == "model_not_found"
    assert here.get("/v1/loras").json() == {"loras": []}
    unknown = here.post("/v1/images", json=FACE | {"loras": [{"name": "glasses"}]})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "lora_not_found")


def test_addresses_of_pictures_follow_the_public_url(tmp_path):
    with client(tmp_path, public_url="https://faces.example/api/") as it:
        answer = it.post("/v1/images", json=FACE).json()
        assert answer["pictures"][0]["url"].startswith("https://faces.example/api/v1/images/")
        assert it.post("/v1/jobs", json=FACE).json()["events"].startswith("https://faces.example/api/v1/jobs/")


def test_verify_reads_a_picture_sent_in_any_way(here, faces):
    from likeness.provenance import Marks, mark_png
    from likeness.records import ImageRequest

    face = Image.open(next((faces / "images").glob("*.webp"))).convert("RGB").resize((256, 256))
    marked = mark_png(face, ImageRequest("a man", steps=2, width=256, height=256), 5, "f" * 64, marks=Marks())
    sent = [
        here.post("/v1/verify", content=marked, headers={"Content-Type": "image/png"}),
        here.post("/v1/verify", content=marked, headers={"Content-Type": "application/octet-stream"}),
        here.post("/v1/verify", files={"file": ("face.png", marked)}),
    ]
    for answer in sent:
        said = answer.json()
        assert said["of_likeness"] is said["xmp"] is said["belongs"] is True
        assert said["recipe"]["request"]["prompt"] == "a man" and said["manifest"] is None
    bare = io.BytesIO()
    face.save(bare, "PNG")
    said = here.post("/v1/verify", content=bare.getvalue(), headers={"Content-Type": "image/png"}).json()
    assert said["of_likeness"] is False and said["recipe"] is None and "proves nothing" in said["conclusion"]
    for data, kind, status in ((b"no picture", "image/png", 400), (b"", "image/png", 400), (marked, "text/plain", 415)):
        assert here.post("/v1/verify", content=data, headers={"Content-Type": kind}).status_code == status
    assert here.post("/v1/verify", files={"other": b"x"}).status_code == 422
