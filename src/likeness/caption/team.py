"""Captioning by several people: who does which rows, and one folder of what they send back.

    plan("faces", ["anna", "ben"], "api")     ranges and commands, in captions.plan.json
    merge("faces", ["from-anna", "ben.jsonl"]) everything that came, folded in; who must redo what

What a member sends is kept under `.captions/members/<name>/`, line by line once, however often it is sent. Where two
captioned the same picture, the newest text counts, or that of the member whom somebody prefers.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..config import suggest
from ..data.manifest import Manifest, Note, Tell, hashed, lines, parse, tally
from ..data.names import portable
from ..data.shard import Shard
from ..data.writers import only_writer
from ..errors import LikenessError, UsageError
from ..files import atomic_path, write_json
from ..records import FaceRecord
from .finish import Coverage, Progress, finish
from .index import AGAIN, MISSING, PREFERRED, Index, label
from .ledger import CAPTIONS, HIDDEN, MEMBERS, Range, Source, checked, found, rows, sources

PLAN = "captions.plan.json"
NEWEST = "newest"  # nobody is preferred
EXAMPLES = 20
TURN = 60.0  # seconds to wait for another merge


@dataclass(frozen=True)
class Member:
    """A member's share: rows from `start` up to `end`, and the command that captions them."""

    name: str
    start: int
    end: int
    command: str


@dataclass(frozen=True)
class Plan:
    """Who does what. `order` is a fingerprint of the table's names in their order: ranges mean nothing in another."""

    rows: int
    order: str
    captioner: str
    options: tuple[str, ...]
    members: tuple[Member, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Redo:
    """What a member still has to do: `rows` of the range have no caption."""

    name: str
    start: int
    end: int
    rows: int
    command: str


@dataclass
class MergeReport:
    """What a merge found. `added`: lines that are new, by member; `overlaps`: pictures that several files caption, by
    the files' names; `conflicts`: those of them whose texts differ, `examples` the first; `redo`: who must do what;
    `reordered`: the table is another than the plan's.
    """

    coverage: Coverage
    added: dict[str, int] = field(default_factory=dict)
    overlaps: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    examples: list[str] = field(default_factory=list)
    redo: list[Redo] = field(default_factory=list)
    reordered: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"coverage": self.coverage.to_dict()}


def plan(
    folder: str | Path, names: Sequence[str], captioner: str, options: Sequence[str] = (), write: bool = True
) -> Plan:
    """Divide the table's rows among members, sizes within one row; written to `captions.plan.json`.

    `options`: further words of everybody's command. Raises `UsageError` without a table, without members, for one named
    twice, and for more members than rows.
    """
    if not names or len(set(names)) < len(names) or any(not name.strip() for name in names):
        raise UsageError(f"members {', '.join(names) or '(none)'}: give each one a name of their own")
    order = Order()
    for record in Manifest(folder).records():
        order.add(record)
    if order.rows < len(names):
        raise UsageError(f"{order.rows:,} rows are too few for {len(names)} members")
    shares = [Shard(i, len(names)).range(order.rows) for i in range(1, len(names) + 1)]
    members = tuple(
        Member(name, s.start, s.stop, command(folder, captioner, options, Range(s.start, s.stop)))
        for name, s in zip(names, shares, strict=True)
    )
    made = Plan(order.rows, order.digest(), captioner, tuple(options), members)
    if write:
        write_json(Path(folder) / PLAN, made.to_dict())
    return made


def read_plan(folder: str | Path) -> Plan | None:
    """The folder's plan; None if there is none. Raises `UsageError` for a damaged one."""
    path = Path(folder) / PLAN
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
        members = tuple(Member(**member) for member in values.pop("members"))
        return Plan(**values | {"options": tuple(values["options"]), "members": members})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"cannot read {path}: {error}. Write it again with `likeness caption plan`.") from None


def merge(
    folder: str | Path,
    members: Sequence[str | Path] = (),
    prefer: str | None = None,
    progress: Progress = lambda done, total: None,
) -> MergeReport:
    """Take in what members sent, fold it, and find what is missing.

    `members`: folders, or files named `captions.<start>-<end>.jsonl`; without any, only the folder's own count.
    `prefer`: whose caption counts where several differ, from now on; "newest" takes that back. Raises `UsageError`
    without a table, for a member without such files, and for one preferred who has sent nothing.
    """
    home, made = Path(folder), read_plan(folder)
    if not Manifest(home).exists():
        raise UsageError(f"{folder} has no metadata.jsonl: give a folder that `likeness data prepare` made")
    notes: Counter[str] = Counter()
    sent = [(path, _sent(home, Path(path))) for path in members]
    added: dict[str, int] = {}
    taken: set[tuple[str, str]] = set()
    with only_writer(home / HIDDEN / MEMBERS, TURN):
        for path, files in sent:
            for source in files:
                who = _owner(Path(path), source, home, made, taken)
                added[who] = added.get(who, 0) + take(source, home, who, tally(notes))
        if prefer is not None:
            _prefer(home, prefer)
        tasks = Tasks(home, made)
        own = made is not None and "--only-missing" in made.options
        report = MergeReport(finish(home, progress, tasks.add, own), added)
        report.coverage.notes = dict(notes + Counter(report.coverage.notes))
        report.redo, report.reordered = tasks.redo(), tasks.reordered
        _overlaps(home, report)
    return report


