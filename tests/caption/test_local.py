"""Captioners that need no vision model of somebody else: labels, eye, and fuse against a real local server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from unruly import serve

from likeness import grammar
from likeness.caption.agreement import conflicts
from likeness.caption.captioner import Caption, Face, Failure, make
from likeness.caption.seen import LOOKS, Eyes, picture, surely
from likeness.data.labels import read_faces
from likeness.errors import ConfigError, UsageError
from likeness.records import Age, Attributes, FaceRecord

MAN = Attributes(age=Age(30, 39), gender="male", ethnicity=("White",), hair_color="black", glasses="none")


def face(name: str, attributes: Attributes | None = MAN, path: Path = Path("nowhere.png"), **more: Any) -> Face:
    return Face(FaceRecord(name, attributes=attributes, **more), path)


@pytest.fixture(scope="module")
def shipped() -> list[Face]:
    from likeness.evaluate.adherence.cases import FACES

    return [Face(record, FACES / record.file_name) for record in read_faces(FACES, "test")]


# ---- labels ----


def test_labels_say_what_the_row_says(shipped: list[Face]) -> None:
    for style in ("paragraph", "sentence", "tags"):
        for one in make("labels", {"style": style}).stream(shipped[:40]):
            said = next(f for f in shipped if f.name == one.name).record.attributes
            assert isinstance(one, Caption)
            assert grammar.parse(one.text).attributes == said
            assert one.facts["captioner"] == "labels"


def test_wording_is_a_function_of_seed_and_name_alone() -> None:
    many = [face(f"images/{i}.png") for i in range(12)]
    whole = {one.name: one for one in make("labels", {}).stream(many)}
    assert {one.name: one for one in make("labels", {}).stream(many[7:4:-1])}.items() <= whole.items()
    texts = [one.text for one in whole.values() if isinstance(one, Caption)]
    assert len(set(texts)) > 8, "the same labels in other words"
    assert [one.text for one in make("labels", {"seed": 1}).stream(many)] != texts  # type: ignore[union-attr]


def test_a_row_without_labels_of_its_own_is_a_failure_for_good() -> None:
    filled = face("images/c.png", Attributes(gender="male"), caption={"captioner": "eye", "filled": ["gender"]})
    found = list(make("labels", {}).stream([face("images/a.png", None), face("images/b.png", Attributes()), filled]))
    assert [(one.reason, one.again) for one in found if isinstance(one, Failure)] == [("no labels", False)] * 3


def test_a_wrong_style_is_refused() -> None:
    for name in ("labels", "eye"):
        with pytest.raises(ConfigError, match="paragraph"):
            make(name, {"style": "paragraf"})


# ---- eye ----


def test_what_it_is_surer_of_is_rarer_and_righter(shipped: list[Face]) -> None:
    """On shipped test faces: the confidence means something. How weak it is stands in docs/captions.md."""
    some = shipped[:120]
    genders = [one.record.attributes.gender for one in some if one.record.attributes]
    looks = Eyes(device="cpu").look(some)
    shares, rights = [], []
    for threshold in (0.5, 0.8):
        sure = [surely(look, threshold).get("gender") for look in looks if isinstance(look, dict)]
        said = [(found[0], truth) for found, truth in zip(sure, genders, strict=True) if found]
        shares.append(len(said) / len(some))
        rights.append(sum(found == truth for found, truth in said) / len(said))
    assert shares[0] == 1 > shares[1]
    assert 0.65 < rights[0] < rights[1], "better than guessing, and better where it is surer"


def test_text_attributes_and_confidence_agree(shipped: list[Face]) -> None:
    for one in make("eye", {"threshold": 0.6, "device": "cpu"}).stream(shipped[:8]):
        assert isinstance(one, Caption) and one.attributes is not None
        assert grammar.parse(one.text).attributes == one.attributes
        assert set(one.confidence) == set(one.attributes.said())
        assert all(0.6 <= chance <= 1 for chance in one.confidence.values())
        assert one.facts["model"].startswith("eye ") and one.facts["threshold"] == 0.6


def test_nothing_sure_and_nothing_readable_are_failures(shipped: list[Face], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    faces = [face("images/broken.png", path=broken), face("images/gone.png", path=tmp_path / "gone.png"), shipped[0]]
    found = list(make("eye", {"threshold": 1.0, "batch": 2}).stream(faces))
    assert [one.name for one in found] == [one.name for one in faces]
    assert [(one.reason, one.again) for one in found if isinstance(one, Failure)] == [
        ("unreadable", False), ("unreadable", False), ("empty", False),
    ]  # fmt: skip


def test_ages_widen_until_sure_and_beards_are_mens() -> None:
    ages = dict(zip(LOOKS["age"], (0.3, 0.35, 0.25, 0.05, 0.03, 0.02), strict=True))
    look = {"gender": {"female": 0.9, "male": 0.1}, "age": ages, "facial_hair": {"none": 0.95, "stubble": 0.05}}
    assert surely(look, 0.6) == {"gender": ("female", 0.9), "age": ("20-39", pytest.approx(0.65))}
    assert surely(look, 0.8)["age"] == ("20-49", pytest.approx(0.9))
    assert "age" not in surely(look, 0.95)
    look["gender"] = {"female": 0.1, "male": 0.9}
    assert surely(look, 0.6)["facial_hair"] == ("none", 0.95)


def test_a_row_that_knows_the_eyes_is_cut_as_the_model_learned_faces(shipped: list[Face]) -> None:
    from PIL import Image

    whole = Image.new("RGB", (400, 400), "white")
    whole.putpixel((1, 1), (0, 0, 0))
    whole.save("wide.png")
    plain = picture(face("wide.png", path=Path("wide.png")))
    cut = picture(face("wide.png", path=Path("wide.png"), landmarks=((180.0, 200.0), (220.0, 200.0))))
    assert plain.size == (400, 400) and cut.size == (128, 128)


# ---- fuse ----


class Writer(BaseHTTPRequestHandler):
    """An OpenAI-compatible server whose words are the test's own."""

    say: Callable[[list[dict[str, Any]]], str]
    asked: list[list[dict[str, Any]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body["messages"])
        choice = {"index": 0, "message": {"role": "assistant", "content": type(self).say(body["messages"])}}
        answer = {
            "choices": [choice | {"finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 5},
        }
        data = json.dumps(answer | {"id": "1", "object": "chat.completion", "model": "m", "created": 0}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def writer(say: Callable[[list[dict[str, Any]]], str]) -> Iterator[tuple[dict[str, Any], list[list[dict[str, Any]]]]]:
    asked: list[list[dict[str, Any]]] = []
    handler = type("Told", (Writer,), {"say": staticmethod(say), "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        yield {"endpoint": url, "model": "m", "concurrency": 2, "price_in": 1.0, "price_out": 2.0}, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


RIGHT = "A White man in his thirties with black hair looks on calmly. He wears no glasses."
WRONG = "A White woman in her thirties with blond hair looks on calmly."


def test_the_model_writes_from_the_labels() -> None:
    with writer(lambda messages: RIGHT) as (where, asked):
        found = list(make("fuse", where).stream([face("images/a.png"), face("images/b.png", None)]))
    (one,) = (o for o in found if isinstance(o, Caption))
    assert (one.name, one.text) == ("images/a.png", RIGHT)
    assert one.usage and (one.usage.requests, one.usage.tokens_in, one.usage.cost) == (1, 9, pytest.approx(19e-6))
    assert [(o.name, o.reason, o.again) for o in found if isinstance(o, Failure)] == [
        ("images/b.png", "no labels", False)
    ]
    bag = asked[0][-1]["content"]
    assert "wording" not in one.facts
    read = grammar.parse(bag.split("from these words:")[1].split("Begin with")[0]).attributes
    assert read == MAN, "the bag of words says all of the labels"


def test_a_contradiction_is_named_and_asked_for_once_more() -> None:
    with writer(lambda messages: RIGHT if len(messages) > 2 else WRONG) as (where, asked):
        found = list(make("fuse", where).stream([face(f"images/{i}.png") for i in range(5)]))
    assert sorted(one.name for one in found) == [f"images/{i}.png" for i in range(5)]
    assert all(isinstance(one, Caption) and one.text == RIGHT for one in found)
    second = [messages for messages in asked if len(messages) > 2]
    assert len(asked) == 10 and len(second) == 5, "once more each, and not more often"
    assert second[0][2] == {"role": "assistant", "content": WRONG}
    assert "gender" in second[0][3]["content"] and "male" in second[0][3]["content"]
    assert all(one.usage and one.usage.requests == 2 for one in found)


def test_labels_win_over_a_model_that_insists() -> None:
    with writer(lambda messages: WRONG) as (where, asked):
        (one,) = make("fuse", where).stream([face("images/a.png")])
    assert isinstance(one, Caption) and len(asked) == 2
    assert grammar.parse(one.text).attributes == MAN
    assert one.facts["wording"] == "grammar" and "gender" in one.facts["note"]


def test_no_contradiction_comes_through_and_nobody_is_lost_on_an_unruly_server() -> None:
    """That server describes a random face, whatever it is asked: half of its answers are of the wrong gender."""
    many = [face(f"images/{i}.png", replace(MAN, age=Age(20 + i))) for i in range(24)]
    with serve(rates={"500": 0.1, "half": 0.1}, window=0.6, latency=0.001, requests=40) as server:
        settings = {"endpoint": server.url, "model": "face-vision", "window": 0.6, "requests_per_minute": 40}
        found = list(make("fuse", settings).stream(many))
        stats = server.stats()
    assert sorted(one.name for one in found) == sorted(one.name for one in many)
    labels = {one.name: one.record.attributes for one in many}
    assert all(isinstance(one, Caption) and not conflicts(one.text, labels[one.name]) for one in found)
    assert not stats["violations"], "asking again at the end keeps to the limits too"


def test_the_detector_speaks_where_labels_are_silent_and_is_marked(shipped: list[Face]) -> None:
    bare = [Face(replace(f.record, attributes=Attributes(gender=f.record.attributes.gender)), f.path)
            for f in shipped[:6] if f.record.attributes]  # fmt: skip
    with writer(lambda messages: "Somebody looks on calmly and steadily.") as (where, asked):
        settings = {**where, "detector": "eye", "threshold": 0.6, "device": "cpu"}
        found = [one for one in make("fuse", settings).stream(bare) if isinstance(one, Caption)]
    assert len(found) == 6 and any("perhaps" in messages[-1]["content"] for messages in asked)
    for one in found:
        said = one.attributes.said() if one.attributes else {}
        assert set(said) == set(one.confidence) and "gender" not in said, "labels win"
        assert one.facts["detector"].startswith("eye ")


def test_settings_are_checked_before_anything_is_asked() -> None:
    with pytest.raises(UsageError, match="LIKENESS_ENDPOINT"):
        make("fuse", {})
    there = {"endpoint": "vllm", "model": "m"}
    for wrong in ({"detector": "eyes"}, {"concurrency": 0}, {"prompt": "short"}):
        with pytest.raises(ConfigError):
            make("fuse", there | wrong)
