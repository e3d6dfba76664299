"""What a card can say of training data: read from the folder that a model was trained on, if that is still here."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import read_jsonl
from ..records import ETHNICITIES, FIELDS
from . import registry

TABLES = ("metadata.jsonl", "labels.jsonl")
DECADES = tuple(f"{d}-{d + 9}" for d in range(20, 70, 10)) + ("70+",)
JUDGED = {"gender": FIELDS["gender"].values, "age": DECADES, "ethnicity": ETHNICITIES}
FAIR = 0.5  # a value is shown too rarely when it has less than this part of an even share
ENOUGH = 0.2  # of the faces must say a field before it is judged


@dataclass(frozen=True)
class Shipped:
    """The card that lies beside a model of this package, with what no run's folder tells of it any more."""

    license: str
    text: str  # without title, code, and what a model must not be used for: every card has its own

    def section(self, name: str) -> str:
        found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", self.text, re.M | re.S)
        return found[1].strip() if found else ""


@dataclass(frozen=True)
class Data:
    """`found`: whether the folder is still here. Counts are of the faces in the run's split."""

    name: str
    found: bool
    faces: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    licenses: dict[str, int] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    described: str = ""  # what the folder's own card says of licence or origin

    def too_rare(self) -> dict[str, dict[str, float]]:
        """Field -> value -> its share, for values that have far less than an even share among the faces that say it."""
        found = {}
        for name, values in JUDGED.items():
            counts = self.counts.get(name, {})
            total = sum(counts.values())
            if total and total >= ENOUGH * self.faces:
                shares = {value: counts.get(value, 0) / total for value in values}
                if rare := {value: share for value, share in shares.items() if share < FAIR / len(values)}:
                    found[name] = rare
        return found


def read(config: dict[str, Any]) -> list[Data]:
    """The data sets of a run's `data` (`faces`, or `faces:2,more:1`), in their order."""
    split, found = config.get("split"), []
    for part in filter(None, (p.strip() for p in str(config.get("data") or "").split(","))):
        folder, colon, weight = part.rpartition(":")
        plain = folder if colon and re.fullmatch(r"[\d.]+", weight) and not Path(part).exists() else part
        found.append(_read(Path(plain).expanduser(), split))
    return found


def _read(folder: Path, split: str | None) -> Data:
    table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if table is None:
        return Data(folder.name, False)
    rows = read_jsonl(table)
    chosen = [row for row in rows if not split or not row.get("split") or row["split"] == split]
    said = [row.get("attributes") or row for row in chosen]
    counts = {
        "gender": _count(one.get("gender") for one in said),
        "age": _count(_decade(one.get("age")) for one in said),
        "ethnicity": _count(_single(one.get("ethnicity")) for one in said),
    }
    return Data(
        folder.name, True, len(chosen), _count(row.get("source") for row in chosen),
        _count(row.get("license") for row in chosen), counts, _described(folder / "README.md"),
    )  # fmt: skip


def shipped(model: Path) -> Shipped | None:
    """None for a model that is no part of this package."""
    from huggingface_hub import ModelCard

    file = model / "README.md"
    if registry.ASSETS.resolve() not in file.resolve().parents or not file.is_file():
        return None
    card = ModelCard(file.read_text(encoding="utf-8"))
    text = re.sub(r"\A\s*# [^\n]*\n|<!--.*?-->\n?|^```.*?^```\n", "", card.text, flags=re.M | re.S)
    text = text.partition("\n## What it must not be used for\n")[0]
    return Shipped(str(card.data.to_dict().get("license", "")), re.sub(r"\n{3,}", "\n\n", text).strip())


def _count(values: Iterable[Any]) -> dict[str, int]:
    return dict(sorted(Counter(str(v) for v in values if v).items(), key=lambda row: (-row[1], row[0])))


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else None if isinstance(value, list) else value


def _decade(age: Any) -> str | None:
    """An age of any spelling (31, "30-39", {"low": 30, "high": 39}) -> the decade that it begins in."""
    low = age.get("low") if isinstance(age, dict) else age
    digits = re.match(r"\d+", str(low or ""))
    if not digits:
        return None
    years = int(digits[0])
    return "under 20" if years < 20 else "70+" if years >= 70 else f"{years // 10 * 10}-{years // 10 * 10 + 9}"


def _described(card: Path) -> str:
    """The shortest line of a folder's own card that names a licence, for folders whose rows name none."""
    if not card.is_file():
        return ""
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()
    told = (line for line in lines if re.search(r"licen[cs]e|CC BY|CC0", line, re.I) and not line.startswith("#"))
    return " ".join(min(told, key=len, default="").lstrip("-| ").split())[:300]


def groups(run: Path | None) -> dict[str, int]:
    """What `likeness train ddpm` wrote of its groups."""
    file = run / "data.json" if run else None
    if file is None or not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8")).get("groups", {})
    except (ValueError, AttributeError):
        return {}
    return {str(name): int(count) for name, count in found.items()}
