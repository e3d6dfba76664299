"""Plans say the official commands; a download survives a server that drops connections, and is never half there."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import re
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.data import download
from likeness.data.download import PLANS, Plan, Step, plan, run
from likeness.data.fetch import Expected, fetch
from likeness.data.sources import SOURCES, Problems
from likeness.data.unpack import unpack
from likeness.errors import ConfigError, Unreachable, UsageError

DATA = bytes(range(256)) * 4000  # 1 MB
SHA = hashlib.sha256(DATA).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """A real server that misbehaves as told: `drop` bytes after which a connection is cut, and so on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.etag, self.drop, self.ranges = DATA, '"one"', 0, True
        self.answers: list[tuple[int, dict[str, str]]] = []  # to give before the file
        self.asked: list[str | None] = []
        self.length, self.kind = True, "application/zip"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if self.server.answers:
            code, headers = self.server.answers.pop(0)
            self.send_response(code)
            for key, value in {"Content-Length": "0", **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            return
        data, start = self.server.data, 0
        fresh = self.headers.get("If-Range") in {None, self.server.etag}
        if asked and self.server.ranges and fresh:
            start = int(re.findall(r"\d+", asked)[0])
            if start >= len(data):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        body = data[start:]
        self.send_header("ETag", self.server.etag)
        self.send_header("Content-Type", self.server.kind)
        if self.server.length:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body[: self.server.drop] if self.server.drop else body)
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_download_survives_dropped_connections(server: Server, tmp_path: Path):
    server.drop = 150_000
    seen: list[tuple[int, int]] = []
    target = fetch(
        server.url,
        tmp_path / "a" / "file.bin",
        Expected(len(DATA), sha256=SHA),
        pause=0,
        progress=lambda d, t: seen.append((d, t)),
    )
    assert target.read_bytes() == DATA and leftovers(tmp_path / "a") == ["file.bin"]
    assert server.asked[:3] == [None, "bytes=150000-", "bytes=300000-"] and len(server.asked) == 7
    assert seen[-1] == (len(DATA), len(DATA))
    fetch(server.url, target, Expected(sha256=SHA))
    assert len(server.asked) == 7  # what is there and right is not asked for


def test_a_stopped_download_goes_on_in_the_next_run(server: Server, tmp_path: Path):
    server.drop = 300_000
    server.ranges = True
    with pytest.raises(Unreachable, match="300000 bytes are kept"):
        fetch(server.url, tmp_path / "f", attempts=1)
    assert not (tmp_path / "f").exists()
    server.drop = 0
    fetch(server.url, tmp_path / "f")
    assert server.asked[-1] == "bytes=300000-" and (tmp_path / "f").read_bytes() == DATA
    assert leftovers(tmp_path) == ["f"]


@pytest.mark.parametrize("change", ["etag", "url", "note"])
def test_a_part_of_another_file_is_not_continued(server: Server, tmp_path: Path, change: str):
    server.drop = 300_000
    with pytest.raises(Unreachable):
        fetch(server.url, tmp_path / "f", attempts=1)
    server.drop, server.data = 0, bytes(reversed(DATA))
    if change == "etag":
        server.etag = '"two"'
    elif change == "note":
        (tmp_path / ".f.part.json").write_text("{")
    fetch(server.url + ("?v=2" if change == "url" else ""), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == server.data


def test_a_server_without_ranges_starts_anew(server: Server, tmp_path: Path):
    server.drop, server.ranges = 300_000, False
    with pytest.raises(Unreachable):
        fetch(server.url, tmp_path / "f", attempts=2, pause=0)
    server.drop = 0
    assert fetch(server.url, tmp_path / "f").read_bytes() == DATA


def test_busy_servers_are_asked_again_and_refusals_are_not(server: Server, tmp_path: Path):
    server.answers = [(503, {}), (429, {"Retry-After": "0"}), (500, {})]
    assert fetch(server.url, tmp_path / "f", pause=0).read_bytes() == DATA
    for code in (401, 403, 404, 410):
        server.answers, before = [(code, {})], len(server.asked)
        with pytest.raises(UsageError, match=str(code)):
            fetch(server.url, tmp_path / "g", pause=0)
        assert len(server.asked) == before + 1
    assert not (tmp_path / "g").exists()


def test_a_wrong_checksum_leaves_no_file(server: Server, tmp_path: Path):
    for expected in (Expected(md5="0" * 32), Expected(sha256="0" * 64), Expected(size=5)):
        with pytest.raises(UsageError, match="expected"):
            fetch(server.url, tmp_path / "f", expected)
        assert not (tmp_path / "f").exists()
    (tmp_path / "f").write_bytes(b"old")
    with pytest.raises(UsageError):
        fetch(server.url, tmp_path / "f", Expected(md5="0" * 32))
    assert (tmp_path / "f").read_bytes() == b"old"  # the earlier file stays until a whole one is there


def test_a_web_page_or_no_length_is_refused(server: Server, tmp_path: Path):
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(UsageError, match="web page"):
        fetch(server.url, tmp_path / "f.zip")
    server.kind, server.length = "application/zip", False
    with pytest.raises(UsageError, match="no length"):
        fetch(server.url, tmp_path / "f.zip")
    assert fetch(server.url, tmp_path / "f.zip", Expected(sha256=SHA)).read_bytes() == DATA
    server.drop = 1000
    with pytest.raises(UsageError, match="sha256"):
        fetch(server.url, tmp_path / "g.zip", Expected(sha256=SHA))
    assert not (tmp_path / "g.zip").exists()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "data:,x", "nonsense"])
