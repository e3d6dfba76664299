import json
import shutil
from pathlib import Path

import pytest

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
