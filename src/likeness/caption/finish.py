"""Fold what came into the table: one row a picture, all of it or nothing; and what is still to be done.

A row gets the caption that counts (see `index`) unless its own is as new: what somebody edited later stays. The labels
of a row win over what a model saw; `caption["filled"]` names the attributes that came from the model, so that a later
caption may replace them. The files of outcomes stay, and a second `finish` changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..data.manifest import Manifest, tally
from ..data.writers import only_writer
from ..errors import UsageError
from ..records import Attributes, FaceRecord
from .index import AGAIN, CAPTIONED, FAILED, MISSING, Index
from .ledger import when

Progress = Callable[[int, int], None]
Look = Callable[[int, FaceRecord, str], None]
OWN = "own"  # a state beside those of the index: a text that stays
LISTED = 20  # gaps that are named
WAIT = 60.0  # seconds for another writer of the table


@dataclass
class Coverage:
    """How far a folder is. `missing`: rows that nobody has captioned, `again`: those that failed and want another try,
    `failed`: that failed for good, by reason; `own`: that keep a text of their own; `unfolded`: captions that the table
    does not have yet; `strangers`: captions of pictures that have no row; `gaps`: the first ranges of missing rows and
    of `again`; `notes`: lines of the files that could not be used, by kind.
    """

    folder: str
    rows: int = 0
    captioned: int = 0
    missing: int = 0
    again: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    own: int = 0
    unfolded: int = 0
    strangers: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return not (self.missing or self.again)

    def add(self, position: int, state: str, reason: str = "") -> None:
        self.rows += 1
        if state == CAPTIONED:
            self.captioned += 1
        elif state == OWN:
            self.own += 1
        elif state == FAILED:
            self.failed[reason] = self.failed.get(reason, 0) + 1
        else:
            self.again += state == AGAIN
            self.missing += state == MISSING
            if self.gaps and self.gaps[-1][1] == position:
                self.gaps[-1] = (self.gaps[-1][0], position + 1)
            elif len(self.gaps) < LISTED:
                self.gaps.append((position, position + 1))

    def to_dict(self) -> dict[str, Any]:
        return {"complete": self.complete} | asdict(self)


def status(folder: str | Path, progress: Progress = lambda done, total: None) -> Coverage:
    """How far the folder is; changes nothing. Raises `UsageError` without a table."""
    notes: Counter[str] = Counter()
    with Index.read(folder, tally(notes)) as index:
        return survey(folder, index, notes, progress)


def finish(
    folder: str | Path,
    progress: Progress = lambda done, total: None,
    look: Look = lambda position, record, state: None,
    own: bool = False,
) -> Coverage:
    """Fold every caption of the folder's files into its table; how far the folder is then.

    `own`: rows with a text of their own want no caption (`RunConfig.only_missing`). `look` is shown every row, as it
    was, with its position and state. Raises `UsageError` without a table, while another process writes it, and when
    the disk is full: the table is then what it was.
    """
    notes: Counter[str] = Counter()
    if not Manifest(folder).exists():
        raise UsageError(f"{folder} has no metadata.jsonl: give a folder that `likeness data prepare` made")
    with only_writer(Path(folder), WAIT), Index.read(folder, tally(notes)) as index:
        coverage = survey(folder, index, notes, progress, look, own)
        if coverage.unfolded:
            Manifest(folder).fold(lambda record: _folded(record, index), wait=None)
            coverage.unfolded = 0
    return coverage


def survey(
    folder: str | Path,
    index: Index,
    notes: Counter[str],
    progress: Progress,
    look: Look = lambda position, record, state: None,
    own: bool = False,
) -> Coverage:
    """One reading of the table, and of the lines of outcomes that count."""
    coverage = Coverage(str(folder), strangers=index.captioned())
    for position, record in enumerate(Manifest(folder).records()):
        state = index.state(record.file_name)
        coverage.strangers -= state == CAPTIONED
        if state in (MISSING, AGAIN) and "captioner" in (record.caption or {}) and record.text.strip():
            state = CAPTIONED  # by an earlier `finish`, whose file has gone
        elif state == MISSING and own and record.text.strip():
            state = OWN
        row = index.row(record.file_name) if state == FAILED else None
        coverage.add(position, state, row["reason"] if row else "")
        coverage.unfolded += _folded(record, index) is not record
        look(position, record, state)
        progress(position + 1, 0)
    coverage.notes = dict(notes)
    return coverage


def _folded(record: FaceRecord, index: Index) -> FaceRecord:
    return folded(record, index.row(record.file_name), index.preferred(record.file_name))


def folded(record: FaceRecord, row: dict[str, Any] | None, preferred: bool = False) -> FaceRecord:
    """The record with the caption of an outcome's line; itself if its own is as new, or the line is no caption."""
    if row is None or "reason" in row:
        return record
    facts = dict(row["caption"]) if isinstance(row.get("caption"), dict) else {}
    own, made = when((record.caption or {}).get("time")), when(facts.get("time"))
    settled = "reviewed" in (record.caption or {})  # a person has looked at it
    if own and (own == made if preferred and not settled else own >= made):
        return record
    attributes, filled = joined(record, row.get("attributes"))
    facts |= {"filled": filled} if filled else {}
    changed = replace(record, text=row["text"], attributes=attributes, caption=facts)
    return record if changed == record else changed


def joined(record: FaceRecord, seen: Any) -> tuple[Attributes | None, list[str]]:
    """The row's own labels, and what the model saw where they are silent; the names of the latter."""
    filled = (record.caption or {}).get("filled") or []
    said = record.attributes.to_dict() if record.attributes else {}
    labels = {name: value for name, value in said.items() if name not in filled}
    new = {k: v for k, v in (seen if isinstance(seen, dict) else {}).items() if k not in labels}
    both = labels | new
    return (Attributes.from_dict(both) if both else None), list(new)
