"""Reviewing captions: what the page holds, what decisions do to the table, and the server that takes them."""

from __future__ import annotations

import http.client
import json
import re
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from likeness.caption import review
from likeness.caption.decisions import fingerprint
from likeness.caption.finish import folded
from likeness.caption.index import AGAIN, Index
from likeness.caption.review_server import Server, serving
from likeness.data.manifest import Manifest
from likeness.errors import UsageError
from likeness.records import Attributes, FaceRecord

HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> \u2028 & {{ROWS}} of a man with a beard."
TEXTS = (
    "A man with a full beard, brown eyes and short black hair.",
    "A woman with long blond hair, blue eyes and red lips.",
    "I'm sorry, but I can't help with that request.",
    HOSTILE,
    "",
)
TIME = "2026-11-20T10:00:00.000Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "faces"
    (home / "images").mkdir(parents=True)
    man = Attributes(gender="male", eye_color="blue")
    rows = []
    for place, text in enumerate(TEXTS):
        Image.new("RGB", (64, 48), (place * 50, 90, 120)).save(home / "images" / f"{place}.png")
        facts = {"captioner": "api", "model": "m", "time": TIME, "filled": ["eye_color"]}
        rows.append(FaceRecord(f"images/{place}.png", text, man, caption=facts))
    Manifest(home).write(rows)
    return home


def rows_of(page: Path | str) -> list[dict]:
    text = page.read_text(encoding="utf-8") if isinstance(page, Path) else page
    return json.loads(re.search(r'<script type="application/json" id="rows">(.*?)</script>', text, re.S)[1])


def decision(place: int, kind: str, **more: str) -> dict:
    about = {"file_name": f"images/{place}.png", "was": fingerprint(TEXTS[place])}
    return about | {"decision": kind, "time": TIME, **more}


def record(home: Path, place: int) -> FaceRecord:
    return next(r for r in Manifest(home).records() if r.file_name == f"images/{place}.png")


# ---- the page ----


def test_the_page_needs_nothing_but_itself(folder):
    page = review.write(folder)
    text = page.read_text(encoding="utf-8")
    assert page == folder / "review.html"
    rows = rows_of(page)
    assert [row["file"] for row in rows] == [f"images/{i}.png" for i in range(4)], "a row without a caption is left out"
    assert all(row["picture"].startswith("data:image/webp;base64,") for row in rows)
    markup = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.S)
    assert not re.findall(r'(?:src|href)=(?!"data:,")|https?://|@import|url\(', markup)
    assert "default-src &#x27;none&#x27;" in text and "connect-src &#x27;none&#x27;" in text


def test_a_caption_cannot_become_markup(folder):
    text = review.write(folder).read_text(encoding="utf-8")
    assert rows_of(text)[3]["text"] == HOSTILE, "and yet it is shown letter by letter"
    assert text.count("<script") == 3 and "alert(1)</script>" not in text and "\u2028" not in text


def test_the_page_says_what_is_wrong(folder):
    rows = rows_of(review.write(folder))
    assert rows[1]["conflicts"] == ["gender: the label says male, the caption female"]
    assert rows[2]["problem"].startswith("refused") and rows[0]["problem"] == "" == "".join(rows[0]["conflicts"])
    assert rows[0]["labels"] == {"gender": "male"}, "what the captioner filled in is no label"


@pytest.mark.parametrize(("only", "places"), [("conflicts", [1]), ("problems", [2, 3]), ("all", [0, 1, 2, 3])])
def test_a_part_can_be_reviewed(folder, only, places):
    assert [row["file"] for row in rows_of(review.write(folder, only=only))] == [f"images/{i}.png" for i in places]


def test_a_sample_is_the_same_for_a_seed(folder):
    pages = (rows_of(review.write(folder, only="sample", limit=2, seed=seed)) for seed in (1, 1, 2, 3, 4))
    drawn = [[row["file"] for row in rows] for rows in pages]
    assert drawn[0] == drawn[1] and all(len(one) == 2 for one in drawn) and len({tuple(one) for one in drawn}) > 1


def test_a_long_review_has_several_pages(folder, tmp_path):
    first = review.write(folder, tmp_path / "out" / "look.html", per_page=3)
    second = first.with_name("look-2.html")
    assert [len(rows_of(p)) for p in (first, second)] == [3, 1]
    assert '"next":"look-2.html"' in first.read_text() and '"previous":"look.html"' in second.read_text()


def test_a_picture_that_is_gone_costs_only_itself(folder):
    (folder / "images" / "0.png").unlink()
    assert [bool(row["picture"]) for row in rows_of(review.write(folder))] == [False, True, True, True]


@pytest.mark.parametrize("wrong", [{"only": "bad"}, {"limit": 0}])
def test_a_wrong_choice_is_refused(folder, wrong):
    with pytest.raises(UsageError):
        review.write(folder, **wrong)


def test_nothing_to_review_is_said(tmp_path):
    with pytest.raises(UsageError, match="data prepare"):
        review.write(tmp_path)
    Manifest(tmp_path).write([FaceRecord("images/1.png")])
    with pytest.raises(UsageError, match="no captions"):
        review.write(tmp_path)


