"""Settings: file, environment and flags, in this order; a mistake is one line that names it."""

from __future__ import annotations

import dataclasses
import re

import pytest

from likeness.errors import ConfigError
from likeness.service import settings
from likeness.service.settings import Settings, read


def test_later_places_win(tmp_path):
    file = tmp_path / "serve.yaml"
    file.write_text("port: 1\nqueue: 1\nmax_batch: 1\nmarks: {c2pa: false}\nloras: {glasses: runs/glasses}\n")
    environ = {"LIKENESS_SERVE_QUEUE": "2", "LIKENESS_SERVE_MAX_BATCH": "2", "LIKENESS_SERVE_MARKS_WATERMARK": "no"}
    found = read(file, {"max_batch": 3, "device": None}, environ)
    assert (found.port, found.queue, found.max_batch) == (1, 2, 3)
    assert (found.marks.c2pa, found.marks.watermark) == (False, False)  # groups are laid over, not replaced
    assert found.loras == {"glasses": "runs/glasses"}
    assert read(environ={}) == Settings()


def test_environment_reads_texts_as_texts_and_gateways_names():
    found = read(environ={"LIKENESS_SERVE_MODEL": "no", "TEXT_MODEL_URL": "http://t/", "LIKENESS_MODEL": "gpt"})
    assert (found.model, found.text_model_url) == ("no", "http://t/")  # YAML alone would read `no` as false


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prot": 1}, "did you mean 'port'"),
        ({"port": 70000}, "port must be 0 to 65535"),
        ({"queue": 0}, "queue must be more than 0"),
        ({"max_batch": "many"}, "max_batch must be a whole number"),
        ({"cors_origins": ["*"]}, "names each origin"),
        ({"public_url": "example.org"}, "must start with http"),
        ({"marks.key": "key.pem"}, "go together"),
        ({"marks.c2ap": True}, "did you mean 'c2pa'"),
    ],
)
def test_mistakes_are_named(changes, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        read(None, changes, {})


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match="no settings file"):
        read(tmp_path / "gone.yaml", environ={})
    with pytest.raises(ConfigError, match=r"must end in \.yaml"):
        read(tmp_path / "serve.json", environ={})


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.5", False), ("faces.example.org", False)],
)  # fmt: skip
def test_keys_are_required_where_others_can_reach_it(host, loopback):
    assert Settings(host=host).loopback is loopback
    assert Settings(host=host).keys_required is not loopback
    assert (
        Settings(host=host, require_keys=True).keys_required
        and not Settings(host=host, require_keys=False).keys_required
    )


def test_the_default_model_is_offered_first_and_once():
    assert Settings(model="sd15", models=("mini", "sd15")).offered == ("sd15", "mini")


def test_home(monkeypatch, tmp_path):
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    assert Settings().database_url == f"sqlite:///{tmp_path / 'likeness.db'}"
    assert Settings().picture_place == str(tmp_path / "pictures")


def test_every_setting_is_in_the_page(root):
    page = (root / "docs" / "service.md").read_text(encoding="utf-8")
    names = {f.name for f in dataclasses.fields(Settings)} - {"marks"}
    names |= {f"marks.{f.name}" for f in dataclasses.fields(settings.MarkSettings)}
    assert len(names) > 30
    assert not [name for name in sorted(names) if f"| `{name}` |" not in page]
