"""A job as the page sees it: its progress is a fold of its events."""

import base64
import time

import pytest

from likeness.ui.drawing import Drawing, Progress, fold, settle
from likeness.ui.problems import Problem


def over(drawing: Drawing) -> Progress:
    for _ in range(2400):
        if drawing.now.over:
            return drawing.now
        time.sleep(0.05)
    raise AssertionError(f"not over: {drawing.now}")


def test_a_job_ends_with_its_pictures_and_previews(client):
    now = over(Drawing(client, {"prompt": "A man.", "count": 3, "seed": 5, "steps": 2}))
    assert now.status == "done" and now.share == 1.0 and [p["seed"] for p in now.pictures] == [5, 6, 7]
    assert sorted(now.previews) == [0, 1, 2] and now.previews[0].startswith(b"\xff\xd8")
    assert client.picture(now.pictures[0]["digest"]).startswith(b"\x89PNG")


def test_cancel_ends_a_job_that_is_drawn(client, state):
    state.pause = 0.2
    drawing = Drawing(client, {"prompt": "A man.", "steps": 100})
    drawing.cancel()
    assert over(drawing).status == "cancelled" and not drawing.now.pictures


def test_a_crash_is_told_and_ends_the_job(client):
    now = over(Drawing(client, {"prompt": "crash"}))
    assert now.status == "failed" and "the model stopped unexpectedly" in str(now.problem)


def test_a_job_that_is_forgotten_ends_with_a_problem(client, state, monkeypatch):
    monkeypatch.setattr("likeness.ui.drawing.TRIES", 1)
    state.forgetful = True  # the service was started anew
    assert over(Drawing(client, {"prompt": "A man.", "steps": 3})).problem is not None


def test_what_is_not_taken_is_no_job(client, state):
    state.busy = True
    with pytest.raises(Problem):
        Drawing(client, {"prompt": "A man."})


def test_fold_takes_events_in_any_form_and_stays_where_it_ended():
    now = Progress()
    for kind, data in [
        ("queued", {"position": 2}), ("unknown", {}), ("step", {"step": "x", "steps": None}),
        ("preview", {"image": "no base64!"}), ("preview", {"image": base64.b64encode(b"jpeg").decode(), "index": 1}),
        ("step", {"step": 3, "steps": 4}), ("failed", {"error": {"message": "out of memory"}}), ("step", {"step": 4}),
    ]:  # fmt: skip
        now = fold(now, kind, data)
    assert (now.status, now.step, now.share, dict(now.previews)) == ("failed", 3, 0.75, {1: b"jpeg"})
    assert "out of memory" in str(now.problem)


def test_words_say_who_is_before_and_how_far_it_is():
    assert "2 before you" in fold(Progress(), "queued", {"position": 2}).words
    assert "step 3 of 4" in fold(Progress(), "step", {"step": 3, "steps": 4}).words


def test_the_job_itself_has_the_last_word():
    done = settle(Progress(status="running"), {"status": "done", "pictures": [{"id": "a"}], "notes": ["n"]})
    assert done.over and done.pictures == ({"id": "a"},) and done.notes == ("n",)
    assert settle(Progress(), {"status": "failed", "error": {"message": "late"}}).problem
