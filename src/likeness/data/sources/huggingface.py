"""A set of Hugging Face `datasets`, by name or folder; the columns of pictures and captions are guessed, or named.

Pictures are handed on encoded as they are stored. A path in a table is opened only below the set's own folder or the
caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import LikenessError, MissingExtra, RecordError, UsageError
from ...records import Attributes
from ..paths import existing
from .base import About, Item, Problems
from .folder import SPLITS
from .tables import TEXT_COLUMNS, clean, column_key
from .values import read_attributes

ABOUT = About(
    name="huggingface",
    title="Hugging Face dataset by name or folder",
    images="the set's",
    size="the set's",
    license="see the set's card",
    url="https://huggingface.co/datasets",
    how="nothing to do, or hf download --repo-type dataset NAME",
    account="for gated sets: hf auth login",
)


def items(
    path: str | Path,
    problems: Problems,
    split: str | None = None,
    config: str | None = None,
    revision: str | None = None,
    image_column: str | None = None,
    text_column: str | None = None,
    license: str = "",
    streaming: bool = True,
) -> Iterator[Item]:
    """`path`: `owner/name`, or a folder; `split`: one of its splits, all of them by default."""
    for part, rows in _load(str(path), config, revision, split, streaming).items():
        image, text = _columns(rows, path, image_column, text_column)
        roots = _roots(path)
        found = iter(_undecoded(rows, image))
        number = -1
        while True:
            number += 1
            try:
                row = next(found, None)
            except Exception as error:  # one broken shard; what a builder raises is its own business
                problems.add(f"{path}, {part} row {number}", f"{type(error).__name__}: {_first_line(error)}")
                break
            if row is None:
                break
            where = f"{path}, {part} row {number}"
            try:
                yield _item(row, f"{Path(str(path)).name} {part}/{number}", part, roots, image, text, license, problems)
            except (UsageError, RecordError) as error:
                problems.add(where, error)


def _load(path: str, config: str | None, revision: str | None, split: str | None, streaming: bool) -> dict[str, Any]:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("reading Hugging Face sets needs datasets: pip install 'likeness[data]'") from None
    folder = Path(path).expanduser()
    try:
        if (folder / "dataset_info.json").is_file() or (folder / "dataset_dict.json").is_file():
            loaded: Any = datasets.load_from_disk(str(folder))
        else:
            loaded = datasets.load_dataset(
                str(folder) if folder.exists() else path, config, split=split, revision=revision, streaming=streaming
            )
    except LikenessError:
        raise
    except Exception as error:  # the library raises what its parts raise
        raise UsageError(f"cannot load the set {path!r}: {type(error).__name__}: {_first_line(error)}") from None
    parts = dict(loaded) if hasattr(loaded, "items") and not hasattr(loaded, "features") else {split or "train": loaded}
    if split and split in parts:
        parts = {split: parts[split]}
    return parts


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300]


def _columns(rows: Any, path: object, image: str | None, text: str | None) -> tuple[str, str | None]:
    import datasets

    features = rows.features or {}
    pictured = [n for n, f in features.items() if isinstance(f, datasets.Image)]
    image = image or next(iter(pictured), None)
    if image is None or features and image not in features:
        raise UsageError(
            f"{path} has no column of pictures{f' {image!r}' if image else ''}: it has {', '.join(features) or 'none'}"
        )
    if text and features and text not in features:
        raise UsageError(f"{path} has no column {text!r}: it has {', '.join(features)}")
    return image, text or next((n for c in TEXT_COLUMNS for n in features if column_key(n) == c), None)


def _undecoded(rows: Any, image: str) -> Any:
    """The rows with pictures as they are stored, and classes by their names."""
    import datasets

    rows = rows.cast_column(image, datasets.Image(decode=False))
    names = {n: f for n, f in (rows.features or {}).items() if isinstance(f, datasets.ClassLabel)}

    def named(row: dict[str, Any]) -> dict[str, Any]:
        return {
            n: f.int2str(row[n]) if isinstance(row.get(n), int) and 0 <= row[n] < len(f.names) else ""
            for n, f in names.items()
        }

    return ({**row, **named(row)} for row in rows)


def _roots(path: str | Path) -> list[Path]:
    import datasets.config
    import huggingface_hub.constants

    folder = Path(path).expanduser()
    caches = (datasets.config.HF_DATASETS_CACHE, huggingface_hub.constants.HF_HUB_CACHE)
    return [p for p in (folder, *map(Path, caches)) if p.is_dir()]


def _item(
    row: dict[str, Any],
    origin: str,
    part: str,
    roots: list[Path],
    image: str,
    text: str | None,
    license: str,
    problems: Problems,
) -> Item:
    picture = row.get(image)
    if not isinstance(picture, dict) or not (picture.get("bytes") or picture.get("path")):
        raise UsageError("no picture")
    data, named = picture.get("bytes"), str(picture.get("path") or "")
    path = Path(origin.rpartition(" ")[2].replace("/", "_") + (Path(named).suffix or ".png"))
    if not data:
        path = _stored(named, roots)
    said = row.get("attributes")
    if isinstance(said, dict):
        attributes: Attributes | None = Attributes.from_dict({k: v for k, v in said.items() if v not in (None, [], "")})
    else:
        plain = {
            column_key(k): v for k, v in row.items() if isinstance(v, str | int | float) and k not in {image, text}
        }
        attributes = read_attributes(plain, problems)
    caption = row.get(text) if text else ""
    if isinstance(caption, list):
        caption = next((c for c in caption if isinstance(c, str)), "")
    return Item(
        path,
        attributes=attributes,
        text=" ".join(clean(caption).split()) if isinstance(caption, str) else "",
        license=str(row.get("license") or license),
        origin=str(row.get("source") or origin),
        split=SPLITS.get(part.lower(), part),
        data=data or None,
    )


def _stored(named: str, roots: list[Path]) -> Path:
    """A path that the set names; only below its own folder or the caches, where links lead from one part to another."""
    for root in roots:
        if not Path(named).is_absolute():
            return existing(root, named)
        for top in (root, root.resolve()):
            if Path(named).is_relative_to(top):
                return existing(top, str(Path(named).relative_to(top)))
    raise UsageError(f"{named[:120]!r} leads out of the set's folder")