def test_other_addresses_are_refused(tmp_path: Path, url: str):
    with pytest.raises(UsageError, match="only http"):
        fetch(url, tmp_path / "f")


def test_a_redirect_does_not_lead_to_a_local_file(server: Server, tmp_path: Path):
    server.answers = [(302, {"Location": "file:///etc/passwd"})]
    with pytest.raises((UsageError, Unreachable)):
        fetch(server.url, tmp_path / "f", attempts=1)
    assert not (tmp_path / "f").exists()
    server.answers = [(302, {"Location": "/other"})]
    assert fetch(server.url, tmp_path / "f").read_bytes() == DATA


def test_nobody_there_is_said_so(tmp_path: Path):
    with pytest.raises(Unreachable, match="0 bytes are kept"):
        fetch("http://127.0.0.1:9/x", tmp_path / "f", attempts=2, pause=0)


def test_two_processes_do_not_write_one_file(server: Server, tmp_path: Path):
    fcntl = pytest.importorskip("fcntl")
    with open(tmp_path / ".f.part", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process"):
            fetch(server.url, tmp_path / "f")


def test_a_target_that_cannot_be_written(server: Server, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot write"):
        fetch(server.url, tmp_path / "file" / "f")


# --- archives


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_archives_stay_in_their_folder(tmp_path: Path):
    archive = zipped(
        tmp_path / "a.zip", {"in/a.png": b"A", "../out.png": b"B", "/abs.png": b"C", "x/../../y.png": b"D"}
    )
    with zipfile.ZipFile(archive, "a") as opened:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc")
        opened.writestr("link/passwd", b"E")
    problems = Problems()
    assert unpack(archive, tmp_path / "out", problems) == 2
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "a.zip",
        "out/in/a.png",
        "out/link/passwd",
    ]
    assert len(problems.all()) == 4


def test_tars_give_regular_files_only(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name, kind in [
            ("a.png", tarfile.REGTYPE),
            ("l", tarfile.SYMTYPE),
            ("h", tarfile.LNKTYPE),
            ("p", tarfile.FIFOTYPE),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, "/etc/passwd", 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"abc"))
    problems = Problems()
    assert unpack(tmp_path / "a.tar.gz", tmp_path / "out", problems) == 1
    assert os.listdir(tmp_path / "out") == ["a.png"] and len(problems.all()) == 3


def test_a_link_that_is_there_already_does_not_lead_out(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "in").symlink_to(tmp_path / "elsewhere")
    assert unpack(zipped(tmp_path / "a.zip", {"in/a.png": b"A"}), tmp_path / "out") == 0
    assert not os.listdir(tmp_path / "elsewhere")


def test_unpacking_again_goes_on(tmp_path: Path):
    archive = zipped(tmp_path / "a.zip", {f"{i}.png": bytes([i]) * 10 for i in range(5)})
    unpack(archive, tmp_path / "out")
    (tmp_path / "out" / "1.png").write_bytes(b"half")
    (tmp_path / "out" / "2.png").unlink()
    kept = (tmp_path / "out" / "3.png").stat().st_mtime_ns
    assert unpack(archive, tmp_path / "out") == 5
    assert [(tmp_path / "out" / f"{i}.png").read_bytes() for i in range(5)] == [bytes([i]) * 10 for i in range(5)]
    assert (tmp_path / "out" / "3.png").stat().st_mtime_ns == kept and len(os.listdir(tmp_path / "out")) == 5


def test_torn_archives_and_bombs_are_refused(tmp_path: Path):
    archive = zipped(tmp_path / "a.zip", {"a.png": os.urandom(100_000)})
    data = archive.read_bytes()
    (tmp_path / "torn.zip").write_bytes(data[:50_000])
    (tmp_path / "flipped.zip").write_bytes(data[:5000] + bytes([data[5000] ^ 255]) + data[5001:])
    zipped(tmp_path / "bomb.zip", {"a.png": bytes(120 << 20)})
    for name, why in [("torn", "whole archive"), ("flipped", "whole archive"), ("bomb", "wants to become")]:
        with pytest.raises(UsageError, match=why):
            unpack(tmp_path / f"{name}.zip", tmp_path / name)
        assert not list((tmp_path / name).glob("*.png"))


# --- plans


@pytest.mark.parametrize("name", sorted(PLANS))
def test_every_plan_is_a_script_that_says_the_licence_and_what_it_needs(name: str, tmp_path: Path):
    options = {"dataset": "owner/name"} if name == "huggingface" else {}
    made = plan(name, tmp_path / "my data", **options)
    text = made.text()
    about = SOURCES[name].about
    assert about.license in text and (not about.account or about.account in text)
    assert made.steps and all(s.says and (s.line() or not s.target) for s in made.steps)
    assert all(s.url.startswith("https://") for s in made.steps if s.url)
    assert not (tmp_path / "my data").exists()  # a plan does nothing
    with pytest.raises(ConfigError, match="no option 'colour'"):
        plan(name, tmp_path, colour=1)


def test_what_cannot_be_downloaded_says_what_to_do(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be downloaded"):
        plan("csv", tmp_path)
    with pytest.raises(UsageError, match="did you mean 'ffhq'"):
        plan("fhq", tmp_path)


def test_plans_are_the_official_commands(tmp_path: Path):
    ffhq = plan("ffhq", tmp_path).text()
    assert "download_ffhq.py --json --images --num_threads 32" in ffhq
    laion = plan("laion-face", tmp_path, num_samples=156_000).text()
    assert (
        "sample_156000.parquet" in laion
        and "img2dataset --input_format parquet --url_col URL --caption_col TEXT" in laion
    )
    assert "laion_face_ids.pth" in laion and "convert_parquet.py" in laion and "--output_format files" in laion
    assert plan("laion-face", tmp_path, metadata="meta").text().count("--output_format webdataset") == 32
    assert plan("laion-face", tmp_path, metadata="meta", subset="20m").text().count("webdataset") == 13
    assert "md5 00d2c5bc6d35e252742224ab0c1e8fcb" in plan("celeba", tmp_path).text()
    assert plan("text2face", tmp_path, only="ffhq").text().count("gdown") == 1
    for name, wrong in [("laion-face", {"subset": "1m"}), ("fairface", {"padding": "2"}), ("text2face", {"only": "x"})]:
        with pytest.raises(ConfigError):
            plan(name, tmp_path, **wrong)


def test_run_fetches_unpacks_and_goes_on(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server.data = zipped(tmp_path / "a.zip", {"train/a.jpg": b"A", "../evil": b"E"}).read_bytes()
    monkeypatch.setattr(download, "EASYPORTRAIT", {"images.zip": server.url})
    made = plan("easyportrait", tmp_path / "out")
    told: list[str] = []
    problems = run(made, lambda stage, done, total: told.append(stage))
    assert (tmp_path / "out" / "images" / "train" / "a.jpg").read_bytes() == b"A"
    assert len(problems) == 1 and {"images.zip", "images"} <= set(told)
    run(made)
    assert len(server.asked) == 1
    assert [i.path.name for i in SOURCES["easyportrait"].read(tmp_path / "out", Problems())] == ["a.jpg"]


def test_an_archive_that_came_by_hand_is_unpacked_and_read(tmp_path: Path):
    with pytest.raises(UsageError, match=r"yours: get the archive by hand .* as .*indian\.zip"):
        run(plan("indian", tmp_path / "out"))
    table = b"ID,Class\n1.jpg,YOUNG\n2.jpg,OLD\n../evil.jpg,OLD\n"
    archive = zipped(
        tmp_path / "faces.zip", {"train.csv": table, "Train/1.jpg": b"1", "Train/2.jpg": b"2", "../x": b"x"}
    )
    problems = run(plan("indian", tmp_path / "out", archive=str(archive)))
    assert len(problems) == 1 and not (tmp_path / "x").exists()
    read = Problems()
    items = [*SOURCES["indian"].read(tmp_path / "out", read)]
    assert [i.path.name for i in items] == ["1.jpg", "2.jpg"] and len(read.all()) == 1
    archive.unlink()  # a person who needs the room
    assert run(plan("indian", tmp_path / "out", archive=str(archive))) == []


def test_run_calls_programs_and_checks_what_they_made(tmp_path: Path):
    about = SOURCES["folder"].about
    made = tmp_path / "made.txt"
    md5 = hashlib.md5(b"hello", usedforsecurity=False).hexdigest()

    def steps(code: str, md5: str = md5) -> Plan:
        step = Step("x", command=("python3", "-c", code), target=made, expected=Expected(md5=md5))
        return Plan(about, tmp_path, (step,))

    with pytest.raises(UsageError, match="failed with 3"):
        run(steps("raise SystemExit(3)"))
    with pytest.raises(UsageError, match=r"made no made\.txt"):
        run(steps("pass"))
    with pytest.raises(UsageError, match="md5"):
        run(steps("open('made.txt', 'w').write('other')"))
    assert run(steps("open('made.txt', 'w').write('hello')")) == []
    assert run(steps("raise SystemExit(3)")) == []  # there already, and right
    with pytest.raises(UsageError, match="no-such-program is not installed"):
        run(Plan(about, tmp_path, (Step("x", command=("no-such-program",)),)))
    with pytest.raises(UsageError, match="this step is yours: sign"):
        run(Plan(about, tmp_path, (Step("sign the form"),)))
