"""A run captions what is missing, each picture once, and keeps what came however it ends."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from folders import Told, failing, ledgers, said, table, texts

from likeness.caption.captioner import Caption, Face, Failure, Outcome, Usage
from likeness.caption.finish import finish, status
from likeness.caption.labels import Labels
from likeness.caption.ledger import Range, claimed
from likeness.caption.run import RunConfig, estimate, run
from likeness.data.manifest import Manifest
from likeness.errors import EngineError, UsageError
from likeness.files import read_jsonl


@pytest.fixture
def set_(tmp_path: Path) -> Path:
    return table(tmp_path / "set", 20)


def test_a_run_captions_its_range_and_the_next_one_only_the_rest(set_: Path):
    before = (set_ / "metadata.jsonl").read_bytes()
    first = Told(window=3)
    report = run(set_, first, RunConfig(start=5, end=12))
    assert (report.rows, report.captioned, report.before, report.captions) == (
        7,
        7,
        0,
        str(set_ / "captions.5-12.jsonl"),
    )
    assert first.asked == [f"images/{i:06d}.png" for i in range(5, 12)]
    rows = read_jsonl(set_ / "captions.5-12.jsonl")
    assert [row["file_name"] for row in rows] != first.asked  # as they came, not as they were asked
    assert {row["file_name"]: row["text"] for row in rows} == {name: said(name) for name in first.asked}
    second = Told()
    report = run(set_, second)  # another range: what a first one did counts
    assert (report.captioned, report.before) == (13, 7) and not set(second.asked) & set(first.asked)
    assert run(set_, Told()).captioned == 0 and Counter(r["file_name"] for r in ledgers(set_)).most_common(1)[0][1] == 1
    assert (set_ / "metadata.jsonl").read_bytes() == before  # a run only reads the table
    assert not list(set_.glob("failures*")) and not (set_ / "captions.0-0.jsonl").exists()


def test_failures_wait_or_are_tried_again(set_: Path):
    stubborn = Told(failing("refused", False, lambda i: i % 5 == 0))
    weak = Told(failing("server", True, lambda i: i % 5 < 2))
    report = run(set_, weak)
    assert (report.captioned, report.failed, report.again) == (12, {"server": 8}, 8)
    report = run(set_, stubborn)
    assert (report.captioned, report.failed, report.again) == (4, {"refused": 4}, 0) and len(stubborn.asked) == 8
    idle = Told()
    report = run(set_, idle)
    assert (report.captioned, report.waiting, report.before, idle.asked) == (0, 4, 16, [])
    found = [r for r in ledgers(set_, "failures") if r["reason"] == "refused"]
    assert len(found) == 4 and {r["tries"] for r in found} == {2}
    assert status(set_).failed == {"refused": 4} and status(set_).complete
    report = run(set_, Told(), RunConfig(retry_failed=True))
    assert (report.captioned, report.waiting) == (4, 0)
    assert status(set_).captioned == 20 and not status(set_).failed


def test_what_models_write_is_cleaned_and_checked(set_: Path):
    wordings = {
        0: "The image shows a woman with short black hair and calm brown eyes under thin brows.",
        1: "I'm sorry, but I can't help with identifying or describing people in images.",
        2: "A man.",
    }

    def answer(face: Face) -> Outcome:
        return Caption(face.name, wordings[int(face.name[-6:-4])], usage=Usage(100, 20, 1, 0.01))

    report = run(set_, Told(answer), RunConfig(end=3))
    assert report.captioned == 1 and report.failed == {"refused": 1, "too short": 1} and report.again == 0
    assert (report.tokens_in, report.tokens_out, report.requests) == (300, 60, 3)  # failures were paid for too
    assert report.cost == pytest.approx(0.03)
    row = ledgers(set_)[0]
    assert "image" not in row["text"] and row["text"].startswith("A woman with short black hair")
    report = run(set_, Told(answer), RunConfig(end=3, retry_failed=True, min_words=2))
    assert report.captioned == 1 and report.failed == {"refused": 1}


def test_a_captioner_that_was_asked_for_german_may_write_it(set_: Path):
    german = "Die Frau ist etwa vierzig Jahre alt und hat kurze schwarze Haare und ruhige braune Augen."

    class German(Told):
        def facts(self) -> dict[str, str]:
            return {"language": "German"}

    def answer(face: Face) -> Outcome:
        return Caption(face.name, german)

    assert run(set_, Told(answer), RunConfig(end=3)).failed == {"language": 3}
    assert run(set_, German(answer), RunConfig(start=3, end=6)).captioned == 3
    assert run(set_, German(answer), RunConfig(start=6, end=9, language="english")).failed == {"language": 3}


def test_overwriting_goes_on_after_a_stop(set_: Path):
    run(set_, Told())
    first = ledgers(set_)
    stopping = Told()
    report = run(set_, stopping, RunConfig(overwrite=True), stop=lambda: len(stopping.asked) >= 8)
    assert report.stopped and report.captioned == 8
    rest = Told(lambda face: Caption(face.name, said(face.name, "young with long hair and calm green eyes")))
    report = run(set_, rest)  # the range goes on being overwritten, whatever the next run says
    assert report.captioned == 12 and report.before == 8 and not set(rest.asked) & set(stopping.asked)
    assert run(set_, Told()).captioned == 0
    assert ledgers(set_)[: len(first)] == first  # nothing is taken away: the newest counts
    finish(set_)
    young = {name for name, text in texts(set_).items() if "young" in text}
    assert young == set(rest.asked)


def test_only_rows_without_a_text(set_: Path):
    Manifest(set_).fold(lambda r: r if r.file_name > "images/000005" else type(r)(r.file_name, "Somebody wrote this."))
    report = run(set_, Told(), RunConfig(only_missing=True))
    assert (report.captioned, report.skipped) == (15, 5)
    assert estimate(set_, Told(), RunConfig())[1].faces == 5
    assert run(set_, Told()).captioned == 5  # without it, every row without a caption of ours


def test_stopping_keeps_what_is_under_way(set_: Path):
    captioner = Told(window=4)
    report = run(set_, captioner, stop=lambda: len(captioner.asked) >= 6)
    assert report.stopped and report.captioned == len(captioner.asked) == 6 and report.unanswered == 0
    assert {r["file_name"] for r in ledgers(set_)} == set(captioner.asked)


@pytest.mark.parametrize("error", [KeyboardInterrupt, UsageError("no key")])
def test_an_error_keeps_what_came(set_: Path, error: BaseException):
    def answer(face: Face) -> Outcome:
        if "000007" in face.name:
            raise error
        return Caption(face.name, said(face.name))

    with pytest.raises(type(error) if isinstance(error, UsageError) else KeyboardInterrupt):
        run(set_, Told(answer))
    assert len(ledgers(set_)) == 7
    with claimed(set_, Range(0, 20)):  # nothing is locked any more
        pass
    assert run(set_, Told()).captioned == 13


class Careless(Told):
    """Answers for everybody twice."""

    def stream(self, faces: Iterable[Face]) -> Iterator[Outcome]:
        for face in faces:
            yield self.answer(face)
            yield self.answer(face)


def test_never_twice(set_: Path):
    with pytest.raises(EngineError, match="nobody asked for"):
        run(set_, Careless())
    assert len(ledgers(set_)) == 1


def test_faces_without_an_answer_are_asked_for_again(set_: Path):
    class Forgetful(Told):
        def stream(self, faces: Iterable[Face]) -> Iterator[Outcome]:
            return (outcome for outcome in super().stream(faces) if "3" not in outcome.name)

    report = run(set_, Forgetful())
    assert (report.captioned, report.unanswered) == (18, 2)
    assert run(set_, Told()).captioned == 2


def test_rejected_captions_are_written_again(set_: Path):
    from likeness.caption.decisions import apply, fingerprint

    run(set_, Told())
    finish(set_)
    one, two = list(texts(set_).items())[:2]
    apply(set_, [
        {"file_name": one[0], "decision": "rejected", "was": fingerprint(one[1]), "time": "t1"},
        {"file_name": two[0], "decision": "edited", "was": fingerprint(two[1]), "text": "By hand.", "time": "t2"},
    ])  # fmt: skip
    assert status(set_).again == 1 and not status(set_).complete
    assert finish(set_).again == 1 and texts(set_)[one[0]] == "" and texts(set_)[two[0]] == "By hand."
    again = Told()
    assert run(set_, again).captioned == 1 and again.asked == [one[0]]
    assert finish(set_).complete and texts(set_)[one[0]] == said(one[0]) and texts(set_)[two[0]] == "By hand."


def test_the_estimate_counts_what_is_left_and_writes_nothing(set_: Path):
    run(set_, Told(), RunConfig(end=5))
    before = sorted(p.name for p in set_.rglob("*"))
    span, found = estimate(set_, Told(), RunConfig(shard="1/2"))
    assert str(span) == "0-10" and found.faces == 5 and found.cost == 2.5
    assert estimate(set_, Told(), RunConfig(shard="1/2", overwrite=True))[1].faces == 10
    assert sorted(p.name for p in set_.rglob("*")) == before


def test_progress_counts_what_is_wanted(set_: Path):
    run(set_, Told(), RunConfig(end=5))
    told: list[tuple[str, int, int, str]] = []
    paid = Told(lambda face: Failure(face.name, "server", usage=Usage(1, 1, 1, 0.5)))
    run(set_, paid, progress=lambda *step: told.append(step))
    assert [t[:3] for t in told] == [("captioning", i, 15) for i in range(1, 16)] and told[-1][3] == "$7.50"


def test_bad_input_is_one_line(tmp_path: Path, set_: Path):
    (tmp_path / "bare").mkdir()
    for folder, config, words in (
        (tmp_path / "nowhere", RunConfig(), "no folder"),
        (tmp_path / "bare", RunConfig(), "metadata.jsonl"),
        (set_, RunConfig(start=7, end=3), "no rows from 7 to 3"),
        (set_, RunConfig(start=20), "the table has 20"),
        (set_, RunConfig(shard="6/5"), "no shard 6/5"),
    ):
        with pytest.raises(UsageError, match=words):
            run(folder, Told(), config)
    assert not (set_ / ".captions").exists()
    (set_ / ".captions").write_text("a file where a folder must be")
    with pytest.raises(UsageError, match="cannot"):
        run(set_, Told())


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_one_line(set_: Path):
    set_.chmod(0o555)
    try:
        with pytest.raises(UsageError, match="cannot write"):
            run(set_, Told())
    finally:
        set_.chmod(0o755)


def test_an_empty_table_and_an_empty_shard(tmp_path: Path):
    empty = table(tmp_path / "empty", 0)
    assert run(empty, Told()).rows == 0 and finish(empty).complete
    assert run(table(tmp_path / "few", 2), Told(), RunConfig(shard="1/5")).rows == 0


def test_labels_are_written_as_short_as_they_are(set_: Path):
    """The checks are for what models write: "A man." is all that a row with a gender says."""
    Manifest(set_).fold(lambda r: type(r)(r.file_name, attributes=type(r.attributes)(gender="male")))
    report = run(set_, Labels())
    assert report.captioned == 20 and not report.failed and len(ledgers(set_)[0]["text"].split()) < 8


def test_results_are_on_disk_as_they_come(set_: Path):
    """A line is there before the next question is asked."""
    lengths: list[int] = []

    def answer(face: Face) -> Outcome:
        path = set_ / "captions.0-20.jsonl"
        lengths.append(path.read_bytes().count(b"\n") if path.exists() else 0)
        time.sleep(0)
        return Caption(face.name, said(face.name))

    run(set_, Told(answer))
    assert lengths == list(range(20))
