"""The page's client: answers as they are, and every failure in plain words."""

import socket

import httpx
import pytest

from likeness.ui import problems
from likeness.ui.client import Client, read_events
from likeness.ui.problems import Problem


def test_descriptions_come_from_attributes_and_from_text(client):
    caption = client.describe({"gender": "male", "glasses": "eyeglasses"})["caption"]
    assert client.describe(text=caption)["attributes"] == {"gender": "male", "glasses": "eyeglasses"}
    assert client.describe(text="A man.", rewrite=True)["caption"] != "A man."


def test_loras_are_read_as_rows_and_as_names(client, state):
    assert client.loras() == ["glasses"]
    state.loras = ()
    assert client.loras() == []


def test_a_service_that_is_away_is_said_with_what_to_do():
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port, and nobody answers
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Problem, match="likeness up") as caught:
            Client(url).attributes()
    assert url in str(caught.value) and caught.value.status == 0


def test_wrong_key(state, service):
    state.key = "right"
    with pytest.raises(Problem, match="does not know this key") as caught:
        Client(service, "wrong").attributes()
    assert caught.value.status == 401
    assert Client(service, "right").attributes()["groups"]


def test_busy_says_for_how_long(client, state):
    state.busy = True
    with pytest.raises(Problem, match="try again in 7 seconds"):
        client.submit({"prompt": "A man."})


def test_refused_says_why(client):
    with pytest.raises(Problem, match="will not be drawn: this service draws nobody of that kind"):
        client.submit({"prompt": "forbidden"})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 502, 503, 504, 507])
@pytest.mark.parametrize("body", [None, {"error": {"message": "m", "code": "c"}}, {"detail": "other"}, []])
def test_every_status_has_words_without_gaps(status, body):
    words = str(problems.from_answer(status, body, None, "http://x"))
    assert len(words) > 20 and "{" not in words and "None" not in words


def test_something_else_at_the_address_is_said_so():
    assert "not the likeness service" in str(problems.from_answer(404, None, None, "http://x"))


def test_events_are_read_as_the_standard_says():
    lines = [": ping", "", "event: step", 'data: {"step":', "data: 3}", "", "data: not json", "", 'data:{"a":1}', ""]
    assert list(read_events(iter(lines))) == [("step", {"step": 3}), ("message", {"a": 1})]
    assert list(read_events(iter(["event: done", 'data: {"cut":']))) == []  # a stream that broke off


def test_events_of_no_job(client):
    with pytest.raises(Problem, match="no such job"):
        list(client.events("nobody"))


def test_a_proxy_of_the_internet_is_not_asked_for_this_machine(service, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert httpx.Client().trust_env  # the rule is ours
    assert Client(service).attributes()["groups"]