# ---- decisions ----


def test_decisions_go_into_the_table(folder):
    given = [decision(0, "accepted"), decision(1, "edited", text="  A man with\nlong hair. "), decision(2, "rejected")]
    done = review.apply(folder, given, by="Ada")
    assert (done.accepted, done.edited, done.rejected) == (1, 1, 1)
    kept, changed, gone = (record(folder, place) for place in range(3))
    assert kept.text == TEXTS[0] and kept.caption["time"] == TIME
    assert kept.caption["reviewed"] == {"decision": "accepted", "time": TIME, "by": "Ada"}
    assert changed.text == "A man with long hair." and changed.caption["previous"] == TEXTS[1]
    assert gone.text == "" and gone.caption["rejected"] is True and gone.caption["previous"] == TEXTS[2]
    assert gone.attributes == Attributes(gender="male"), "what was filled in by a rejected answer goes with it"
    assert record(folder, 3).caption == {"captioner": "api", "model": "m", "time": TIME, "filled": ["eye_color"]}


def test_applying_twice_is_applying_once(folder):
    given = [decision(0, "accepted"), decision(1, "edited", text="A man."), decision(2, "rejected")]
    review.apply(folder, given)
    before = (folder / "metadata.jsonl").read_bytes()
    assert review.apply(folder, given).already == 3
    assert (folder / "metadata.jsonl").read_bytes() == before


def test_a_text_that_has_changed_since_is_left_alone(folder):
    stale = decision(0, "rejected") | {"was": fingerprint("something else")}
    done = review.apply(folder, [stale])
    assert (done.changed, done.rejected) == (1, 0) and record(folder, 0).text == TEXTS[0]


def test_the_last_decision_counts_and_can_be_taken_back(folder):
    given = [decision(0, "rejected"), decision(0, "open"), decision(1, "rejected"), decision(1, "accepted")]
    done = review.apply(folder, given)
    assert (done.open, done.rejected, done.accepted) == (1, 0, 1) and record(folder, 0).text == TEXTS[0]


def test_what_is_no_decision_is_counted(folder):
    bad = [
        7, {}, decision(0, "burnt"), decision(0, "edited"), decision(0, "edited", text=" \n"),
        decision(0, "accepted", by=3), decision(0, "accepted") | {"file_name": "../../etc/passwd"},
        decision(0, "edited", text="x" * 30_000),
    ]  # fmt: skip
    before = (folder / "metadata.jsonl").read_bytes()
    done = review.apply(folder, [*bad, decision(0, "accepted") | {"file_name": "images/99.png"}])
    assert (done.bad, done.unknown) == (len(bad), 1)
    assert (folder / "metadata.jsonl").read_bytes() == before


@pytest.mark.parametrize("form", ["list", "lines", "torn"])
def test_files_of_decisions_are_read(folder, tmp_path, form):
    given = [decision(0, "accepted"), decision(1, "rejected")]
    lines = "".join(json.dumps(one) + "\n" for one in given)
    text = {"list": "\ufeff" + json.dumps(given), "lines": lines, "torn": lines + '{"file_na'}[form]
    (tmp_path / "decisions.json").write_text(text, encoding="utf-8")
    done = review.apply(folder, tmp_path / "decisions.json")
    assert (done.accepted, done.rejected, done.bad) == (1, 1, 0)


@pytest.mark.parametrize("text", ["5", "nonsense\nmore\n"])
def test_other_files_are_refused(folder, tmp_path, text):
    (tmp_path / "decisions.json").write_text(text)
    with pytest.raises(UsageError):
        review.apply(folder, tmp_path / "decisions.json")


