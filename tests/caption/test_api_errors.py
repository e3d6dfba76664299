"""What cannot succeed: one picture's trouble is a failure of that picture, everybody's trouble ends the run."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unruly import serve

from likeness.caption import chat, trouble
from likeness.caption.captioner import Caption, Face, Failure, make
from likeness.caption.endpoint import Endpoint
from likeness.errors import ConfigError, UsageError
from likeness.records import FaceRecord

Pictures = Callable[[int], list[Face]]


def run(url: str, faces: list[Face], **settings: Any) -> list[Any]:
    values = {"endpoint": url, "model": "face-vision", "window": 0.5, "max_side": 32} | settings
    return list(make("api", values).stream(faces))


@pytest.mark.parametrize("model", ["retired", "misspelt"])
def test_a_model_that_is_not_offered_ends_the_run_and_names_the_setting(model: str, pictures: Pictures):
    with serve() as server, pytest.raises(UsageError) as told:
        run(server.url, pictures(20), model=model, concurrency=2)
    assert model in str(told.value) and "--model" in str(told.value) and "LIKENESS_MODEL" in str(told.value)
    assert not [t for t in threading.enumerate() if t.name == "likeness-chat"]


def test_a_wrong_key_ends_the_run_and_names_the_variable(pictures: Pictures, monkeypatch: pytest.MonkeyPatch):
    with serve(key="right") as server:
        monkeypatch.setenv("LIKENESS_API_KEY", "wrong")
        with pytest.raises(UsageError, match="LIKENESS_API_KEY") as told:
            run(server.url, pictures(3))
        assert "wrong" not in str(told.value).split("(")[0]  # a key is never shown
        monkeypatch.setenv("LIKENESS_API_KEY", "right")
        assert len(run(server.url, pictures(3))) == 3


def test_no_server_ends_the_run_and_asks_whether_it_is_running(pictures: Pictures):
    with pytest.raises(UsageError, match="cannot reach http://127.0.0.1:9/v1"):
        run("http://127.0.0.1:9/v1", pictures(3), retries=1)


def test_an_address_of_something_else_ends_the_run(pictures: Pictures):
    with serve() as server, pytest.raises(UsageError, match="mend --endpoint"):
        run(server.url.removesuffix("/v1"), pictures(2))


def test_a_server_that_wants_hours_ends_the_run(pictures: Pictures):
    with serve(rates={"429-after": 1.0}, retry_after=7200) as server, pytest.raises(UsageError, match="wait 2.0 hours"):
        run(server.url, pictures(2))


def test_a_model_that_sees_no_pictures_ends_the_run(pictures: Pictures):
    with serve(rates={"400": 1.0}) as server, pytest.raises(UsageError, match="can this model see pictures"):
        run(server.url, pictures(40))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("500", "server"), ("half", "server"), ("429", "limit"), ("garbage", "invalid"), ("hang", "timeout")],
)
def test_when_every_try_fails_the_failure_says_how_and_may_be_retried(fault: str, reason: str, pictures: Pictures):
    with serve(rates={fault: 1.0}) as server:
        found = run(server.url, pictures(2), retries=2, timeout=0.5 if fault == "hang" else 60)
        assert server.stats()["requests"] == 6  # two pictures, three times each
    assert [(o.reason, o.again, o.usage.requests) for o in found] == [(reason, True, 3)] * 2
    assert all(o.detail for o in found)


@pytest.mark.parametrize("fault", ["filter", "refusal-field", "400", "403"])
def test_what_the_server_refuses_is_refused_once_and_concerns_nobody_else(fault: str, pictures: Pictures):
    with serve(rates={fault: 0.3}, seed=7) as server:
        found = run(server.url, pictures(20))
        stats = server.stats()
    failures = [o for o in found if isinstance(o, Failure)]
    assert len(found) == stats["requests"] == 20
    assert 0 < len(failures) == stats["faults"][fault] < 15
    assert {(o.reason, o.again) for o in failures} == {("refused", False)}


def test_a_file_that_is_no_picture_costs_no_request(pictures: Pictures, tmp_path: Path):
    (tmp_path / "broken.jpg").write_text("not a picture")
    faces = [*pictures(2), *(Face(FaceRecord(n), tmp_path / n) for n in ("broken.jpg", "missing.jpg"))]
    with serve() as server:
        found = {o.name: o for o in run(server.url, faces)}
        assert server.stats()["requests"] == 2
    assert {n: o.reason for n, o in found.items() if isinstance(o, Failure)} == {
        "broken.jpg": "unreadable", "missing.jpg": "unreadable",
    }  # fmt: skip
    assert found["missing.jpg"].again is False
    assert sum(isinstance(o, Caption) for o in found.values()) == 2


def test_a_link_out_of_the_folder_is_not_sent(pictures: Pictures, tmp_path: Path):
    """Pictures go to somebody else's computer: a table that others wrote must not choose which of this one's files."""
    there = pictures(2)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "own.jpg").write_bytes(there[0].path.read_bytes())
    (folder / "inner.jpg").symlink_to("own.jpg")
    (folder / "outer.jpg").symlink_to(there[1].path)
    faces = [Face(FaceRecord(n), folder / n, folder) for n in ("own.jpg", "inner.jpg", "outer.jpg")]
    with serve() as server:
        found = {o.name: o for o in run(server.url, faces)}
        assert server.stats()["requests"] == 2
    refused = found.pop("outer.jpg")
    assert isinstance(refused, Failure) and (refused.reason, refused.again) == ("unreadable", False)
    assert "leads out" in refused.detail and all(isinstance(one, Caption) for one in found.values())


def test_told_to_come_back_at_once_it_waits_all_the_same(pictures: Pictures, monkeypatch: pytest.MonkeyPatch):
    """Or "Retry-After: 0" would use up all tries in a moment."""
    waits: list[float] = []
    uniform = random.uniform
    monkeypatch.setattr(random, "uniform", lambda low, high: waits.append(high) or uniform(low, high))
    with serve(rates={"429-after": 1.0}, retry_after=0) as server:
        (one,) = run(server.url, pictures(1), retries=2)
    assert (one.reason, one.usage.requests) == ("limit", 3) and len(waits) == 2 and waits[1] == 2 * waits[0] > 0


def test_what_a_server_says_cannot_command_a_terminal():
    said = chat.Chat(Endpoint("vllm", "m"))._read(
        '{"choices": [{"message": {"content": "A man.\\u001b[2J\\u009b2J"}}]}'
    )
    assert said.text == "A man.[2J2J"
    assert trouble._line("no\x1b]0;x\x07 such\nmodel") == "no?]0;x? such model"


def test_one_question_without_a_picture():
    with serve() as server:
        text = chat.ask_once(Endpoint(server.url, "face-vision"), "You describe.", "A man")
        assert text.startswith("The ")
        with pytest.raises(UsageError, match="no answer"):
            chat.ask_once(Endpoint(f"{server.url}", "face-vision", timeout=1e-4, retries=0), "You describe.", "A man")


def test_an_endpoint_is_named_or_an_address_and_needs_what_it_needs(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="LIKENESS_ENDPOINT"):
        Endpoint(model="m").check()
    with pytest.raises(UsageError, match="LIKENESS_MODEL"):
        Endpoint("ollama").check()
    with pytest.raises(UsageError, match="did you mean 'groq'"):
        Endpoint("grok", "m").check()
    with pytest.raises(UsageError, match="GROQ_API_KEY"):
        Endpoint("groq", "m").check()
    monkeypatch.setenv("GROQ_API_KEY", "k")
    Endpoint("groq", "m").check()
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):  # nobody's key goes to somebody else
        Endpoint("openai", "m").check()
    assert not chat.configured()
    monkeypatch.setenv("LIKENESS_ENDPOINT", "vllm")
    monkeypatch.setenv("LIKENESS_MODEL", "m")
    assert chat.configured() and (Endpoint().url, Endpoint().model_name) == ("http://localhost:8000/v1", "m")
    with pytest.raises(ConfigError, match="requests_per_minute"):
        Endpoint("vllm", "m", requests_per_minute=0)