def take(source: Source, home: Path, who: str, tell: Tell) -> int:
    """Add a member's lines to what they sent before; how many are new. All of the file, or nothing. 8 bytes a line."""
    target = home / HIDDEN / MEMBERS / who / source.path.name
    known, new = array("Q"), 0
    with atomic_path(target) as temporary, open(temporary, "wb", buffering=1 << 20) as out:
        if target.exists():
            for line in _usable(target, source.kind, home, lambda note: None):
                known.append(hashed(line.decode()))
                out.write(line + b"\n")
        before = np.sort(np.frombuffer(known, np.uint64)) if known else np.empty(0, np.uint64)
        for line in _usable(source.path, source.kind, home, tell):
            key = np.uint64(hashed(line.decode()))
            at = int(np.searchsorted(before, key))
            if at == len(before) or before[at] != key:
                out.write(line + b"\n")
                new += 1
    return new


def _usable(path: Path, kind: str, home: Path, tell: Tell) -> Iterator[bytes]:
    """Lines of a file of outcomes, without their ends; those that cannot be used are told."""
    try:
        with open(path, "rb", buffering=1 << 20) as file:
            for number, raw in lines(file, path.stat().st_size):
                try:
                    checked(parse(raw), kind, home)
                    yield raw.strip()
                except LikenessError as error:
                    tell(Note(f"{path}, line {number}", "bad" if raw.endswith(b"\n") else "torn", str(error)))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.") from None


class Order:
    """A fingerprint of names in their order."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, record: FaceRecord) -> None:
        self.rows += 1
        self._hash.update(record.file_name.encode("utf-8", "surrogatepass") + b"\n")

    def digest(self) -> str:
        return self._hash.hexdigest()


class Tasks:
    """Rows without a caption, by the member who was to do them; without a plan, by nobody in particular."""

    def __init__(self, folder: Path, made: Plan | None) -> None:
        self.folder, self.plan = folder, made
        self.order = Order()
        self._open: dict[int, list[int]] = {}  # member -> first, last, rows

    def add(self, position: int, record: FaceRecord, state: str) -> None:
        self.order.add(record)
        if state in (MISSING, AGAIN):
            spans = self.plan.members if self.plan else ()
            who = next((i for i, m in enumerate(spans) if m.start <= position < m.end), -1)
            task = self._open.setdefault(who, [position, position, 0])
            task[1:] = [position, task[2] + 1]

    @property
    def reordered(self) -> bool:
        """Whether the ranges of the plan are those of another table."""
        return self.plan is not None and self.plan.order != self.order.digest()

    def redo(self) -> list[Redo]:
        """Tight ranges; in another table than the plan's, whole shares: a member's own files know the rest."""
        found = []
        captioner, options = (self.plan.captioner, self.plan.options) if self.plan else (_captioner(self.folder), ())
        for who, (first, last, count) in sorted(self._open.items()):
            member = self.plan.members[who] if self.plan and who >= 0 else None
            span = Range(member.start, member.end) if member and self.reordered else Range(first, last + 1)
            name = member.name if member else "anybody"
            found.append(Redo(name, span.start, span.end, count, command(self.folder, captioner, options, span)))
        return found


def command(folder: str | Path, captioner: str, options: Sequence[str], span: Range) -> str:
    """The words that caption these rows, for a shell."""
    words = ["likeness", "caption", "run", str(folder), "--captioner", captioner, *options]
    return shlex.join([*words, "--start", str(span.start), "--end", str(span.end)])


def _overlaps(home: Path, report: MergeReport) -> None:
    with Index.read(home) as index:
        for clash in index.clashes():
            names = " and ".join(sorted(clash.files))
            report.overlaps[names] = report.overlaps.get(names, 0) + 1
            report.conflicts += clash.differ
            if clash.differ and len(report.examples) < EXAMPLES:
                report.examples.append(f"{clash.name}: {names}, kept {clash.files[-1]}")


def _captioner(folder: Path) -> str:
    """Whose captions a folder has, for want of a plan: that of the first line."""
    for source in sources(folder):
        if source.kind == CAPTIONS:
            for _, row in rows(source, folder, lambda note: None):
                return str((row.get("caption") or {}).get("captioner") or "api")
    return "api"


def _sent(home: Path, path: Path) -> list[Source]:
    """The files of outcomes at a member's path. Raises `UsageError` if there are none."""
    if path.resolve() == home.resolve() or path.resolve().parent == home.resolve():
        raise UsageError(f"{path} lies in {home} itself and counts already: name what other members sent, or nothing")
    files = found(path) if path.exists() else []
    if not files:
        raise UsageError(f"{path}: no file named captions.<start>-<end>.jsonl there; give a member's folder or file")
    return files


def _owner(path: Path, source: Source, home: Path, made: Plan | None, taken: set[tuple[str, str]]) -> str:
    """Who sent a file: of a folder its name; of a file the member whose share it is, else that of the folder it is in.

    A member's copy of this folder has the same name, so that the folder above it tells more.
    """
    place = path.resolve() if path.is_dir() else path.resolve().parent
    name = place.name if place.name != home.resolve().name else place.parent.name
    share = [
        m.name for m in (made.members if made else ()) if m.start <= source.span.start and source.span.end <= m.end
    ]
    if share and path.is_file() and (share[0], source.path.name) not in taken:
        name = share[0]
    taken.add((name, source.path.name))
    return portable("".join(c if c.isalnum() or c in "-_" else "-" for c in name) or "member")


def _prefer(home: Path, name: str) -> None:
    known = sorted({label(source) for source in sources(home) if source.kind == CAPTIONS})
    if name != NEWEST and name not in known:
        raise UsageError(f"nobody called {name!r} has sent captions{suggest(name, [*known, NEWEST])}")
    write_json(home / HIDDEN / PREFERRED, [] if name == NEWEST else [name])
