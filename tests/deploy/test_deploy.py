"""The files of deployment: linted by tools that know them, their commands parsed, their programs started."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import parse

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = (ROOT / "Dockerfile", DEPLOY / "spaces" / "Dockerfile")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_hadolint_has_nothing_to_say(file: Path) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed (likeness[dev])")
    done = subprocess.run([hadolint, file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_the_image_copies_is_there_and_let_through() -> None:
    text = DOCKERFILES[0].read_text("utf-8")
    wanted = {word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M) for word in line.split()}
    let = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert wanted and wanted == let and all((ROOT / name).exists() for name in wanted)
    assert {"cpu", "cuda"} <= set(re.findall(r" AS (\w[\w-]*)$", text, re.M))
    assert "USER 10001" in text and "HEALTHCHECK" in text


def test_compose_starts_commands_that_exist_with_settings_that_exist() -> None:
    from likeness.service.settings import PREFIX, read

    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    assert set(services) == {"database", "api", "page"}
    for name in ("api", "page"):
        parse(services[name]["command"])
        assert all(port.startswith("127.0.0.1:") for port in services[name]["ports"]), "nothing is open to the world"
    asked = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")
    given = {k: asked.sub(lambda m: m[2] or "x", v) for k, v in services["api"]["environment"].items()}
    settings = read(environ={k: v for k, v in given.items() if k.startswith(PREFIX)})
    assert settings.database.startswith("postgresql://") and settings.model == "mini"
    variables = {name for name, _ in asked.findall((ROOT / "compose.yaml").read_text("utf-8"))}
    assert variables == set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text("utf-8"), re.M))


def test_nginx_reads_its_file_and_the_limits_are_those_of_the_service(tmp_path: Path) -> None:
    crossplane = pytest.importorskip("crossplane")
    main = tmp_path / "nginx.conf"
    main.write_text(f"events {{}}\nhttp {{ include {DEPLOY}/nginx/likeness.conf; }}\n")
    found = crossplane.parse(str(main))
    assert found["status"] == "ok", found["errors"]

    from likeness.service.settings import Settings

    text = (DEPLOY / "nginx" / "likeness.conf").read_text("utf-8")
    assert f"client_max_body_size {Settings.max_body >> 20}m;" in text


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_start_commands_that_exist(unit: Path) -> None:
    (start,) = re.findall(r"^ExecStart=(.+)$", unit.read_text("utf-8"), re.M)
    program, *words = shlex.split(start)
    assert program.endswith("/bin/likeness")
    parse(words)
    if shutil.which("systemd-analyze"):
        said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True).stderr
        ours = [line for line in said.splitlines() if unit.name in line and "is not executable" not in line]
        assert not ours


@pytest.fixture
def space() -> Any:
    spec = importlib.util.spec_from_file_location("space", DEPLOY / "spaces" / "app.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_space_starts_what_its_variables_say(space: Any) -> None:
    serve, page = space.commands({"MODEL": "sd15", "LORA": "somebody/their-lora"})
    for command in (serve, page):
        assert command[:3] == [sys.executable, "-m", "likeness"]
        parse(command[3:])
    assert "their-lora=somebody/their-lora" in serve and "sd15" in serve
    head = yaml.safe_load((DEPLOY / "spaces" / "README.md").read_text("utf-8").split("---")[1])
    assert head["sdk"] == "docker" and str(head["app_port"]) in page


@pytest.mark.slow
def test_a_space_really_starts_and_ends() -> None:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0)), two.bind(("127.0.0.1", 0))
        api, page = one.getsockname()[1], two.getsockname()[1]
    environ = os.environ | {"API_PORT": str(api), "PORT": str(page), "HOST": "127.0.0.1", "LIKENESS_HOME": "state"}
    process = subprocess.Popen([sys.executable, DEPLOY / "spaces" / "app.py"], env=environ)
    try:
        for url in (f"http://127.0.0.1:{api}/readyz", f"http://127.0.0.1:{page}/_stcore/health"):
            for _ in range(240):
                assert process.poll() is None
                try:
                    assert urllib.request.urlopen(url, timeout=5).status == 200
                    break
                except OSError:
                    time.sleep(0.5)
            else:
                pytest.fail(f"{url} does not answer")
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
