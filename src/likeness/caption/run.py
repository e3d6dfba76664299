"""Caption a range of a folder: what is missing is asked for, and every outcome is kept the moment it comes.

    report = run("faces", make("labels", {}), RunConfig(start=0, end=14000))

Run again, it does what is still missing and what failed in a way that another try may mend; other failures wait for
`retry_failed`. The table itself is only read: `finish` folds the captions in.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ..data.manifest import Manifest
from ..errors import EngineError, UsageError
from ..files import write_text
from ..records import FaceRecord
from .captioner import Captioner, Estimate, Face, Failure, Outcome, Usage
from .index import AGAIN, CAPTIONED, FAILED, Index
from .ledger import CAPTIONS, HIDDEN, Ledger, Range, claimed, now, when
from .quality import Checks, clean, problem

Progress = Callable[[str, int, int, str], None]
OWN = {"labels", "eye"}  # written by our own grammar: nothing to clean, and as short as the row's labels are


@dataclass(frozen=True)
class RunConfig:
    """Which rows. `start`, `end` or `shard` ("2/5") are positions in the table's order; without them, all of it.

    `retry_failed`: also what failed for good. `overwrite`: also what has a caption; a run of the same range that was
    cut short goes on with it. `only_missing`: only rows whose own text is empty. `min_words`, `language`: see
    `problems.Checks`; without a language, the one that the captioner was asked for.
    """

    start: int | None = None
    end: int | None = None
    shard: str | None = None
    retry_failed: bool = False
    overwrite: bool = False
    only_missing: bool = False
    min_words: int = 8
    language: str | None = None

    def __post_init__(self) -> None:
        self.checks({})  # says what is wrong before anything begins

    def checks(self, facts: dict[str, Any]) -> Checks:
        """For a captioner of those facts: one that was asked for another language than English may use it."""
        language = self.language or ("english" if facts.get("language", "English") == "English" else "any")
        return Checks(self.min_words, language, names=language != "any")  # names are told by English spelling


@dataclass
class RunReport:
    """What a run did. `before`: rows that had a caption, `waiting`: that failed for good earlier, `skipped`: that had a
    text of their own; `failed` counts this run's failures by reason, `again` those that another run tries once more.
    `cost` in US dollars, None where no price is known.
    """

    folder: str
    range: str
    captioner: str
    captions: str
    rows: int = 0
    before: int = 0
    waiting: int = 0
    skipped: int = 0
    captioned: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    again: int = 0
    unanswered: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    requests: int = 0
    cost: float | None = None
    seconds: float = 0.0
    stopped: bool = False

    def paid(self, usage: Usage | None) -> None:
        if usage is not None:
            self.tokens_in += usage.tokens_in
            self.tokens_out += usage.tokens_out
            self.requests += usage.requests
            self.cost = self.cost if usage.cost is None else (self.cost or 0.0) + usage.cost

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Work:
    """The rows of a range that want a caption, given out one at a time; `given` are those without an answer yet."""

    def __init__(self, folder: Path, span: Range, config: RunConfig, index: Index) -> None:
        self.manifest, self.span, self.config, self.index = Manifest(folder), span, config, index
        self.given: dict[str, int] = {}  # name -> tries so far; a captioner's own thread may be adding to it

    def count(self) -> dict[str, int]:
        """How many rows are in which `_case`; one reading of the table, none if every row is wanted."""
        if not len(self.index) and not self.config.only_missing:
            return {"wanted": len(self.span)}
        return Counter(self._case(record) for record in self._records())

    def faces(self, stop: Callable[[], bool]) -> Iterator[Face]:
        for record in self._records():
            if stop():
                return
            if self._case(record) == "wanted":
                self.given[record.file_name] = self._tries(record.file_name)
                yield Face(record, self.manifest.folder / record.file_name, self.manifest.folder)

    def _records(self) -> Iterator[FaceRecord]:
        return islice(self.manifest.records(), self.span.start, self.span.end)

    def _case(self, record: FaceRecord) -> str:
        state = self.index.state(record.file_name)
        if state == CAPTIONED:
            return "before"
        if state == FAILED and not self.config.retry_failed:
            return "waiting"
        return "skipped" if self.config.only_missing and record.text.strip() else "wanted"

    def _tries(self, name: str) -> int:
        row = self.index.row(name) if self.index.state(name) in (AGAIN, FAILED) else None
        tries = row.get("tries", 1) if row else 0
        return tries if isinstance(tries, int) else 1


def run(
    folder: str | Path,
    captioner: Captioner,
    config: RunConfig | None = None,
    progress: Progress = lambda stage, done, total, note: None,
    stop: Callable[[], bool] = lambda: False,
) -> RunReport:
    """Caption what is missing in the range. Once `stop()` is true no more is asked for, and what is under way is kept.

    Raises `UsageError` without a table, for a range that there is not, when another process has rows of it, when the
    folder cannot be written, and when the disk is full; whatever came before is kept.
    """
    config = config or RunConfig()
    home, span = where(folder, config)
    with contextlib.ExitStack() as held:
        held.enter_context(claimed(home, span))
        since = _since(home, span, config.overwrite)
        index = held.enter_context(Index.read(home, since=since))
        work = Work(home, span, config, index)
        counts = work.count()
        wanted = counts.get("wanted", 0)
        report = RunReport(str(folder), str(span), captioner.name, str(home / f"{CAPTIONS}.{span}.jsonl"), len(span))
        report.before, report.waiting, report.skipped = (counts.get(k, 0) for k in ("before", "waiting", "skipped"))
        started = time.monotonic()
        try:
            if wanted:
                ledger = held.enter_context(contextlib.closing(Ledger(home, span)))
                _answers(captioner, work, ledger, report, lambda d, note: progress("captioning", d, wanted, note), stop)
        finally:
            report.seconds = round(time.monotonic() - started, 3)
            report.unanswered = len(work.given)
        report.stopped = stop() and report.captioned + sum(report.failed.values()) < wanted
        if not report.stopped:
            _mark(home, span).unlink(missing_ok=True)
        return report


def estimate(folder: str | Path, captioner: Captioner, config: RunConfig | None = None) -> tuple[Range, Estimate]:
    """The range, and what captioning what is missing there would take; writes nothing."""
    config = config or RunConfig()
    home, span = where(folder, config)
    since = _since(home, span, False) or (float("inf") if config.overwrite else 0.0)
    with Index.read(home, since=since) as index:
        return span, captioner.estimate(Work(home, span, config, index).count().get("wanted", 0))


def where(folder: str | Path, config: RunConfig) -> tuple[Path, Range]:
    """The folder and the range. Raises `UsageError` if there is no table, or no such range in it."""
    home = Path(folder)
    if not home.is_dir():
        raise UsageError(f"no folder {folder}: give one that `likeness data prepare` made")
    return home, Range.of(Manifest(home).count(), config.start, config.end, config.shard)


def _answers(
    captioner: Captioner,
    work: Work,
    ledger: Ledger,
    report: RunReport,
    tell: Callable[[int, str], None],
    stop: Callable[[], bool],
) -> None:
    facts = {"captioner": captioner.name, **captioner.facts()}
    checks = work.config.checks(facts)
    outcomes = captioner.stream(work.faces(stop))
    failed: Counter[str] = Counter()
    try:
        for outcome in outcomes:
            tries = work.given.pop(outcome.name, None)
            if tries is None:
                raise EngineError(f"captioner {captioner.name!r} answered for {outcome.name}, which nobody asked for")
            report.paid(outcome.usage)
            if captioner.name not in OWN:
                outcome = judged(outcome, checks)
            if isinstance(outcome, Failure):
                ledger.failure(outcome, tries + 1)
                failed[outcome.reason] += 1
                report.again += outcome.again
                report.failed = dict(failed.most_common())
            else:
                ledger.caption(outcome, facts)
                report.captioned += 1
            tell(report.captioned + failed.total(), "" if report.cost is None else f"${report.cost:,.2f}")
    finally:
        close = getattr(outcomes, "close", None)  # an iterator that is no generator has nothing under way
        if close:
            close()


def judged(outcome: Outcome, checks: Checks) -> Outcome:
    """A caption without its words about the photograph; one that is none is a failure that waits for `retry_failed`."""
    if isinstance(outcome, Failure):
        return outcome
    text = clean(outcome.text)
    wrong = problem(text, checks)
    if wrong:
        return Failure(outcome.name, *wrong, again=False, usage=outcome.usage)
    return replace(outcome, text=text)


def _since(folder: Path, span: Range, overwrite: bool) -> float:
    """From when on outcomes count: 0, or the moment at which an overwriting run of this range first began."""
    mark = _mark(folder, span)
    if overwrite and not mark.exists():
        write_text(mark, now() + "\n")
    return when(mark.read_text(encoding="utf-8").strip()) if mark.exists() else 0.0


def _mark(folder: Path, span: Range) -> Path:
    return folder / HIDDEN / f"{span}.overwrite"
