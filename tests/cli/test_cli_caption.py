"""`likeness caption`: every command once as a user types it, and errors as one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "caption"))

from folders import pictures, said, table, texts  # noqa: E402
from unruly import serve  # noqa: E402

from likeness.cli.main import main  # noqa: E402
from likeness.files import read_jsonl  # noqa: E402

Capture = pytest.CaptureFixture[str]


def said_json(capsys: Capture, *words: str, code: int = 0) -> dict:
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_from_labels_to_a_csv(tmp_path: Path, capsys: Capture):
    table(tmp_path / "set", 10)
    assert main(["caption", "run", "set", "--captioner", "labels", "--end", "6", "--dry-run"]) == 0
    assert "0-6" in capsys.readouterr().out and not list(Path("set").glob("captions.*"))
    assert main(["caption", "run", "set", "--captioner", "labels", "--end", "6", "--set", "style=sentence"]) == 0
    assert "6 captions in" in capsys.readouterr().out
    assert main(["caption", "run", "set", "--captioner", "labels", "--shard", "1/2"]) == 0
    assert "5  had a caption" in capsys.readouterr().out
    assert main(["caption", "status", "set"]) == 0
    told = capsys.readouterr().out
    assert "6  of 10 rows" in told and "4  missing" in told and "rows 6-10" in told and "caption finish set" in told
    assert main(["caption", "finish", "set"]) == 0 and "6  of 10 rows" in capsys.readouterr().out
    assert main(["caption", "export", "set", "--csv", "out.csv"]) == 0
    assert "10 rows in out.csv" in capsys.readouterr().out
    head, first, *_ = Path("out.csv").read_text(encoding="utf-8").splitlines()
    assert head.startswith("file_name,text") and "caption" in head and texts(Path("set"))["images/000000.png"] in first
    Path("out.csv").write_text(head + "\n" + first.replace(texts(Path("set"))["images/000000.png"], "By hand.") + "\n")
    assert main(["caption", "import", "set", "--csv", "out.csv"]) == 2
    assert "lacks 9 rows of the table, images/000001.png first" in capsys.readouterr().err
    assert len(texts(Path("set"))) == 10
    assert main(["caption", "import", "set", "--csv", "out.csv", "--drop"]) == 0
    assert texts(Path("set")) == {"images/000000.png": "By hand."}


def test_captions_against_labels(tmp_path: Path, capsys: Capture):
    table(tmp_path / "set", 10)
    assert main(["caption", "run", "set", "--captioner", "labels", "--end", "6", "--set", "style=sentence"]) == 0
    assert main(["caption", "finish", "set"]) == 0 and capsys.readouterr()
    assert main(["caption", "check", "set"]) == 0 and "0 of 6 captions" in capsys.readouterr().out
    assert said_json(capsys, "caption", "check", "set")["disagreeing"] == 0


def test_a_team(tmp_path: Path, capsys: Capture):
    table(tmp_path / "set", 11)
    assert main(["caption", "plan", "set", "--names", "anna,ben", "--captioner", "labels"]) == 0
    told = capsys.readouterr().out
    assert "anna: rows 0 to 5 (5)" in told and "likeness caption merge set" in told
    commands = [line.split()[1:] for line in told.splitlines() if "caption run" in line]
    assert main(commands[0]) == 0
    capsys.readouterr()
    assert main(["caption", "merge", "set"]) == 1
    told = capsys.readouterr().out
    assert "ben must redo 6 rows of 5 to 11:" in told and " ".join(commands[1]) in told
    assert main(commands[1]) == 0
    capsys.readouterr()
    found = said_json(capsys, "caption", "merge", "set")
    assert found["coverage"]["complete"] and found["coverage"]["captioned"] == 11 and found["redo"] == []
    for words in (["plan", "set"], ["plan", "set", "--members", "3", "--names", "a,b"], ["merge", "set", "nowhere"]):
        assert main(["caption", *words]) == 2
    assert said_json(capsys, "caption", "plan", "set", "--members", "5", "--captioner", "labels")["rows"] == 11


def test_through_a_server(tmp_path: Path, capsys: Capture):
    pictures(tmp_path / "set", 5)
    with serve(latency=0.0) as server:
        words = ["caption", "run", "set", "--captioner", "api", "--endpoint", server.url, "--model", "face-vision"]
        prices = ["--set", "price_in=1", "--set", "price_out=2"]
        found = said_json(capsys, *words, *prices, "--dry-run")
        assert found["range"] == "0-5" and found["faces"] == 5 and found["cost"] > 0
        assert server.stats()["requests"] == 0
        found = said_json(capsys, *words, *prices, "--prompt", "short", "--concurrency", "2")
        assert found["captioned"] == 5 and found["requests"] == 5 and found["cost"] > 0
        assert server.stats()["at_once"] <= 2
    facts = read_jsonl("set/captions.0-5.jsonl")[0]["caption"]
    assert (facts["captioner"], facts["model"], facts["prompt"]) == ("api", "face-vision", "short")


def test_labels_that_are_not_there_are_told_with_what_to_do(tmp_path: Path, capsys: Capture):
    (tmp_path / "set").mkdir()
    Path("set/metadata.jsonl").write_text('{"file_name": "images/1.png", "text": ""}\n')
    assert main(["caption", "run", "set", "--captioner", "labels"]) == 1  # not one face
    told = capsys.readouterr()
    assert "0 captions" in told.out and "1  failed: no labels" in told.out and "eye (offline)" in told.err


def test_words_of_others_cannot_command_the_terminal(tmp_path: Path, capsys: Capture):
    """A member's file may hold anything; what of it is shown is shown as letters."""
    table(tmp_path / "set", 2)
    name = "images/\x1b[2Jx.png"
    with open("set/metadata.jsonl", "a") as rows:
        rows.write(json.dumps({"file_name": name, "text": "A woman.", "attributes": {"gender": "male"}}) + "\n")
    bad = {"file_name": "images/000000.png", "reason": "\x1b]0;mine\x07", "again": False}
    Path("set/failures.0-2.jsonl").write_text(json.dumps(bad) + "\n")
    for start in (0, 1):
        lines = [{"file_name": name, "text": f"{start} hats"}]
        Path(f"set/captions.{start}-3.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = ""
    for words in (["status", "set"], ["check", "set"], ["merge", "set"]):
        main(["caption", *words])
        told += capsys.readouterr().out
    assert told.count("?[2Jx.png") == 2 and "?]0;mine?" in told and "\x1b" not in told and "\x07" not in told


def test_review(tmp_path: Path, capsys: Capture):
    pictures(tmp_path / "set", 3)
    assert main(["caption", "run", "set", "--captioner", "labels"]) == 0 and main(["caption", "finish", "set"]) == 0
    capsys.readouterr()
    assert main(["caption", "review", "set", "--output", "look.html"]) == 0
    assert capsys.readouterr().out.strip() == "look.html" and "<html" in Path("look.html").read_text()
    from likeness.caption.decisions import fingerprint

    name, text = next(iter(texts(Path("set")).items()))
    decision = {"file_name": name, "decision": "edited", "was": fingerprint(text), "text": said(name), "time": "t"}
    Path("decisions.json").write_text(json.dumps([decision]))
    assert main(["caption", "review", "set", "--apply", "decisions.json"]) == 0
    assert "1 edited" in capsys.readouterr().out and texts(Path("set"))[name] == said(name)
    assert main(["caption", "review", "set", "--apply", "x.json", "--serve"]) == 2


def test_expanding(capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    for name in ("LIKENESS_ENDPOINT", "LIKENESS_MODEL"):
        monkeypatch.delenv(name, raising=False)
    found = said_json(capsys, "caption", "expand", "Indian male, 30s", "--seed", "3")
    assert found["said"] == {"age": "30-39", "gender": "male", "ethnicity": ["Indian"]}
    assert len(found["added"]) > 4 and not set(found["added"]) & set(found["said"])
    assert main(["caption", "expand", "Indian male, 30s", "--seed", "3"]) == 0
    assert capsys.readouterr().out.strip() == found["text"]
    assert main(["caption", "expand", "hombre mayor", "--translate"]) == 2
    assert "LIKENESS_ENDPOINT" in capsys.readouterr().err


def test_the_list_names_every_captioner_and_prompt(capsys: Capture):
    from likeness.caption.captioner import CAPTIONERS

    found = said_json(capsys, "caption", "list")
    assert set(found["captioners"]) == set(CAPTIONERS) and {"paragraph", "forensic", "short"} <= set(found["prompts"])
    assert main(["caption", "list"]) == 0 and "paragraph.v" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "nowhere", "--captioner", "labels"], "no folder nowhere"),
        (["run", ".", "--captioner", "labels"], "metadata.jsonl"),
        (["run", "set", "--captioner", "lables"], "did you mean 'labels'"),
        (["run", "set", "--captioner", "labels", "--start", "9", "--end", "3"], "no rows from 9"),
        (["run", "set", "--captioner", "labels", "--shard", "6/5"], "no shard 6/5"),
        (["run", "set", "--captioner", "labels", "--shard", "1/5", "--end", "3"], "not both"),
        (["run", "set", "--captioner", "labels", "--set", "stile=tags"], "did you mean 'style'"),
        (["run", "set", "--captioner", "labels", "--model", "x"], "unknown setting 'model'"),
        (["run", "set", "--captioner", "labels", "--language", "klingon"], "english or any"),
        (["finish", "nowhere"], "likeness data prepare"),
        (["status", "nowhere"], "likeness data prepare"),
        (["plan", "nowhere", "--members", "2"], "likeness data prepare"),
        (["merge", "nowhere"], "likeness data prepare"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, capsys: Capture, words: list[str], told: str):
    table(tmp_path / "set", 5)
    assert main(["caption", *words]) == 2
    said_ = capsys.readouterr()
    assert told in said_.err and said_.err.count("\n") == 1 and not said_.out
    assert not list(Path("set").glob("captions.*")) and not Path("nowhere").exists()
