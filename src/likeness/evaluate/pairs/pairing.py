"""Which generated picture belongs to which real one: by name, in one folder or in a folder for each epoch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ...data.paths import PICTURES, walk
from ...errors import UsageError
from ...files import read_jsonl
from ...generate.batch import read_rows
from ...provenance import read

EPOCH = re.compile(r"(epoch|step|iteration|iter|checkpoint)s?[-_ ]?(\d+)", re.IGNORECASE)
METADATA = "metadata.jsonl"


@dataclass(frozen=True)
class Pair:
    """A generated picture, the real one of that name, and the words that it was drawn from, where they are known."""

    name: str
    generated: Path
    real: Path
    text: str = ""


@dataclass(frozen=True)
class Matched:
    """The pairs in the order of names, and the names that have no partner."""

    pairs: tuple[Pair, ...]
    only_generated: tuple[str, ...]
    only_real: tuple[str, ...]


def match(generated: str | Path, real: str | Path) -> Matched:
    """Pair the pictures below two folders by their names without suffix: `a.png` belongs to `a.jpg`.

    Where a folder holds a name twice, the path below the folder counts in both: `anna/1.png` belongs to `anna/1.jpg`.
    Raises `UsageError` for a folder that is missing or holds no picture, for names that are still not unique, and when
    no name is in both.
    """
    folders = [Path(generated), Path(real)]
    found = [_pictures(folder) for folder in folders]
    plain = all(len({path.stem for path in paths}) == len(paths) for paths in found)
    ours, theirs = (_named(folder, paths, plain) for folder, paths in zip(folders, found, strict=True))
    names = [name for name in ours if name in theirs]
    if not names:
        raise UsageError(
            f"no picture in {generated} has the name of one in {real} "
            f"({next(iter(ours))!r} there, {next(iter(theirs))!r} here): pairs are found by name, without the suffix"
        )
    return Matched(
        tuple(Pair(name, ours[name], theirs[name]) for name in names),
        tuple(name for name in ours if name not in theirs),
        tuple(name for name in theirs if name not in ours),
    )


def epochs(folder: str | Path) -> dict[int | None, Path]:
    """Sub-folders that are named for epochs or steps (`epoch_3`, `step-500`, `checkpoint-2000`), by number, ascending.

    The folder itself, under None, when there are none. Raises `UsageError` for two of one number.
    """
    found: dict[int, Path] = {}
    for path in sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []:
        if (named := EPOCH.fullmatch(path.name)) and path.is_dir():
            if (number := int(named[2])) in found:
                raise UsageError(f"{found[number]} and {path} are both number {number}: rename one")
            found[number] = path
    return {**dict(sorted(found.items()))} or {None: Path(folder)}


def with_texts(
    pairs: Sequence[Pair], generated: str | Path, real: str | Path, prompts: str | Path | None = None
) -> list[Pair]:
    """The pairs with the words that each was drawn from.

    They come from `prompts`, a table with the columns file_name and prompt, if it is given; else from the generated
    folder's metadata.jsonl, from the recipe in the picture, or from the real folder's metadata.jsonl, whichever has
    them first. Raises `UsageError` for a table without names of files.
    """
    if prompts:
        told = _by_name((row.file_name or "", row.prompt) for row in read_rows(prompts))
        if not told:
            raise UsageError(f"{prompts} has no column file_name: it must say which picture a prompt is for")
        return [replace(pair, text=told.get(pair.name, "")) for pair in pairs]
    ours, theirs = _metadata(generated), _metadata(real)
    return [
        replace(pair, text=ours.get(pair.name) or _recipe(pair.generated) or theirs.get(pair.name, ""))
        for pair in pairs
    ]


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}: give a folder of pictures")
    found = [path for path, reason in walk(folder) if reason is None and path.suffix.lower() in PICTURES]
    if not found:
        raise UsageError(f"no pictures in {folder}")
    return found


def _named(folder: Path, paths: Sequence[Path], plain: bool) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for path in paths:
        name = path.stem if plain else path.relative_to(folder).with_suffix("").as_posix()
        if name in named:
            raise UsageError(f"{named[name]} and {path} have one name: keep one of them")
        named[name] = path
    return dict(sorted(named.items()))


def _by_name(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Texts by the path of their picture without suffix, and by its name alone where only one picture has it."""
    paths = {PurePosixPath(name.replace("\\", "/")).with_suffix(""): text for name, text in rows if name and text}
    times = Counter(path.name for path in paths)
    alone = {path.name: text for path, text in paths.items() if times[path.name] == 1}
    return alone | {str(path): text for path, text in paths.items()}


def _metadata(folder: str | Path) -> Mapping[str, str]:
    """Texts by the name of their picture, of a folder that has a list of them."""
    path = Path(folder) / METADATA
    rows = read_jsonl(path) if path.is_file() else []
    return _by_name((str(row.get("file_name") or ""), str(row.get("text") or "")) for row in rows)


def _recipe(picture: Path) -> str:
    try:
        return str(read(picture)["request"].get("prompt", ""))
    except UsageError:  # not drawn by us, or broken, which the measuring tells
        return ""
