"""Names from tables and archives -> paths that stay in their folder; the walk that finds pictures, links unfollowed.

A csv or jsonl is somebody else's text: `../../etc/passwd`, `/etc/passwd`, a link that leads out, or a link to itself
must never be opened. Everything that turns a name into a path goes through here.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import UsageError
from .compact import Names

# What Pillow opens and people use; anything else in a folder is reported and left alone.
PICTURES = frozenset(".jpg .jpeg .jpe .jfif .png .webp .bmp .tif .tiff .gif .avif .jp2 .heic .heif .ppm .pgm".split())
# What lies beside pictures and is no mistake.
SIDECARS = frozenset(
    ".txt .json .jsonl .csv .tsv .parquet .md .html .pdf .license .zip .tar .gz .tgz .7z .py .sh .yaml .yml .arrow"
    " .lock .sha256 .md5 .mat .pts .dat .pth .npy .npz".split()
)
FOLDER, MISSING, SPECIAL = "is a folder", "no such file", "not a regular file (a pipe, socket or device)"
DRIVE = re.compile(r"^[A-Za-z]:[/\\]")


def inside(root: str | Path, name: str, *, follow_links: bool = False) -> Path:
    """The path of `name` under `root`; it need not exist.

    A Windows `images\\1.jpg` is read as `images/1.jpg` unless a file has that very name. Raises `UsageError` for an
    empty or absolute name, one that climbs out of the folder, a link that leads out (unless `follow_links`) and a
    circle of links.
    """
    path = _joined(root, name)
    reason = unusable(path)
    if reason in {None, FOLDER, MISSING, SPECIAL}:
        reason = None if follow_links or _under(root, path) else "leads out of its folder through a link"
    if reason:
        raise UsageError(f"{_shown(name)}: {reason}")
    return path


def existing(root: str | Path, name: str, *, follow_links: bool = False) -> Path:
    """`inside`, of a file that is there. Raises `UsageError` for a missing file, a folder, a pipe or a device."""
    path = _joined(root, name)
    reason = unusable(path)
    if not reason and not follow_links and not _under(root, path):
        reason = "leads out of its folder through a link"
    if reason:
        raise UsageError(f"{_shown(name)}: {reason}")
    return path


def _joined(root: str | Path, name: str) -> Path:
    """`name` under `root` by its letters alone; no link is looked at yet."""
    if not name.strip() or "\0" in name:
        raise UsageError(f"{_shown(name)}: not a file name")
    if name[0] in "/\\" or DRIVE.match(name):
        raise UsageError(f"{_shown(name)}: an absolute path; names are relative to their folder")
    if ".." in re.split(r"[/\\]", name):
        raise UsageError(f"{_shown(name)}: leads out of its folder")
    path = Path(root) / name
    return Path(root) / name.replace("\\", "/") if "\\" in name and not os.path.lexists(path) else path


def _shown(name: str) -> str:
    return repr(name if len(name) <= 120 else name[:117] + "...")


def find(root: str | Path, *names: str, follow_links: bool = False) -> Path:
    """The first of these names that is `existing`; the error is the first one's."""
    error: UsageError | None = None
    for name in names:
        try:
            return existing(root, name, follow_links=follow_links)
        except UsageError as trouble:
            error = error or trouble
    raise error or UsageError("no file name")


def unusable(path: Path) -> str | None:
    """Why a path cannot be read as a file: missing, a folder, a device, a circle of links; None if it can."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        return _reason(error)
    if stat.S_ISDIR(mode):
        return FOLDER
    return None if stat.S_ISREG(mode) else SPECIAL


def walk(root: str | Path, *, follow_links: bool = False) -> Iterator[tuple[Path, str | None]]:
    """Every file below `root` in the order of names, each with the reason why it cannot be used, or None.

    Hidden files and macOS leftovers are passed over. Linked folders are reported, and walked only with `follow_links`,
    each real folder once. One folder's names are in memory at a time. Raises `UsageError` when `root` is not a readable
    folder.
    """
    root = Path(root)
    try:
        stack = [(root, _names(root))]
    except OSError as error:
        raise UsageError(f"cannot read the folder {root}: {error.strerror}") from None
    seen = {os.path.realpath(root)}
    while stack:
        folder, names = stack[-1]
        if not names:
            stack.pop()
            continue
        path = folder / names.pop()
        reason, link = unusable(path), path.is_symlink()
        if link and not follow_links and not _under(root, path):
            reason = "a link that leads out of the folder"
        elif reason == FOLDER:
            if link and not follow_links:
                reason = "a linked folder, not followed"
            elif (real := os.path.realpath(path)) in seen:
                continue
            else:
                seen.add(real)
                try:
                    stack.append((path, _names(path)))
                    continue
                except OSError as error:
                    reason = _reason(error)
        yield path, reason


def pictures(root: str | Path, *, follow_links: bool = False) -> Iterator[tuple[Path, str | None]]:
    """`walk` for pictures: files that lie beside them are passed over, files of any other kind come with a reason."""
    for path, reason in walk(root, follow_links=follow_links):
        suffix = path.suffix.lower()
        if suffix in PICTURES:
            yield path, reason
        elif suffix not in SIDECARS and path.name.lower() not in {"license", "readme", "thumbs.db"}:
            yield path, reason or f"not a picture by its name ({suffix or 'no suffix'})"


def _names(folder: Path) -> Names:
    """What is in a folder, backwards: the walk takes names from the end, and so lets go of them."""
    names = Names()
    for name in sorted((n for n in os.listdir(folder) if not n.startswith((".", "__MACOSX"))), reverse=True):
        names.append(name)
    return names


def _under(root: str | Path, path: Path) -> bool:
    top = os.path.realpath(root)
    return os.path.commonpath([top, os.path.realpath(path)]) == top


def _reason(error: Exception) -> str:
    code = getattr(error, "errno", None)
    if code == errno.ELOOP:
        return "a link that goes round in a circle"
    if code in {errno.ENOENT, errno.ENOTDIR}:
        return MISSING
    if code == errno.ENAMETOOLONG:
        return "the name is too long"
    return getattr(error, "strerror", None) or str(error)