def test_a_rejected_caption_is_written_anew_and_an_edited_one_stays(folder):
    """The captioner's own file still has the old captions: neither may come back from there."""
    lines = [r.to_dict() for r in Manifest(folder).records() if r.text]
    (folder / "captions.0-5.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    review.apply(folder, [decision(0, "edited", text="A man with brown eyes."), decision(1, "rejected")])
    with Index.read(folder) as index:
        assert index.state("images/1.png") == AGAIN and index.row("images/1.png")["reason"] == "rejected"
        for place in (0, 1):
            now = record(folder, place)
            assert folded(now, index.row(now.file_name)) == now


def test_a_new_caption_ends_a_rejection(folder):
    review.apply(folder, [decision(1, "rejected")])
    line = {"text": "A man with grey hair.", "caption": {"captioner": "api", "time": "2099-01-01T00:00:00.000Z"}}
    assert folded(record(folder, 1), line).caption == line["caption"]


# ---- the server ----


def test_a_disk_that_fills_up_never_says_kept(folder):
    """The system then writes a part of the line and calls that a success."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serving(folder) as server:
        kept = server.review
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50, hard))
            with pytest.raises(OSError):
                kept.keep([decision(0, "rejected")])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert kept.decided() == {}
        assert kept.keep([decision(1, "accepted")]) == 1
        assert [one["decision"] for one in kept.decided().values()] == ["accepted"]


@contextmanager
def running(folder: Path, **options) -> Iterator[Server]:
    with serving(folder, **options) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: Server, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    """A request as a browser makes it; `headers` replace its own."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} if data is not None else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        link.request("GET" if data is None else "POST", path, data, sent)
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def test_decisions_are_on_disk_before_the_answer_and_in_the_table_at_the_end(folder):
    with running(folder, by="Ada") as server:
        home = f"/{server.token}/"
        status, text = ask(server, home)
        rows = rows_of(text.decode())
        assert status == 200 and rows[0]["picture"] == "picture/0"
        assert ask(server, home + rows[0]["picture"])[1][8:12] == b"WEBP"
        given = decision(0, "edited", text="A man.")
        assert (given["file_name"], given["was"]) == (rows[0]["file"], rows[0]["was"])
        assert json.loads(ask(server, home + "decisions", [given])[1]) == {"saved": 1, "given": 1}
        assert json.loads((folder / "decisions.jsonl").read_text())["by"] == "Ada"
        assert record(folder, 0).text == TEXTS[0], "the table changes once, at the end"
        assert '"decision":"edited"' in ask(server, home)[1].decode(), "a page that is loaded again remembers"
        status, said = ask(server, home + "finish", [decision(1, "rejected")])
        assert status == 200 and (json.loads(said)["edited"], json.loads(said)["rejected"]) == (1, 1)
        with pytest.raises(UsageError, match="ended"):
            server.review.keep([given])
    assert record(folder, 0).text == "A man." and not (folder / "decisions.jsonl").exists()
    assert len(list((folder / ".captions").glob("reviewed.*.jsonl"))) == 1


def test_a_killed_server_loses_nothing(folder):
    with running(folder) as server:
        ask(server, f"/{server.token}/decisions", [decision(0, "rejected")])
    with open(folder / "decisions.jsonl", "a") as file:
        file.write('{"file_name": "images/1.p')  # killed while it wrote
    with running(folder) as server:
        ask(server, f"/{server.token}/decisions", [decision(1, "accepted")])
        done = server.review.finish()
    assert (done.rejected, done.accepted, done.bad) == (1, 1, 0)


def test_strangers_learn_and_change_nothing(folder):
    with running(folder) as server:
        home, one = f"/{server.token}/", [decision(0, "rejected")]
        refused = {
            "no token": ask(server, "/decisions", one),
            "wrong token": ask(server, "/" + "x" * 22 + "/", None),
            "another name for this machine": ask(server, home, None, Host=f"evil.example:{server.port}"),
            "another page": ask(server, home + "decisions", one, Origin="https://evil.example"),
            "a form": ask(server, home + "decisions", one, Content_Type="text/plain"),
            "too long": ask(server, home + "decisions", b"[]", Content_Length=str(1 << 30)),
            "no length": ask(server, home + "decisions", b"[]", Content_Length="-5"),
            "nonsense": ask(server, home + "decisions", b"[" * 9000),
            "no such picture": ask(server, home + "picture/99"),
            "a path": ask(server, home + "picture/../../metadata.jsonl"),
            "another place": ask(server, home + "shutdown", []),
        }
        assert {why: status for why, (status, _) in refused.items()} == {
            "no token": 403, "wrong token": 403, "another name for this machine": 403, "another page": 403,
            "a form": 415, "too long": 413, "no length": 411, "nonsense": 400, "no such picture": 404, "a path": 404,
            "another place": 404,
        }  # fmt: skip
        assert not any(TEXTS[0].encode() in body for _, body in refused.values())
        assert not (folder / "decisions.jsonl").exists()
        stray = ask(server, home + "decisions", [5, decision(4, "accepted"), {"file_name": "images/77.png"}])
        assert json.loads(stray[1])["saved"] == 0, "rows that are not shown cannot be decided"


def test_only_this_machine_one_review_and_a_free_port(folder):
    with pytest.raises(UsageError, match="this machine"), serving(folder, host="0.0.0.0"):
        pass
    with serving(folder) as server:
        with pytest.raises(UsageError, match="another process"), serving(folder):
            pass
        Manifest(folder.parent / "other").write([FaceRecord("images/1.png", "A man.")])
        with pytest.raises(UsageError, match="--port"), serving(folder.parent / "other", port=server.port):
            pass


def test_serve_ends_when_the_page_says_so(folder):
    told: list[str] = []
    done = []
    thread = threading.Thread(target=lambda: done.append(review.serve(folder, port=0, tell=told.append)))
    thread.start()
    while not told:
        assert thread.is_alive()
        thread.join(0.01)
    port, token = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/([\w-]{20,})/", told[0]).groups()
    link = http.client.HTTPConnection("127.0.0.1", int(port), timeout=120)
    body = json.dumps([decision(0, "accepted")])
    link.request("POST", f"/{token}/finish", body, {"Content-Type": "application/json"})
    assert json.loads(link.getresponse().read())["accepted"] == 1
    thread.join(120)
    assert not thread.is_alive() and done[0].accepted == 1
