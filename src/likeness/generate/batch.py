"""A file of prompts in, a folder of faces with their `metadata.jsonl` out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ..errors import UsageError
from ..files import read_jsonl, write_text
from ..provenance import digest, save_png
from ..records import ImageRequest, Sample

COLUMNS = ("prompt", "text", "caption")
METADATA = "metadata.jsonl"


def read_prompts(path: str | Path) -> list[str]:
    """Prompts of a .txt file (one a line), or of the prompt, text or caption column of a .csv or .jsonl file.

    Raises `UsageError` for a file that is missing, of another kind, or without prompts.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no prompts file {path}")
    readers: dict[str, Callable[[Path], list[str]]] = {".txt": _lines, ".csv": _csv, ".jsonl": _jsonl}
    if path.suffix.lower() not in readers:
        raise UsageError(f"{path}: prompts come from a .txt, .csv or .jsonl file")
    try:
        prompts = readers[path.suffix.lower()](path)
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    if not prompts:
        raise UsageError(f"{path} holds no prompts")
    return prompts


def requests(prompts: Iterable[str], like: ImageRequest) -> list[ImageRequest]:
    """One request a prompt, the other settings of `like`; with a seed, prompt i starts at `seed + i * count`."""
    step = like.count
    return [
        replace(like, prompt=prompt, seed=None if like.seed is None else like.seed + i * step)
        for i, prompt in enumerate(prompts)
    ]


def save_folder(
    folder: str | Path, samples: Iterable[Sample], tell: Callable[[Path, Sample], None] | None = None
) -> list[Path]:
    """Save pictures as `00001-<seed>.png` … as they come, and list them in `metadata.jsonl` (ImageFolder).

    A folder that holds some already is added to. `tell` is called after each. Raises `UsageError` when the folder
    cannot be written.
    """
    folder, saved = Path(folder), []
    rows = read_jsonl(folder / METADATA) if (folder / METADATA).is_file() else []
    first = 1 + max((int(p.name[:5]) for p in folder.glob("[0-9]" * 5 + "-*.png")), default=0)
    try:
        for number, sample in enumerate(samples, first):
            path = save(folder / f"{number:05d}-{sample.seed}.png", sample)
            rows.append({"file_name": path.name, "text": sample.request.prompt, "seed": sample.seed})
            saved.append(path)
            if tell:
                tell(path, sample)
    finally:  # what was drawn before a stop is listed too
        if saved:
            write_text(folder / METADATA, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return saved


def save(path: str | Path, sample: Sample) -> Path:
    """One sample as a PNG with its recipe."""
    facts = sample.image.info.get("likeness", {})
    extra = {"drawn": facts} | ({"start_sha256": digest(sample.request.image)} if sample.request.image else {})
    return save_png(path, sample.image, sample.request, sample.seed, sample.fingerprint, extra)


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


def _csv(path: Path) -> list[str]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        column = _column(path, rows.fieldnames or ())
        return [row[column].strip() for row in rows if (row[column] or "").strip()]


def _jsonl(path: Path) -> list[str]:
    rows = read_jsonl(path)
    if not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{path}: every line must be a JSON object with a prompt, text or caption")
    column = _column(path, [name for row in rows for name in row])
    return [str(row[column]).strip() for row in rows if str(row.get(column) or "").strip()]


def _column(path: Path, names: Iterable[str]) -> str:
    found = next((c for c in COLUMNS if c in set(names)), None)
    if found is None:
        raise UsageError(f"{path} has no column prompt, text or caption")
    return found
