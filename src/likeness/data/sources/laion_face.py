"""LAION-Face as img2dataset leaves it: `00000/000000000.jpg + .json + .txt`, or `00000.tar`.

The tars are what the official script makes. The pictures are on other people's servers, and many are gone.

`sample_metadata` draws the rows of a smaller download from the metadata. Zheng et al. 2022,
https://github.com/FacePerceiver/LAION-Face
"""

from __future__ import annotations

import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import MissingExtra, UsageError
from ...files import atomic_path
from ..paths import PICTURES, pictures, walk
from .base import About, Item, Problems, folder_of
from .tables import clean

ABOUT = About(
    name="laion-face",
    title="LAION-Face",
    images="50 million (a 20-million subset); 156,000 in the published Text2Face captions",
    size="about 2 TB in full, about 40 KB a picture",
    license="CC BY 4.0 (the list); each picture its own, mostly unknown",
    url="https://github.com/FacePerceiver/LAION-Face",
    how="likeness data download laion-face --num-samples 156000",
    account="LAION-400M's metadata comes first; its mirrors come and go, some ask for an account and an agreement",
)
MEMBER_LIMIT = 64 << 20  # bytes of one picture in a tar
TEXT_LIMIT = 1 << 20


def items(path: str | Path, problems: Problems, nsfw: bool = False, follow_links: bool = False) -> Iterator[Item]:
    """`nsfw`: take the pictures that the metadata calls unsafe as well."""
    root = folder_of(path, "give the output folder of img2dataset")
    for file, reason in pictures(root, follow_links=follow_links):
        if reason:
            problems.add(file, reason)
        elif item := _item(file, _beside(file, ".json"), _beside(file, ".txt"), problems, nsfw):
            yield item
    for file, reason in walk(root, follow_links=follow_links):
        if file.suffix.lower() == ".tar":
            if reason:
                problems.add(file, reason)
            else:
                yield from _packed(file, problems, nsfw)


def _beside(file: Path, suffix: str) -> bytes:
    """A sidecar's bytes; none if it is missing, a link or absurdly long."""
    beside = file.with_suffix(suffix)
    if beside.is_symlink() or not beside.is_file():
        return b""
    with open(beside, "rb") as opened:
        return opened.read(TEXT_LIMIT)


def _packed(archive: Path, problems: Problems, nsfw: bool) -> Iterator[Item]:
    """The samples of one shard: members of one name, which lie next to each other."""
    try:
        with tarfile.open(archive) as tar:
            sample: dict[str, bytes] = {}
            name = ""
            for member in tar:
                stem, dot, suffix = member.name.rpartition(".")
                where = f"{archive.name}, {member.name[:120]}"
                if not member.isfile() or not dot:
                    if not member.isdir():
                        problems.add(where, "not a regular file")
                    continue
                if member.size > MEMBER_LIMIT:
                    problems.add(where, f"{member.size} bytes, more than any picture")
                    continue
                if stem != name:
                    yield from _unpacked(archive, name, sample, problems, nsfw)
                    name, sample = stem, {}
                opened = tar.extractfile(member)
                sample["." + suffix.lower()] = opened.read() if opened else b""
            yield from _unpacked(archive, name, sample, problems, nsfw)
    except (tarfile.TarError, OSError, EOFError) as error:
        problems.add(archive, f"torn archive: {error}")


def _unpacked(archive: Path, name: str, sample: dict[str, bytes], problems: Problems, nsfw: bool) -> Iterator[Item]:
    suffix = next((s for s in sample if s in PICTURES), None)
    if suffix is None:
        if name:
            problems.add(f"{archive.name}, {name[:120]}", "no picture")
        return
    # only the last part of the name: the path is a label here and is never opened
    path = archive / (name.replace("\\", "/").rpartition("/")[2] + suffix)
    item = _item(path, sample.get(".json", b""), sample.get(".txt", b""), problems, nsfw, sample[suffix])
    if item:
        yield item


def _item(
    path: Path, facts: bytes, text: bytes, problems: Problems, nsfw: bool, data: bytes | None = None
) -> Item | None:
    row: Any = {}
    if facts:
        try:
            row = json.loads(facts)
        except (ValueError, RecursionError):
            problems.note(path, "its .json is torn")
    if not isinstance(row, dict):
        row = {}
    if row.get("status") not in {None, "success"}:
        problems.add(path, f"not downloaded: {str(row.get('error_message') or row['status'])[:120]}")
        return None
    if not nsfw and str(row.get("NSFW", "")).upper() == "NSFW":
        problems.add(path, "marked NSFW")
        return None
    caption = text.decode("utf-8-sig", "replace").strip() or str(row.get("caption") or "").strip()
    known = str(row.get("LICENSE") or "").strip("? ")
    return Item(
        path,
        text=" ".join(clean(caption).split()),
        license=clean(known) or "unknown (the picture's own)",
        origin=f"LAION-Face {row.get('SAMPLE_ID') or row.get('key') or path.stem}",
        data=data,
    )


def sample_metadata(folder: str | Path, target: str | Path, count: int, seed: int = 0) -> int:
    """Draw `count` rows of `laion_face_part_*.parquet` into one parquet file, evenly over all parts; how many there
    were to draw.

    The same seed draws the same rows. One row group is in memory at a time. Many of the addresses are dead: draw
    more than you need. Raises `MissingExtra` without pyarrow, `UsageError` when there is no metadata.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("reading LAION's metadata needs pyarrow: pip install 'likeness[data]'") from None
    files = sorted(Path(folder).glob("*.parquet"))
    if not files:
        raise UsageError(f"no .parquet files in {folder}: give the folder that convert_parquet.py has written")
    try:
        total = sum(pq.ParquetFile(f).metadata.num_rows for f in files)
        chosen = sorted(random.Random(seed).sample(range(total), min(count, total)))
        done, start = 0, 0
        with atomic_path(target) as temporary:
            writer = None
            for file in map(pq.ParquetFile, files):
                for group in range(file.num_row_groups):
                    rows = file.metadata.row_group(group).num_rows
                    wanted = []
                    while done < len(chosen) and chosen[done] < start + rows:
                        wanted.append(chosen[done] - start)
                        done += 1
                    start += rows
                    if not wanted and writer is not None:
                        continue
                    table = file.read_row_group(group).take(pa.array(wanted, pa.int64())).replace_schema_metadata(None)
                    writer = writer or pq.ParquetWriter(temporary, table.schema)
                    writer.write_table(table.cast(writer.schema))
            if writer is None:
                raise UsageError(f"the metadata in {folder} is empty")
            writer.close()
    except pa.ArrowException as error:
        raise UsageError(f"cannot read the metadata in {folder}: {str(error).splitlines()[0]}") from None
    return total
