"""A PostgreSQL server of our own for the tests: made in a temporary folder on first use, gone at the end."""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest


def new_database() -> str:
    """The URL of an empty database. Skips the test where PostgreSQL is not installed."""
    folder = _server()
    name = f"likeness_{secrets.token_hex(4)}"
    _run("createdb", "-h", folder, "-U", "likeness", name)
    return f"postgresql://likeness@/{name}?host={folder}"


@functools.cache
def _server() -> str:
    """The folder of its socket; it listens to nothing else."""
    if _programs() is None:
        pytest.skip("PostgreSQL is not installed: there is no initdb in PATH or /usr/lib/postgresql")
    folder = tempfile.mkdtemp(prefix="likeness-postgres-")
    if user := _user().get("user"):
        shutil.chown(folder, user)
    data = os.path.join(folder, "data")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _run("initdb", "-D", data, "-U", "likeness", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    programs = _programs()
    assert programs is not None
    words = ["-D", data, "-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    server = subprocess.Popen(
        [str(programs / "postgres"), *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", preexec_fn=_die_with_parent, **_user(),
    )  # fmt: skip
    atexit.register(server.wait)
    atexit.register(server.send_signal, signal.SIGQUIT)  # what is registered last runs first
    _run("pg_isready", "-h", folder, "-U", "likeness", patience=60)
    return folder


def _programs() -> Path | None:
    found = [Path(path).resolve() for path in (shutil.which("initdb"),) if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    return found[0].parent if found else None


def _user() -> dict[str, Any]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    account = known.get("postgres") or known["nobody"]
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _die_with_parent() -> None:
    """Also when the tests are killed no server stays behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


def _run(program: str, *words: str, patience: float = 0) -> None:
    folder = _programs()
    assert folder is not None
    deadline = time.monotonic() + patience
    while True:
        done = subprocess.run(
            [str(folder / program), *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/", **_user(),
        )  # fmt: skip
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline, f"{program}: {done.stderr}"
        time.sleep(0.1)
