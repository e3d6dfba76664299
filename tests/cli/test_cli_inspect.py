import json

import pytest
from PIL import Image

from likeness.cli.main import main
from likeness.provenance import save_png
from likeness.records import ImageRequest


@pytest.fixture
def face(tmp_path):
    request = ImageRequest("a man with a hat", "blur", 128, 160, 30, 4.0, 7, scheduler="dpm++2m")
    return save_png(tmp_path / "face.png", Image.new("RGB", (128, 160)), request, 7, "ab" * 32)


def test_people_read_lines(face, capsys):
    assert main(["inspect", str(face)]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["prompt"] == "a man with a hat" and lines["negative"] == "blur" and lines["size"] == "128x160"
    assert lines["seed"] == "7" and lines["fingerprint"] == "ab" * 32 and "trained model" in lines["marked"]


def test_programs_read_json(face, capsys):
    assert main(["inspect", str(face), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["request"]["scheduler"] == "dpm++2m" and told["parameters"].startswith("a man with a hat\n")


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_broken_file_is_one_line_and_exit_code_2(tmp_path, capsys, content):
    (tmp_path / "x.png").write_bytes(content)
    assert main(["inspect", str(tmp_path / "x.png")]) == 2
    err = capsys.readouterr().err
    assert "broken or no picture" in err and err.count("\n") == 1
