"""Page and service as processes: they start, they end together, and a port that is taken has a flag's name."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from likeness.ui import processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_the_end_of_one_is_told_and_ends_the_other():
    mark = f"{os.getpid()}-{time.time_ns()}"
    commands = {"one": [*SLEEP, mark], "two": [sys.executable, "-c", "raise SystemExit(3)"]}
    with pytest.raises(processes.Ended, match="two ended with exit code 3"):
        with processes.together(commands, os.environ) as check:
            for _ in range(1000):
                check()
                time.sleep(0.05)
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert mark not in listed.replace("ps -eo args", "")


def test_what_does_not_end_by_itself_is_ended(monkeypatch):
    monkeypatch.setattr(processes, "GRACE", 0.5)
    deaf = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True) as process:
        process.stdout.readline()
        processes._end(process)
        assert process.returncode == -signal.SIGKILL


def test_waiting_ends_with_the_answers_or_with_a_process(service):
    processes.wait({"service": f"{service}/healthz"}, lambda: None, lambda: False)

    def check():
        raise processes.Ended("service", 1)

    with pytest.raises(processes.Ended):
        processes.wait({"nobody": "http://127.0.0.1:9/"}, check, lambda: False)
    processes.wait({"nobody": "http://127.0.0.1:9/"}, lambda: None, lambda: True)


def test_the_key_is_in_the_environment_and_on_no_command_line():
    assert processes.page_environment("http://h", "lk-1")["LIKENESS_API_KEY"] == "lk-1"
    assert "lk-1" not in " ".join(processes.page_command("127.0.0.1", 1))
    assert "--browser.gatherUsageStats=false" in processes.page_command("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("args", "flag"), [(["ui", "--port"], "--port"), (["up", "--port"], "--port"), (["up", "--api-port"], "--api-port")]
)
def test_a_port_that_is_taken_names_its_flag(likeness, args, flag):
    pytest.importorskip("fastapi", reason="`likeness up` needs the service")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with likeness(*args, str(port)) as process:
            out, err = process.communicate(timeout=300)
    assert process.returncode == 2 and f"port {port}" in err and f"with {flag}" in err and not out


def test_the_page_runs_until_it_is_told_to_end(likeness, open_port, service):
    port = open_port()
    with likeness("ui", "--port", str(port), "--api", service, "--key", "k") as process:
        told = [process.stdout.readline().split() for _ in range(2)]
        assert told == [["page", f"http://127.0.0.1:{port}"], ["service", service]]
        assert processes.answers(f"http://127.0.0.1:{port}/_stcore/health")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and not out and "Traceback" not in err
    assert processes.free("127.0.0.1", port)


@pytest.mark.slow
def test_service_and_page_start_and_end_together(likeness, open_port, tmp_path):
    """With the real service: both answer, Ctrl-C ends both; then the service is killed and the page goes with it."""
    pytest.importorskip("fastapi")
    page, api = open_port(), open_port()
    for kill in (False, True):
        args = ("up", "--no-browser", "--port", str(page), "--api-port", str(api))
        with likeness(*args, env={"LIKENESS_HOME": str(tmp_path)}) as process:
            told = [process.stdout.readline() for _ in range(2)]
            assert str(page) in told[0] and str(api) in told[1]
            assert processes.answers(f"http://127.0.0.1:{api}/readyz")
            if kill:
                listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout
                rows = [row.split(None, 2) for row in listed.splitlines()[1:]]
                serving = [int(pid) for pid, parent, line in rows if int(parent) == process.pid and "serve" in line]
                os.kill(serving[0], signal.SIGKILL)
            else:
                process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=300)
        assert process.returncode == (1 if kill else 0)
        assert ("the service ended unexpectedly with exit code -9; the other was ended too" in err) == kill
        assert processes.free("127.0.0.1", page)
