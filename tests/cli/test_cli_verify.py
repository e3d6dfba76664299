"""`likeness verify`: what it prints, and what it ends with."""

import json

import pytest
from PIL import Image

from likeness.cli.main import main
from likeness.provenance import Marks, save_png
from likeness.records import ImageRequest

REQUEST = ImageRequest("a man", width=128, height=128, steps=2, guidance=4.0, seed=1)


@pytest.fixture
def face(faces, tmp_path):
    pytest.importorskip("c2pa")
    image = Image.open(next(iter(sorted((faces / "images").iterdir())))).convert("RGB")
    return save_png(tmp_path / "face.png", image, REQUEST, 1, "ab" * 32, marks=Marks(c2pa=True, state=tmp_path))


def test_a_marked_picture(face, tmp_path, capsys):
    assert main(["verify", str(face), "--trust", str(tmp_path / "certificates" / "ca.pem")]) == 0
    told = capsys.readouterr().out
    assert "made by likeness" in told and "for whom a trust anchor vouches" in told and "of this recipe" in told
    assert main(["verify", str(face), "--json", "--quick"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["file"] == str(face) and found["manifest"]["valid"] and not found["manifest"]["trusted"]
    assert found["watermark"]["payload"] == found["recipe"]["watermark"] and found["belongs"]


def test_one_bad_file_does_not_hide_the_others(face, tmp_path, capsys):
    (tmp_path / "text.png").write_text("hello")
    assert main(["verify", str(tmp_path / "text.png"), str(face), "--quick"]) == 2
    told = capsys.readouterr()
    assert "not an image" in told.err and "made by likeness" in told.out
    assert main(["verify", str(tmp_path / "text.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_certificate_that_is_none(face, tmp_path, capsys):
    for name in ("none.pem", "face.png"):
        assert main(["verify", str(face), "--trust", str(tmp_path / name)]) == 2
        assert "cannot read the certificate" in capsys.readouterr().err
