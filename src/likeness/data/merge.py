"""Several prepared folders as one: equal pictures once, clashing names renamed, everything that was said kept.

The result is a pure function of the members and the options, row order included. A merge that is killed goes on where
it was when it is called again, and gives the same bytes; until `metadata.jsonl` appears, last and at once, the output
is no prepared folder. Pictures are hard links where the file system has them, else copies.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import write_json
from ..records import FaceRecord
from .columns import Columns
from .manifest import Manifest, Note, revealing_first
from .merge_rows import as_texts, joined
from .merge_state import State
from .names import portable
from .paths import existing
from .shard import Shard
from .writers import only_writer

REPORT = "merge.json"
STATE = ".merge"
EXAMPLES = 10
BATCH = 64  # pictures hashed between two writes of the journal

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class MergeConfig:
    """How to merge. `captions`: whose text a picture of several members keeps, "first" or "longest"; the others' go to
    `other_texts`. `equal`: pictures with the same bytes become one ("fold") or stay ("keep"). `link`: "auto", "hard",
    "copy". `split` and `shard` take only those rows, to make a folder of a part.
    """

    captions: str = "first"
    equal: str = "fold"
    link: str = "auto"
    split: str | None = None
    shard: str | None = None

    def __post_init__(self) -> None:
        allowed = {"captions": ("first", "longest"), "equal": ("fold", "keep"), "link": ("auto", "hard", "copy")}
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} {getattr(self, name)!r}: choose from {', '.join(choices)}")
        if self.shard is not None:
            Shard.parse(self.shard)


@dataclass
class MergeReport:
    """What became of the members' rows; the same for an undisturbed and a resumed merge."""

    output: str
    members: list[dict[str, Any]] = field(default_factory=list)  # folder, rows, pictures that came from it first
    pictures: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    as_text: list[str] = field(default_factory=list)  # columns of mixed kinds, turned into text

    def add(self, kind: str, example: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        shown = self.examples.setdefault(kind, [])
        if len(shown) < EXAMPLES:
            shown.append(example)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def merge(
    members: Sequence[str | Path],
    output: str | Path,
    config: MergeConfig | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> MergeReport:
    """Merge prepared folders into `output`, which must be empty, or hold an unfinished or finished merge of the same.

    Rows without a usable picture are left out and counted. Raises `UsageError` for a member without a table, an output
    that holds something else, or a picture that changes meanwhile.
    """
    config = config or MergeConfig()
    folders, output = [Path(m) for m in members], Path(output)
    signature = _signature(folders, output, config)
    with only_writer(output):
        done = _finished(output, signature)
        if done is None:
            done = _merge(folders, output, config, signature, progress)
        shutil.rmtree(output / STATE, ignore_errors=True)
    return done


def _merge(folders: list[Path], output: Path, config: MergeConfig, signature: str, progress: Progress) -> MergeReport:
    (output / STATE).mkdir(exist_ok=True)
    with contextlib.closing(State(output / STATE / "state.sqlite")) as state:
        if state.fact("signature") not in (None, signature):
            for name, _, _, _ in state.placed():  # links that an earlier, other plan made
                (output / name).unlink(missing_ok=True)
            state.set_fact("plan", "")
        state.set_fact("signature", signature)
        if not state.fact("plan"):
            report = MergeReport(str(output))
            _read(folders, state, report, config, progress)
            with state.changing():
                _plan(folders, state, report, config)
                state.set_fact("plan", json.dumps(report.to_dict()))
        report = MergeReport(**json.loads(state.fact("plan") or "{}"))
        report.output = str(output)
        _place(state, output, config, progress)

        def rows() -> Iterator[FaceRecord]:
            for name, _, sha, record in state.placed():
                row = as_texts(record.to_dict(), report.as_text)
                yield FaceRecord.from_dict(row | {"file_name": name, "sha256": sha})

        Manifest(output).write(revealing_first(rows), wait=None)
        write_json(output / REPORT, {"signature": signature} | report.to_dict())
    return report


def _signature(folders: list[Path], output: Path, config: MergeConfig) -> str:
    """What the result depends on, but for the pictures themselves; also checks that it can be done."""
    if not folders:
        raise UsageError("nothing to merge: name the folders")
    real, tables = [], []
    for folder in folders:
        manifest = Manifest(folder)
        if not manifest.exists():
            raise UsageError(f"{folder} has no metadata.jsonl: give folders that `likeness data prepare` made")
        table = manifest.path if manifest.path.is_file() else folder / "metadata.csv"
        status = table.stat()
        real.append(os.path.realpath(folder))
        tables.append([real[-1], status.st_size, status.st_mtime_ns])
    if len(set(real)) < len(real):
        raise UsageError("a folder is named twice")
    target = os.path.realpath(output)
    if any(os.path.commonpath([target, r]) in (target, r) for r in real):
        raise UsageError(f"{output} holds a member or lies in one: choose another output folder")
    return json.dumps({"members": tables, "config": asdict(config)}, sort_keys=True)


def _finished(output: Path, signature: str) -> MergeReport | None:
    """The report of this very merge if it is done. Raises `UsageError` for an output that holds anything else."""
    try:
        found = json.loads((output / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if isinstance(found, dict) and found.pop("signature", None) == signature and (output / "metadata.jsonl").is_file():
        return MergeReport(**found)
    if not (output / STATE).is_dir() and any(not p.name.startswith(".") for p in output.iterdir()):
        raise UsageError(f"{output} is not empty: choose another output folder, or merge it as a member into a new one")
    return None


def _read(folders: list[Path], state: State, report: MergeReport, config: MergeConfig, progress: Progress) -> None:
    """Hash every member's pictures. Done again from the start after a kill, but hashed files are known by then."""
    state.start_over()
    total = sum(Manifest(folder).count() for folder in folders)
    done = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for member, folder in enumerate(folders):

            def note(note: Note) -> None:
                report.add({"bad": "bad row"}.get(note.kind, f"{note.kind} row"), f"{note.where}: {note.reason}")

            rows, records = 0, Manifest(folder).records(note)
            while batch := list(islice(records, BATCH)):
                rows += len(batch)
                chosen = [r for r in batch if config.split is None or r.split == config.split]
                found = [_stat(folder, record) for record in chosen]
                known = [f if isinstance(f, str) else state.known_hash(str(f[0]), f[1]) for f in found]
                missing = [f for f, k in zip(found, known, strict=True) if k is None and not isinstance(f, str)]
                hashes = iter(list(pool.map(lambda f: _sha256(f[0]), missing)))
                with state.changing():
                    for record, f, k in zip(chosen, found, known, strict=True):
                        if isinstance(f, str):
                            report.add("missing picture", f"{folder}: {record.file_name}: {f}")
                            continue
                        sha = k or next(hashes)
                        if not k:
                            state.remember_hash(str(f[0]), f[1], sha)
                        same = sha if config.equal == "fold" else f"{sha} {portable(record.file_name)}"
                        state.add(member, sha, same, f[0], record)
                done += len(batch)
                progress("hashing", done, max(total, done))
            report.members.append({"folder": str(folder), "rows": rows, "pictures": 0})


def _stat(folder: Path, record: FaceRecord) -> tuple[Path, os.stat_result] | str:
    """The record's file, links resolved, and its status; or the reason why it cannot be used."""
    try:
        path = Path(os.path.realpath(existing(folder, record.file_name)))
        status = path.stat()
        return (path, status) if status.st_size else "an empty file"
    except (UsageError, OSError) as error:
        return str(error)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plan(folders: list[Path], state: State, report: MergeReport, config: MergeConfig) -> None:
    """Give every picture its row and its name."""
    columns = Columns()
    state.data.execute("delete from names")
    for group in state.groups():
        seq, member, sha, source, first = group[0]
        name = state.name_for(first.file_name, f"{sha} {seq}", sha)

        def example(name: str = name, first: FaceRecord = first, member: int = member) -> str:
            return f"{name} ({folders[member]}: {first.file_name})"

        if name != portable(first.file_name):
            report.add("name clash", example())
        elif name != first.file_name:
            report.add("renamed: the name means a split to load_dataset", example())
        if len(group) > 1:
            report.counts["equal picture"] = report.counts.get("equal picture", 0) + len(group) - 1
            report.examples.setdefault("equal picture", [])
            if len(report.examples["equal picture"]) < EXAMPLES:
                others = ", ".join(f"{folders[g[1]]}: {g[4].file_name}" for g in group[1:])
                report.examples["equal picture"].append(f"{example()} = {others}")
        row = joined([g[4] for g in group], config.captions, lambda kind, said=example: report.add(kind, said()))  # type: ignore
        columns.add(row.to_dict())
        state.place(seq, name, source, sha, replace(row, file_name=name, sha256=sha))
    if config.shard:
        state.drop_but(Shard.parse(config.shard).range(state.count()))
    for member, count in state.by_member():
        report.members[member]["pictures"] = count
    report.pictures = state.count()
    report.as_text = sorted(columns.mixed())


def _place(state: State, output: Path, config: MergeConfig, progress: Progress) -> None:
    """Link or copy the pictures. One that is there is whole: it came by a rename, from this plan."""
    incoming = output / STATE / "incoming"
    total, copied = state.count(), False
    for done, (name, source, sha, _) in enumerate(state.placed(), 1):
        target = output / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            incoming.unlink(missing_ok=True)
            try:
                copied |= _bring(Path(source), incoming, config.link)
            except OSError as error:
                raise UsageError(f"cannot bring {source} to {output}: {error.strerror or error}") from None
            status = os.stat(source)
            if state.known_hash(source, status) != sha:
                state.set_fact("signature", "")  # so that the next run makes a new plan
                raise UsageError(f"{source} has changed since the merge began: run it again")
            os.replace(incoming, target)
        progress("linking", done, total)
    if copied:
        os.sync()  # one for all: a table must not outlive a power cut that its pictures do not


def _bring(source: Path, target: Path, link: str) -> bool:
    """Whether it was a copy."""
    if link != "copy":
        try:
            os.link(source, target)
            return False
        except OSError:
            if link == "hard":
                raise
    shutil.copyfile(source, target)
    return True
