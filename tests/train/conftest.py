import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import likeness
from likeness.files import read_jsonl


@pytest.fixture(scope="session")
def few_faces(tmp_path_factory):
    """A folder of 40 labelled faces in the label table's layout, all in the train split."""
    source = Path(likeness.__file__).parent / "assets" / "faces"
    folder = tmp_path_factory.mktemp("faces")
    (folder / "images").mkdir()
    rows = [row | {"split": "train"} for row in read_jsonl(source / "labels.jsonl")[:40]]
    for row in rows:
        shutil.copy(source / row["file_name"], folder / "images")
    (folder / "labels.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


@pytest.fixture(scope="session")
def assets():
    return Path(likeness.__file__).parent / "assets"


COLORS = ["red", "green", "blue", "white", "black", "yellow", "cyan", "magenta", "gray", "orange", "purple", "brown"]


@pytest.fixture(scope="session")
def painted():
    """`painted(folder, colors)`: pictures whose left half is a colour and whose right half is dark, captioned by it."""

    def make(folder, colors=COLORS, size=(96, 80)):
        (folder / "images").mkdir(parents=True, exist_ok=True)
        rows = []
        for color in colors:
            picture = Image.new("RGB", size, (20, 20, 20))
            picture.paste(Image.new("RGB", (size[0] // 2, size[1]), color), (0, 0))
            picture.save(folder / "images" / f"{color}.png")
            rows.append({"file_name": f"images/{color}.png", "text": f"{color}, looking to the left"})
        (folder / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        return folder

    return make
