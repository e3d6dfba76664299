"""`likeness serve` and `likeness keys` as commands: settings, errors, signals, and a server that is killed at work."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import httpx
import pytest

from likeness.cli.main import main
from serving import Process, gateway

# one worker, because a start is what takes long; no marks, because nothing here hangs on them
PLAIN = ("--set", "workers=1", "--set", "marks.c2pa=false", "--set", "marks.watermark=false")
FACE = {"prompt": "a woman", "steps": 2, "width": 64, "height": 64}


def likeness(*args, **environ):
    own = {k: v for k, v in os.environ.items() if not k.startswith("LIKENESS_SERVE")} | environ
    command = [sys.executable, "-m", "likeness.cli.main", *args]
    return subprocess.run(command, env=own, capture_output=True, text=True, timeout=120)


def test_the_settings_are_shown_as_they_were_resolved(tmp_path, capsys):
    file = tmp_path / "serve.yaml"
    file.write_text("port: 9000\nmax_batch: 2\nmarks: {c2pa: false}\n")
    options = ["--config", str(file), "--port", "9001", "--set", "marks.watermark=false", "--lora", "glasses=runs/x=y"]
    assert main(["serve", *options, "--no-keys", "--no-safety-checker", "--also", "sd15", "--show"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["port"], shown["max_batch"], shown["require_keys"]) == (9001, 2, False)
    assert shown["safety_checker"] is False
    assert shown["marks"]["c2pa"] is shown["marks"]["watermark"] is False
    assert (shown["loras"], shown["models"]) == ({"glasses": "runs/x=y"}, ["sd15"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "prot=1"], "did you mean 'port'"),
        (["--lora", "glasses"], "write NAME=PATH"),
        (["--config", "gone.yaml"], "no settings file"),
        (["--host", "203.0.113.7"], "cannot listen at 203.0.113.7"),
        (["--model", "minni"], "mini"),
    ],
)
def test_a_mistake_is_one_line(options, said, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    assert main(["serve", *options]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and said in lines[0]


def test_a_taken_port_is_told_before_anything_is_loaded(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    assert f"cannot listen at 127.0.0.1:{port}" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_keys_are_made_listed_and_removed(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    assert main(["keys", "add", "page", "--rate", "30", "--admin"]) == 0
    told = capsys.readouterr()
    secret = told.out.strip()
    assert secret.startswith("lk-") and secret not in told.err
    assert main(["keys", "list", "--json"]) == 0
    out = capsys.readouterr().out
    (key,) = json.loads(out)
    assert (key["name"], key["rate_per_minute"], key["admin"]) == ("page", 30, True) and secret not in out
    assert secret.encode() not in (tmp_path / "likeness.db").read_bytes()  # only its hash is kept
    assert main(["keys", "add", "page"]) == 2 and "there is a key named" in capsys.readouterr().err
    assert main(["keys", "remove", "nobody"]) == 2 and "no key 'nobody'" in capsys.readouterr().err
    assert main(["keys", "remove", "page"]) == 0
    assert main(["keys", "list"]) == 0 and "page" not in capsys.readouterr().out.replace("removed", "")


class Load:
    """Clients that ask and ask; `answered` are the pictures whose answers came whole."""

    def __init__(self, address, clients=3):
        self.answered, self.stop, self.errors = [], threading.Event(), []
        self.threads = [threading.Thread(target=self.ask, args=(address, n), daemon=True) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def ask(self, address, client):
        with httpx.Client(base_url=address, timeout=60) as it:
            while not self.stop.is_set():
                try:
                    answer = it.post("/v1/images", json=FACE | {"count": 1 + client % 2})
                except httpx.HTTPError:
                    return  # the server was killed
                if answer.status_code == 200:
                    self.answered += answer.json()["pictures"]
                else:
                    self.errors.append(answer.text)

    def wait_for(self, pictures):
        while len(self.answered) < pictures:
            assert any(thread.is_alive() for thread in self.threads) and not self.errors, self.errors
            time.sleep(0.02)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)


def kept_whole(address, home, answered):
    """Every picture that was answered is in history and served, and nothing in the folder is half a file."""
    with httpx.Client(base_url=address, timeout=60) as it:
        for picture in answered:
            entry = it.get(f"/v1/history/{picture['id']}")
            assert entry.status_code == 200, "an answered picture is not in history"
            assert entry.json()["digest"] == picture["digest"]
            served = it.get(f"/v1/images/{picture['digest']}.png")
            assert hashlib.sha256(served.content).hexdigest() == picture["digest"]
    with sqlite3.connect(home / "likeness.db") as base:
        rows = base.execute("SELECT digest FROM entries WHERE kind = 'image'").fetchall()
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(rows) >= len(answered)
    for (digest,) in rows:
        (file,) = (home / "pictures").rglob(f"{digest}.png")
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest


def kills(folder, times, pictures, *options):
    """Start, ask, kill, so many times; then look. The last server ends by SIGTERM."""
    server = Process(folder, *PLAIN, "--set", "rate_per_minute=100000", *options)
    answered = []
    try:
        for _ in range(times):
            load = Load(server.start())
            load.wait_for(pictures)
            server.kill()
            load.end()
            answered += load.answered
        kept_whole(server.start(), folder / "home", answered)
        assert server.end() == 0
    finally:
        server.kill()
    assert "Traceback" not in server.logged.read_text()
    return answered


def test_a_killed_server_has_every_picture_that_it_answered(tmp_path):
    """Drawn by an engine of somewhere else, which starts at once; below by the embedded model."""
    with gateway() as engine:
        assert len(kills(tmp_path, 2, 20, "--set", f"image_model_url={engine}")) >= 40


@pytest.mark.slow  # a start of the server with its model for each kill
def test_many_kills(tmp_path):
    assert len(kills(tmp_path, 5, 20)) >= 100


@pytest.mark.slow  # two starts of the server; test_app ends one within the process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_picture_finish(tmp_path, number):
    server = Process(tmp_path, *PLAIN, "--set", "grace=300")
    try:
        address = server.start()
        found = []
        ask = threading.Thread(
            target=lambda: found.append(httpx.post(f"{address}/v1/images", json=FACE | {"steps": 30}, timeout=330))
        )
        ask.start()
        while "likeness_running 1.0" not in httpx.get(f"{address}/metrics").text:
            time.sleep(0.02)
        assert server.end(number) == 0
        ask.join(30)
        assert found[0].status_code == 200 and len(found[0].json()["pictures"]) == 1
        lines = [json.loads(line) for line in server.logged.read_text().splitlines() if line.startswith("{")]
        assert any(line.get("path") == "/v1/images" and line["status"] == 200 for line in lines)
        assert not [line for line in lines if line["level"] == "error"]
    finally:
        server.kill()


@pytest.mark.slow
def test_keys_of_the_command_open_the_running_server(tmp_path):
    server = Process(tmp_path, "--set", "require_keys=true", *PLAIN)
    try:
        address = server.start()
        assert "there is no key yet" in server.logged.read_text()
        assert httpx.get(f"{address}/v1/models").status_code == 401
        secret = likeness("keys", "add", "page", LIKENESS_HOME=str(tmp_path / "home")).stdout.strip()
        assert httpx.get(f"{address}/v1/models", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    finally:
        server.kill()


def test_help_names_the_settings_that_matter():
    text = likeness("serve", "--help").stdout
    assert all(flag in text for flag in ("--config", "--host", "--no-keys", "--set", "--lora"))
