"""Folders with a table, and captioners that do as they are told: material for the tests of runs, teams and commands."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likeness.caption.captioner import Caption, Estimate, Face, Failure, Outcome
from likeness.data.manifest import Manifest
from likeness.files import read_jsonl


def table(folder: Path, count: int, pad: int = 0) -> Path:
    """Rows with labels and without a text; no pictures, which labels do not need. `pad`: bytes more a row."""
    (folder / "images").mkdir(parents=True)
    with open(folder / "metadata.jsonl", "w", encoding="utf-8") as file:
        for i in range(count):
            labels = {"gender": ("male", "female")[i % 2], "age": "30-39", "hair_color": ("black", "blond")[i % 3 % 2]}
            row = {"file_name": f"images/{i:06d}.png", "attributes": labels, "source": "made"}
            file.write(json.dumps(row | ({"pad": "x" * pad} if pad else {})) + "\n")
    return folder


def pictures(folder: Path, count: int) -> Path:
    """A table with pictures that differ, as JPEG too, for a captioner that sends them."""
    from PIL import Image

    table(folder, count)
    for i in range(count):
        noise = random.Random(i).randbytes(8 * 8 * 3)
        Image.frombytes("RGB", (8, 8), noise).save(folder / f"images/{i:06d}.png")
    return folder


def texts(folder: Path) -> dict[str, str]:
    """What the table says of each picture; every picture has one row."""
    rows = read_jsonl(folder / "metadata.jsonl")
    found = {row["file_name"]: row["text"] for row in rows}
    assert len(rows) == len(found) == Manifest(folder).count()
    return found


def ledgers(folder: Path, kind: str = "captions") -> list[dict[str, Any]]:
    """The lines of a folder's own files of outcomes."""
    return [row for path in sorted(folder.glob(f"{kind}.*-*.jsonl")) for row in read_jsonl(path)]


def said(name: str, words: str = "of middle age with short hair and calm brown eyes") -> str:
    """A caption that passes every check; with a detail that tells the pictures apart."""
    return f"The woman is {words}, and wears {int(''.join(c for c in name if c.isdigit()))} freckles on the nose."


@dataclass
class Told:
    """A captioner that answers as `answer` says; it records whom it was asked about, and may answer late."""

    answer: Callable[[Face], Outcome] = lambda face: Caption(face.name, said(face.name))
    name: str = "told"
    window: int = 1  # faces in hand before the first answer; they are answered in reverse
    asked: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        return {"captioner": self.name, "model": "none"}

    def estimate(self, faces: int) -> Estimate:
        return Estimate(faces, seconds=faces * 2.0, tokens_in=faces * 10, cost=faces * 0.5)

    def stream(self, faces: Iterable[Face]) -> Iterator[Outcome]:
        held: list[Face] = []
        for face in faces:
            self.asked.append(face.name)
            held.append(face)
            if len(held) == self.window:
                while held:
                    yield self.answer(held.pop())
        while held:
            yield self.answer(held.pop())


def failing(reason: str, again: bool, which: Callable[[int], bool]) -> Callable[[Face], Outcome]:
    """Fails for the pictures whose number `which` picks."""

    def answer(face: Face) -> Outcome:
        number = int("".join(c for c in face.name if c.isdigit()))
        return Failure(face.name, reason, "on purpose", again) if which(number) else Caption(face.name, said(face.name))

    return answer
