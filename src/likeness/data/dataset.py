"""Prepared folders and Hugging Face data sets as PyTorch data sets: `pixel_values` (3, H, W) in [-1, 1], and `text`.

    faces = FaceDataset.folder("faces", size=512, transform=Transform(crop="random", flip=0.5), seed=7)
    faces[0]                        {"pixel_values": ..., "text": ...}
    Mixture([(faces, 3), (other, 1)], seed=7)

What is drawn for a sample (crop, mirroring, the words of its caption) is a pure function of (seed, position), where the
position of picture i in epoch e is e * len + i: the same alone, in any worker, in any order. `set_epoch` before each
epoch, or ask for `faces[i, position]`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch.utils.data import Dataset

from ..errors import BadImage, MissingExtra, UsageError
from ..grammar import describe
from ..records import Attributes
from .buckets import Buckets
from .decode import ORIENTATION, inspect_bytes, read_bytes
from .labels import read_faces
from .manifest import Manifest
from .paths import existing
from .transforms import Transform, generator

Captions = Callable[[str, Attributes | None, int], str]
Key = int | tuple[int, int]


class Pictures(Protocol):
    """Where pictures and their words come from; random access."""

    def __len__(self) -> int: ...
    def picture(self, index: int) -> Any:
        """A PIL picture, upright, RGB."""
        ...

    def size(self, index: int) -> tuple[int, int]:
        """Width and height, without decoding."""
        ...

    def words(self, index: int) -> tuple[str, Attributes | None]: ...


def own_text(text: str, attributes: Attributes | None, seed: int) -> str:
    """A row's own caption; without one, its attributes in a sentence."""
    if text.strip() or attributes is None or not attributes.said():
        return text
    return describe(attributes, "sentence", seed)


class FaceDataset(Dataset[dict[str, Any]]):
    """Pictures with their texts, transformed. With `buckets` each picture has its bucket's shape: batch them by
    `BucketBatches(faces.shapes(), ...)`. `captions(text, attributes, seed)` writes the text; by default `own_text`.
    """

    def __init__(
        self,
        pictures: Pictures,
        size: int | tuple[int, int] = 512,
        transform: Transform | None = None,
        seed: int = 0,
        buckets: Buckets | None = None,
        captions: Captions = own_text,
    ) -> None:
        self.pictures, self.transform, self.seed, self.buckets, self.captions = (
            pictures,
            transform or Transform(),
            seed,
            buckets,
            captions,
        )
        self.size = (size, size) if isinstance(size, int) else size
        self.epoch = 0
        if min(self.size) < 1:
            raise UsageError(f"size {size}: write a number of pixels")

    @classmethod
    def folder(
        cls, path: str | Path, size: int | tuple[int, int] = 512, split: str | None = None, **options: Any
    ) -> FaceDataset:
        """A prepared folder, or one split of it. Raises `UsageError` when there is none. Options as for the class."""
        return cls(Folder(path, split), size, **options)

    @classmethod
    def hub(
        cls, data: Any, size: int | tuple[int, int] = 512, image: str = "image", text: str | None = "text",
        split: str = "train", **options: Any,
    ) -> FaceDataset:  # fmt: skip
        """A Hugging Face data set: one that is loaded, or its name or path; `image` and `text` name its columns."""
        return cls(Hub(data, image, text, split), size, **options)

    def set_epoch(self, epoch: int) -> None:
        """Call it before a `DataLoader` starts its workers: they get a copy."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.pictures)

    def shape(self, index: int) -> tuple[int, int]:
        """Width and height that picture `index` is given."""
        return self.buckets.shape_for(*self.pictures.size(index)) if self.buckets else self.size

    def shapes(self, progress: Callable[[int, int], None] = lambda done, total: None) -> list[tuple[int, int]]:
        """`shape` of all; with buckets every file's header is read."""
        if not self.buckets:
            return [self.size] * len(self)
        found = []
        for i in range(len(self)):
            found.append(self.shape(i))
            progress(i + 1, len(self))
        return found

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """A sample, by index or (index, position). Raises `IndexError` past the end, `UsageError` for a broken file."""
        index, position = key if isinstance(key, tuple) else (key, None)
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        index %= len(self)
        if position is None:
            position = self.epoch * len(self) + index
        random = generator(self.seed, position)
        text, attributes = self.pictures.words(index)
        text = self.captions(text, attributes, int(random.integers(2**31)))
        pixels, text = self.transform(self.pictures.picture(index), text, self.shape(index), random)
        return {"pixel_values": pixels, "text": text}


