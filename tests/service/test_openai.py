"""The official `openai` client against a server that really runs, and draws with the embedded model."""

from __future__ import annotations

import base64
import io
import threading

import httpx
import openai
import pytest
from PIL import Image

from likeness.provenance import request_of
from likeness.service.app import create_app
from plain_engine import PlainEngine, PlainTexts
from serving import app, listening, settings, until

SIZE = "64x64"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A server with `mini` in its worker process; and the folder that it keeps things in."""
    folder = tmp_path_factory.mktemp("openai")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIKENESS_HOME", str(folder))
        made = create_app(settings(folder, model="mini", workers=1), texts=PlainTexts())
        with listening(made) as (host, port):
            yield f"http://{host}:{port}"


@pytest.fixture(scope="module")
def client(real):
    return openai.OpenAI(base_url=f"{real}/v1", api_key="none", max_retries=0, timeout=120)


def opened(data):
    return Image.open(io.BytesIO(data))


def test_two_pictures_as_base64_and_by_address(client):
    asked = {
        "prompt": "a smiling woman with long black hair",
        "n": 2,
        "size": SIZE,
        "extra_body": {"steps": 2, "seed": 11},
    }
    inline = client.images.generate(response_format="b64_json", **asked)
    pictures = [base64.b64decode(one.b64_json) for one in inline.data]
    assert [opened(data).size for data in pictures] == [(64, 64)] * 2 and pictures[0] != pictures[1]
    assert all(one.url is None and one.revised_prompt == asked["prompt"] for one in inline.data)
    by_address = client.images.generate(response_format="url", **asked)
    assert [httpx.get(one.url).content for one in by_address.data] == pictures  # the cache has the very bytes
    assert client.images.generate(**asked).data[0].url == by_address.data[0].url  # addresses unless asked otherwise


def test_every_picture_says_that_it_is_generated_and_how(client, real):
    picture = client.images.generate(
        prompt="an old man", size=SIZE, response_format="b64_json", extra_body={"steps": 2}
    )
    data = base64.b64decode(picture.data[0].b64_json)
    verdict = httpx.post(f"{real}/v1/verify", content=data, headers={"Content-Type": "image/png"}, timeout=60).json()
    assert verdict["of_likeness"] and verdict["xmp"]
    assert verdict["manifest"]["valid"] and verdict["manifest"]["trusted"]  # by the server's own authority
    assert request_of(verdict["recipe"]).prompt == "an old man"


def test_what_other_programs_send_along_is_no_error(client):
    answer = client.images.generate(
        prompt="a man", model="mini", size="auto", n=1, quality="standard", style="natural", user="someone",
        extra_body={"steps": 1},
    )  # fmt: skip
    assert answer.data[0].url and answer.created > 1_700_000_000


def test_models_are_listed_and_retrieved(client):
    assert [model.id for model in client.models.list()] == ["mini"]
    assert client.models.retrieve("mini").owned_by == "likeness"
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-4")
    assert raised.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("asked", "kind", "code"),
    [
        ({"prompt": "a child"}, openai.BadRequestError, "prompt_refused"),
        ({"prompt": "  "}, openai.BadRequestError, "invalid_request"),
        ({"prompt": "a man", "size": "63x64"}, openai.BadRequestError, "invalid_request"),
        ({"prompt": "a man", "n": 99}, openai.UnprocessableEntityError, "invalid_value"),
        ({"prompt": "a man", "size": "large"}, openai.UnprocessableEntityError, "invalid_value"),
        ({"prompt": "a man", "model": "dall-e-3"}, openai.NotFoundError, "model_not_found"),
        ({"prompt": "a man", "stream": True}, openai.UnprocessableEntityError, "invalid_value"),
    ],
)
def test_errors_are_the_clients_own_classes(client, asked, kind, code):
    with pytest.raises(kind) as raised:
        client.images.generate(**asked)
    assert raised.value.code == code and raised.value.request_id
    assert raised.value.body["message"]


def test_keys_rates_and_a_full_queue(tmp_path):
    engine = PlainEngine(queue=1)
    made = app(tmp_path, engine, require_keys=True)
    secret = made.state.parts.keys.add("program", rate_per_minute=3)[1]
    with listening(made) as (host, port):
        base = f"http://{host}:{port}/v1"
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=base, api_key="lk-wrong", max_retries=0).models.list()
        one = openai.OpenAI(base_url=base, api_key=secret, max_retries=0)
        engine.gate.clear()
        waits = threading.Thread(target=lambda: one.images.generate(prompt="a man", extra_body={"steps": 1}))
        waits.start()
        until(lambda: engine.live)
        with pytest.raises(openai.RateLimitError) as full:
            one.images.generate(prompt="a man")
        assert full.value.code == "queue_full" and int(full.value.response.headers["retry-after"]) > 0
        engine.gate.set()
        waits.join(120)
        one.images.generate(prompt="a man", extra_body={"steps": 1})
        with pytest.raises(openai.RateLimitError) as fast:
            for _ in range(20):  # the first, unless 20 seconds have passed since: then there is leave for one more
                one.images.generate(prompt="a man", extra_body={"steps": 1})
        assert fast.value.code == "rate_limited"
