"""Pictures of one or several sources -> a folder of faces: images/, metadata.jsonl, report.json, a contact sheet.

Decode, find, cut, sift, write: on all cores, in bounded memory. What comes out is a pure function of the sources and
the recipe: worker processes only look at pictures, and this process takes their results in the order of the sources,
decides about near-duplicates, and commits. A killed run goes on where it was when it is called again.

    prepare([Feed("ffhq", "data/ffhq")], "data/ready", PrepareConfig(detector="haar"))

A script that calls this needs `if __name__ == "__main__":`, as everything that starts processes does.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import atomic_path, write_json
from ..records import FaceRecord
from . import sheet
from .crew import Crew
from .cutting import Outcome, Task
from .filters import Duplicates
from .journal import Journal, Tally
from .manifest import Appender, Manifest
from .recipe import PrepareConfig
from .report import Report, located, versions
from .sources import Item, Reader, open_source
from .split import HASH, perceptual
from .stems import Stems, split_origin
from .writers import only_writer

REPORT, LEFT_OUT = "report.json", "dropped.jsonl"
SHEET = ".report/contact-sheet.png"  # hidden, or readers of picture folders would take it for a face
STATE, SETTINGS, JOURNAL = ".prepare", "settings.json", "journal.jsonl"
FORM = 1  # of the work itself: an unfinished folder of another form cannot be gone on with

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Feed:
    """A source to prepare: its name in `SOURCES`, where it lies, and the options of its reader."""

    name: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)

    def open(self) -> Reader:
        return open_source(self.name, self.path, **self.options)


def prepare(
    feeds: Sequence[Feed],
    output: str | Path,
    config: PrepareConfig | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    limit: int | None = None,
    against: Sequence[str | Path] = (),
) -> Report:
    """Prepare sources into `output`, which must be empty, or hold the same preparation, finished or not.

    workers: processes; None: one a core, 0: none but this one. limit: so many items of each source.
    against: prepared folders whose pictures count as seen, for near-duplicates. progress: (stage, done, total), a total
    of 0 is unknown. Bad pictures and rows are in the report, never an exception. Raises `UsageError` for an output that
    holds anything else, a source without anything to read, one that changed since the run was stopped, and a full disk.
    """
    work = Preparation([*feeds], Path(output), config or PrepareConfig(), limit, [Path(a) for a in against])
    settings = work.settings()
    with only_writer(work.output):
        report = finished(work.output, settings)
        if report is None:
            report = work.run(settings, _cores() if workers is None else workers, progress)
        shutil.rmtree(work.output / STATE, ignore_errors=True)
    return report


def finished(output: Path, settings: dict[str, Any]) -> Report | None:
    """The report of this very preparation if it is done. Raises `UsageError` for an output that holds anything else."""
    report, state = _json(output / REPORT), _json(output / STATE / SETTINGS)
    found = report.get("settings") if report else state
    if found is None:
        if any(not p.name.startswith(".") for p in output.iterdir()):
            raise UsageError(f"{output} is not empty: choose another --output")
        return None
    if found != settings and not report and not _begun(output):
        shutil.rmtree(output / "images", ignore_errors=True)  # at most one picture, of an attempt that came to nothing
        return None
    if found != settings:
        raise UsageError(f"{output} was prepared {_difference(found, settings)}: choose another --output")
    return Report(**report | {"output": str(output)}) if report else None


class Preparation:
    """One call of `prepare`."""

    def __init__(
        self, feeds: list[Feed], output: Path, config: PrepareConfig, limit: int | None, against: list[Path]
    ) -> None:
        if not feeds:
            raise UsageError("nothing to prepare: name a source and its folder")
        if limit is not None and limit < 1:
            raise UsageError("limit is 1 or more")
        self.feeds, self.output, self.config, self.limit, self.against = feeds, output, config, limit, against
        self.readers = [feed.open() for feed in feeds]
        self.names = _prefixes(feeds)
        self.tally, self.counts = Tally(), dict.fromkeys(self.names, 0)
        self.problems: list[list[Any]] = [[] for _ in feeds]
        self.duplicates = Duplicates(config.filters.duplicates) if config.filters.duplicates >= 0 else None

    def settings(self) -> dict[str, Any]:
        """What the result depends on, as plain JSON."""
        target = os.path.realpath(self.output)
        for place in [*(Path(f.path).expanduser() for f in self.feeds), *self.against]:
            real = os.path.realpath(place)
            if place.is_dir() and os.path.commonpath([target, real]) in (target, real):
                raise UsageError(f"{self.output} and {place} lie in each other: choose another --output")
        found = {
            "form": FORM,
            "sources": [[f.name, _place(f.path), {k: v for k, v in f.options.items() if v is not None}]
                        for f in self.feeds],
            "limit": self.limit,
            "against": [_place(a) for a in self.against],
            **asdict(self.config),
        }  # fmt: skip
        return dict(json.loads(json.dumps(found, default=str)))

    def run(self, settings: dict[str, Any], workers: int, progress: Progress | None) -> Report:
        """Do what is left to do."""
        started = time.monotonic()
        state = self.output / STATE
        for left in state.glob("pending-*"):
            shutil.rmtree(left, ignore_errors=True)
        pending = state / f"pending-{secrets.token_hex(4)}"  # a worker that outlives its parent must not write there
        _folder(pending)
        _folder(self.output / "images")
        write_json(state / SETTINGS, settings)
        manifest = Manifest(self.output)
        with contextlib.closing(Journal(state / JOURNAL, manifest.path)) as journal:
            with contextlib.closing(Appender(manifest.path)) as rows:
                self._remember(manifest, journal.done > 0)
                total = self._count(progress)
                tell = progress or _silent
                if total:
                    tell("preparing", journal.done, total)
                with contextlib.closing(Crew(self.config, pending, workers).run(self._tasks(journal))) as results:
                    for task, outcome in results:
                        self._commit(task, outcome, pending, rows, journal)
                        tell("preparing", self.tally.read, total)
            already = journal.done
            return self._finish(manifest, journal, settings, started, workers, already)

    def _remember(self, manifest: Manifest, resumed: bool) -> None:
        """The hashes of pictures that count as seen."""
        if self.duplicates is None:
            return
        for folder in self.against:
            for record in Manifest(folder).records():
                if (value := perceptual(folder, record)) is not None:
                    self.duplicates.add(f"{folder}/{record.file_name}", value)
        for record in manifest.records() if resumed else ():
            self.duplicates.add(record.file_name, int(record.extra[HASH], 16))

    def _items(self) -> Iterator[tuple[int, Item]]:
        """(number of the source, item), in order."""
        for number, reader in enumerate(self.readers):
            for item in islice(reader.items(), self.limit):
                yield number, item
            self.problems[number] = reader.problems()

    def _count(self, progress: Progress | None) -> int:
        """How many items there are; 0 where counting them would mean reading the pictures, or nobody watches."""
        if progress is None:
            return 0
        count = 0
        for feed in self.feeds:
            # a reader of its own: the problems of this reading are told by the other one
            for item in islice(feed.open().items(), self.limit):
                if item.data is not None:
                    return 0
                count += 1
                if count % 1000 == 0:
                    progress("counting", count, 0)
        return count

    def _tasks(self, journal: Journal) -> Iterator[Task]:
        """What is left to do; what is done is counted on the way."""
        stems, entries = Stems(), journal.entries()
        several = len(self.feeds) > 1
        changed = f"{self.output}: the source has changed since this was begun: choose another --output"
        for number, (source, item) in enumerate(self._items()):
            name = self.names[source]
            origin = split_origin(item.origin, self.feeds[source].path)
            stem = stems.take(item, origin[1], name if several else "")
            self.counts[name] += 1
            if number < journal.done:
                entry = next(entries)
                if entry["where"] != located(item.path):
                    raise UsageError(changed)
                self.tally.add(entry)
                continue
            yield Task(number, item, stem, origin)
        if next(entries, None) is not None:
            raise UsageError(changed)

    def _commit(self, task: Task, outcome: Outcome, pending: Path, rows: Appender, journal: Journal) -> None:
        records, gone = [], list(outcome.dropped)
        for number, kept in enumerate(outcome.kept):
            tail = f"-{number + 1}" if len(outcome.kept) > 1 else ""
            name = f"images/{task.stem}{tail}.{self.config.format}"
            match = self.duplicates.check(name, kept.phash) if self.duplicates is not None else None
            if match is not None:
                gone.append(("duplicate", f"{match.distance} bits from {match.key}"))
                (pending / kept.file).unlink()
                continue
            os.replace(pending / kept.file, self.output / name)
            records.append(self._record(task, kept, name))
        if records:
            rows.append(*records)
        self.tally.add(journal.add(task.number, located(task.item.path), len(records), gone, rows.path.stat().st_size))

    def _record(self, task: Task, kept: Any, name: str) -> FaceRecord:
        item, (source, inner) = task.item, task.origin
        extra: dict[str, Any] = {"group": item.group} if item.group else {}
        if inner:
            extra["origin"] = inner
        extra |= {"crop": list(kept.crop), HASH: f"{kept.phash:064x}"}
        return FaceRecord(
            name, item.text, item.attributes, source or None, item.license or None, item.split, kept.sha256, kept.box,
            kept.landmarks, extra=extra,
        )  # fmt: skip

    def _finish(
        self, manifest: Manifest, journal: Journal, settings: dict[str, Any], started: float, workers: int, already: int
    ) -> Report:
        manifest.fold(wait=None)
        with atomic_path(self.output / LEFT_OUT) as temporary, open(temporary, "wb", buffering=1 << 20) as file:
            file.writelines(journal.left_out())
        sheet.save(self.output, self.output / SHEET)
        tally, seconds = self.tally, time.monotonic() - started
        found = [p for problems in self.problems for p in problems]
        report = Report(
            str(self.output), tally.read, tally.kept, dict(tally.dropped.most_common()), tally.examples,
            tally.quarantined,
            [{"where": located(p.where), "reason": located(p.reason), "lost": p.lost} for p in found],
            sum(p.lost for p in found), self.counts, settings, versions(),
            {"seconds": round(seconds, 2), "rate": round((tally.read - already) / max(seconds, 1e-9), 2),
             "workers": workers, "already": already},
        )  # fmt: skip
        os.sync()  # one for all: a report must not outlive a power cut that its pictures do not
        write_json(self.output / REPORT, report.to_dict())
        return report


def _prefixes(feeds: list[Feed]) -> list[str]:
    """A name for each source: its kind's, and a number where there are two of a kind."""
    kinds = [feed.name for feed in feeds]
    return [k if kinds.count(k) == 1 else f"{k}{kinds[: i + 1].count(k)}" for i, k in enumerate(kinds)]


def _place(path: str | Path) -> str:
    """A path that means the same from another folder; a name on a hub stays."""
    expanded = Path(path).expanduser()
    return located(os.path.realpath(expanded) if expanded.exists() else path)


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}. Choose another --output.") from None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _begun(output: Path) -> bool:
    journal = output / STATE / JOURNAL
    return journal.is_file() and journal.stat().st_size > 0


def _difference(old: Any, new: Any, where: str = "") -> str:
    """The first setting that differs, in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *old]:
            if old.get(key) != new.get(key):
                return _difference(old.get(key), new.get(key), f"{where}.{key}" if where else key)
    return f"with {where} {json.dumps(old)[:100]}, not {json.dumps(new)[:100]}" if where else "with other settings"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _silent(stage: str, done: int, total: int) -> None:
    pass