class Folder:
    """Pictures of a prepared folder, or of one with a label table. Rows are held as bytes: half a kilobyte each, and
    worker processes share them.
    """

    def __init__(self, path: str | Path, split: str | None = None, follow_links: bool = False) -> None:
        self.path, self.follow_links = Path(path), follow_links
        if (self.path / "labels.jsonl").is_file() or not self.path.is_dir():
            records: Iterable[Any] = read_faces(self.path, split)
        else:
            records = Manifest(self.path).records()
        rows = []
        for record in records:
            if split is None or record.split == split:
                said = record.attributes.to_dict() if record.attributes else None
                rows.append(
                    json.dumps([record.file_name, record.text, said], ensure_ascii=False).encode("utf-8", "replace")
                )
        if not rows:
            raise UsageError(f"{path} has no faces in its {split or 'whole'} split")
        self._ends = np.cumsum([len(row) for row in rows])
        self._rows = b"".join(rows)

    def __len__(self) -> int:
        return len(self._ends)

    def _row(self, index: int) -> list[Any]:
        start = int(self._ends[index - 1]) if index else 0
        row: list[Any] = json.loads(self._rows[start : int(self._ends[index])])
        return row

    def _path(self, index: int) -> Path:
        return existing(self.path, self._row(index)[0], follow_links=self.follow_links)

    def picture(self, index: int) -> Any:
        path = self._path(index)
        return opened(str(path), read_bytes(path))

    def size(self, index: int) -> tuple[int, int]:
        path = self._path(index)
        return upright_size(path, str(path))

    def words(self, index: int) -> tuple[str, Attributes | None]:
        _, text, said = self._row(index)
        return text, Attributes.from_dict(said) if said else None


class Hub:
    """Pictures of a `datasets.Dataset`, one that is loaded or its name or path."""

    def __init__(self, data: Any, image: str = "image", text: str | None = "text", split: str = "train") -> None:
        datasets = _datasets()
        if isinstance(data, str | Path):
            folder = Path(data)
            prepared = folder.is_dir() and Manifest(folder).exists()
            loaded = ("imagefolder", {"data_dir": str(data)}) if prepared else (str(data), {})
            try:
                data = datasets.load_dataset(loaded[0], split=split, **loaded[1])
            except Exception as error:  # whatever the hub, the network and the file formats raise
                raise UsageError(f"cannot load {data}: {' '.join(str(error).split())[:200]}") from None
        for column in filter(None, (image, text)):
            if column not in data.column_names:
                raise UsageError(f"the data set has no column {column!r}: choose from {', '.join(data.column_names)}")
        self.image, self.text = image, text
        self.data = data.cast_column(image, datasets.Image(decode=False))

    def __len__(self) -> int:
        return len(self.data)

    def _bytes(self, index: int) -> bytes:
        stored = self.data[index][self.image]
        if not stored:
            raise UsageError(f"row {index} of the data set has no picture")
        return stored["bytes"] or read_bytes(stored["path"])

    def picture(self, index: int) -> Any:
        return opened(f"row {index}", self._bytes(index))

    def size(self, index: int) -> tuple[int, int]:
        return upright_size(io.BytesIO(self._bytes(index)), f"row {index}")

    def words(self, index: int) -> tuple[str, Attributes | None]:
        text = self.data[index][self.text] if self.text else ""
        return (text if isinstance(text, str) else str((text or [""])[0])), None


def opened(name: str, data: bytes) -> Any:
    """A whole picture, upright, RGB. Raises `UsageError` with the remedy for a broken one."""
    try:
        return inspect_bytes(data).draw()
    except BadImage as error:
        raise UsageError(f"{name}: {error}: run `likeness data verify --fix` on its folder") from None


def upright_size(file: Any, name: str) -> tuple[int, int]:
    """Width and height by the header alone. Raises `UsageError`."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            # asking a PNG for its EXIF would decode it
            exif = picture.getexif() if picture.format != "PNG" or "exif" in picture.info else {}
            return (picture.height, picture.width) if exif.get(ORIENTATION) in (5, 6, 7, 8) else picture.size
    except Exception:  # Pillow's readers raise anything on broken bytes
        raise UsageError(f"{name} is no picture: run `likeness data verify --fix` on its folder") from None


def _datasets() -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets is not installed: pip install 'likeness[data]'") from None
    return datasets
