"""What people decided about captions: read from files, checked, and put into the table all at once.

A decision is {"file_name", "decision": "accepted" | "edited" | "rejected" | "open", "was": `fingerprint` of the text
that it is about, "text": the new one if edited, "time", "by"?}. Of several about one picture the last counts; "open"
takes the ones before it back.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..data.manifest import Appender, Manifest
from ..data.names import normal
from ..data.writers import only_writer
from ..errors import LikenessError, RecordError, UsageError
from ..files import read_jsonl
from ..records import FaceRecord
from .agreement import labels_of
from .captioner import Failure
from .ledger import FAILURES, Range, claimed, now

ACCEPTED, EDITED, REJECTED, OPEN = "accepted", "edited", "rejected", "open"
LONGEST = 20_000  # characters of an edited caption
LARGEST = 512 << 20  # bytes of a file of decisions
WAIT = 60.0  # seconds for another writer of the table
CHANGED, ALREADY = "changed", "already"


@dataclass(frozen=True)
class Decision:
    file_name: str
    decision: str
    was: str = ""
    text: str = ""
    time: str = ""
    by: str = ""

    @classmethod
    def read(cls, row: Any, folder: Path) -> Decision:
        """A decision from JSON. Raises `RecordError` or `UsageError` for what is none."""
        if not isinstance(row, dict):
            raise RecordError("a decision is a JSON object")
        values = {name: row.get(name) or "" for name in cls.__dataclass_fields__}
        if wrong := [name for name, value in values.items() if not isinstance(value, str)]:
            raise RecordError(f"{wrong[0]} of a decision is text")
        made = cls(**values | {"file_name": normal(values["file_name"], folder)})
        if made.decision not in (ACCEPTED, EDITED, REJECTED, OPEN):
            raise RecordError(f"no decision {made.decision[:20]!r}")
        if made.decision == EDITED and not made.text.strip():
            raise RecordError("an edit without a text: reject the caption instead")
        if len(made.text) > LONGEST:
            raise RecordError(f"a caption of more than {LONGEST:,} characters")
        return replace(made, text=" ".join(made.text.split()))

    def to_dict(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value}


@dataclass
class Applied:
    """What became of decisions, in pictures. `open`: taken back; `already`: in the table before; `changed`: the text is
    no longer the one that was judged, so nothing was done; `unknown`: no such row; `bad`: no decision.
    """

    accepted: int = 0
    edited: int = 0
    rejected: int = 0
    open: int = 0
    already: int = 0
    changed: int = 0
    unknown: int = 0
    bad: int = 0

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def fingerprint(text: str) -> str:
    """Of the text that a decision is about: 64 bits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def apply(folder: str | Path, decisions: str | Path | Iterable[dict[str, Any]], by: str = "") -> Applied:
    """Put decisions into the table: a file (a JSON list, or JSON lines), or the rows themselves. `by`: whose they are.

    Accepted rows are marked, edited ones get the new text and keep the earlier one as `caption["previous"]`, rejected
    ones lose theirs, and the next run captions them again. All of it or nothing; twice is the same as once.
    Raises `UsageError` without a table, for a file that cannot be read, while another process writes the table, and
    for rejections while another captions.
    """
    home = Path(folder)
    given = read(decisions) if isinstance(decisions, str | Path) else decisions
    if not Manifest(home).exists():
        raise UsageError(f"{folder} has no metadata.jsonl: give a folder that `likeness data prepare` made")
    last, result = latest(given, home)
    result.open = sum(one.decision == OPEN for one in last.values())
    wanted = {name: replace(one, by=one.by or by) for name, one in last.items() if one.decision != OPEN}
    with only_writer(home, WAIT):
        counts, rows, valid = _sorted(home, wanted)
        for name, count in counts.items():
            setattr(result, name, count)
        result.unknown = len(wanted) - counts.total()
        if valid:
            moment = now()
            _list_rejected(home, rows, [one for one in valid.values() if one.decision == REJECTED])
            Manifest(home).fold(
                lambda record: (
                    decided(record, valid[record.file_name], moment) if record.file_name in valid else record
                ),
                wait=None,
            )
    return result


def read(path: str | Path) -> list[Any]:
    """The rows of a file of decisions: one JSON list, or JSON lines. Raises `UsageError`."""
    try:
        if Path(path).stat().st_size > LARGEST:
            raise UsageError(f"{path} is no file of decisions: it has more than {LARGEST >> 20} MB")
        found = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.") from None
    except (ValueError, RecursionError):
        return list(read_jsonl(path))
    if isinstance(found, dict):  # one line only
        found = [found]
    if not isinstance(found, list):
        raise UsageError(f"{path} is no list of decisions: give the file that the review page downloads")
    return found


def latest(given: Iterable[Any], folder: Path) -> tuple[dict[str, Decision], Applied]:
    """The decision that counts for each picture; what is none is counted as bad."""
    last: dict[str, Decision] = {}
    result = Applied()
    for row in given:
        try:
            made = Decision.read(row, folder)
        except LikenessError:
            result.bad += 1
            continue
        last[made.file_name] = made
    return last, result


def _sorted(home: Path, wanted: dict[str, Decision]) -> tuple[Counter[str], int, dict[str, Decision]]:
    """What each decision comes to, the number of rows, and the decisions that change something."""
    counts: Counter[str] = Counter()
    valid: dict[str, Decision] = {}
    rows = 0
    for record in Manifest(home).records() if wanted else ():
        rows += 1
        if made := wanted.get(record.file_name):
            state = state_of(record, made)
            counts[state or made.decision] += 1
            if not state:
                valid[record.file_name] = made
    return counts, rows, valid


def state_of(record: FaceRecord, made: Decision) -> str:
    """ALREADY if the table has this very decision, CHANGED if it was about another text, else ""."""
    before = (record.caption or {}).get("reviewed")
    if isinstance(before, dict) and (before.get("decision"), before.get("time")) == (made.decision, made.time):
        return ALREADY
    return "" if fingerprint(record.text) == made.was else CHANGED


def decided(record: FaceRecord, made: Decision, moment: str) -> FaceRecord:
    """The row after a decision. `moment` becomes the caption's own time, so that no older caption replaces it."""
    reviewed = {"decision": made.decision, "time": made.time or moment} | ({"by": made.by} if made.by else {})
    caption = {k: v for k, v in (record.caption or {}).items() if k != "rejected"} | {"reviewed": reviewed}
    if made.decision == ACCEPTED:
        return replace(record, caption=caption)
    caption |= {"previous": record.text, "time": moment}
    if made.decision == EDITED:
        return replace(record, text=made.text, caption=caption)
    filled = caption.pop("filled", None)  # what the model saw goes with what it said
    attributes = labels_of(record) if filled else record.attributes
    return replace(record, text="", attributes=attributes, caption=caption | {"rejected": True})


def _list_rejected(home: Path, rows: int, rejected: list[Decision]) -> None:
    """Tell the next run: a rejection is a failure that another try may mend. Written first, so none gets lost."""
    if not rejected:
        return
    span = Range(0, rows)
    with claimed(home, span):
        ledger = Appender(home / f"{FAILURES}.{span}.jsonl")
        try:
            for one in rejected:
                failure = Failure(one.file_name, REJECTED, f"by {one.by}" if one.by else "")
                facts = {"reason": failure.reason, "detail": failure.detail, "again": failure.again, "time": now()}
                ledger.append(FaceRecord(failure.name, extra=facts))
        finally:
            ledger.close()
