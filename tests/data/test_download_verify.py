"""A set that was downloaded is held against its own list: sizes, sums, and paths that lead out."""

import hashlib
import json
from pathlib import Path

from likeness.data.download import verify


def test_verify_finds_damaged_pictures(tmp_path: Path):
    rows = {}
    for number in range(3):
        name = f"images1024x1024/00000/{number:05d}.png"
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * (number + 1))
        md5 = hashlib.md5(b"x" * (number + 1), usedforsecurity=False).hexdigest()
        rows[str(number)] = {"image": {"file_path": name, "file_size": number + 1, "file_md5": md5}}
    rows["3"] = {"image": {"file_path": "../x", "file_size": 1, "file_md5": ""}}
    (tmp_path / "ffhq-dataset-v2.json").write_text(json.dumps(rows))
    (tmp_path / "images1024x1024/00000/00001.png").write_bytes(b"yy")
    (tmp_path / "images1024x1024/00000/00002.png").unlink()
    lost = [p.reason for p in verify("ffhq", tmp_path) if p.lost]
    assert [w in r for r, w in zip(lost, ["md5", "no such file", "leads out"], strict=True)]
    assert [p.lost for p in verify("utkface", tmp_path)] == [False]
