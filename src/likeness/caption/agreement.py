"""Captions against the labels of their own rows: where a caption says "woman" of a man.

    measure("faces") -> Agreement          counts by field, and the list of conflicts
    conflicts(text, labels) -> [Conflict]  of one caption

The caption is read by the grammar, so what it cannot read is silence and never a conflict. A field has a verdict where
both the labels and the caption speak: "agrees"; "near" for neighbours that two people would name differently (brown
and dark brown hair); "conflicts"; "beside" for different things that may both be true (a big nose, a straight nose).
Attributes that a captioner filled in itself are no labels and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import grammar
from ..data.manifest import Manifest, Tell
from ..records import FIELDS, Age, Attributes, FaceRecord

AGREES, NEAR, CONFLICTS, BESIDE = "agrees", "near", "conflicts", "beside"
YEARS = 5  # by which two ranges of ages may miss each other: annotators differ by about as much
LISTED = 10_000  # conflicts that are kept; all are counted
UNCOMPARED = ("quality", "pose", "occlusion")  # of the picture, not of the face

# Neighbours along a scale: values next to each other in one of these are near.
SCALES: dict[str, tuple[tuple[str, ...], ...]] = {
    "hair_color": (
        ("black", "dark brown", "brown", "light brown", "blond"), ("brown", "red", "blond"), ("blond", "white", "gray"),
        ("black", "gray"),
    ),
    "skin_tone": (("pale", "fair", "light", "medium", "olive", "tan", "brown", "dark"), ("medium", "tan")),
    "hair_length": (("bald", "very short", "short", "medium", "long"), ("medium", "tied back", "long")),
    "hair_texture": (("straight", "wavy", "curly", "coily"),),
    "eye_color": (("black", "brown", "amber", "hazel", "green", "blue", "gray"), ("brown", "hazel")),
    "face_shape": (("oval", "long"), ("round", "oval", "heart"), ("heart", "triangular", "diamond")),
    "eye_state": (("open", "half-closed", "closed"), ("open", "looking away")),
    "mouth": (("open", "teeth showing"),),
    "facial_hair": (
        ("none", "stubble", "full beard"), ("stubble", "goatee", "moustache", "full beard"), ("goatee", "full beard"),
    ),
    "expression": (("smiling", "laughing"), ("surprised", "fearful"), ("angry", "disgusted")),
    "ethnicity": (("Latino", "White", "Middle Eastern", "Latino"), ("Indian", "Middle Eastern")),
    "headwear": (("cap", "hat", "other", "turban", "headscarf", "other", "cap"),),
    "hairline": (("receding", "high"), ("receding", "thinning")),
    "fringe": (("full", "side-swept"),),
}  # fmt: skip
# A value that covers others.
COVERS = {("ethnicity", "Asian"): ("East Asian", "Southeast Asian", "Indian")}
# Of fields that hold several values, those whose values shut each other out; of the others only opposites do.
EXCLUSIVE = ("ethnicity", "expression", "facial_hair")
OPPOSITES = (("big", "small"), ("wide", "narrow"), ("thick", "thin"), ("full", "thin"), ("full", "hollow"))


@dataclass(frozen=True)
class Conflict:
    """A field of which the labels and the caption say different things, in words."""

    field: str
    label: str
    said: str
    file_name: str = ""

    def __str__(self) -> str:
        return f"{self.field.replace('_', ' ')}: the label says {self.label}, the caption {self.said}"


@dataclass
class Count:
    """Of one field. labelled: rows whose labels speak; said: of those, captions that speak too; and their verdicts."""

    labelled: int = 0
    said: int = 0
    agrees: int = 0
    near: int = 0
    conflicts: int = 0
    beside: int = 0

    @property
    def decided(self) -> int:
        """Captions with a verdict that is for or against."""
        return self.agrees + self.near + self.conflicts

    @property
    def share(self) -> float | None:
        """Share of conflicts among them; None where there is none."""
        return self.conflicts / self.decided if self.decided else None


@dataclass
class Agreement:
    """rows: of the table; compared: those with a caption and labels; disagreeing: captions with a conflict or more."""

    folder: str
    rows: int = 0
    compared: int = 0
    disagreeing: int = 0
    fields: dict[str, Count] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)

    def add(self, record: FaceRecord, listed: int = LISTED) -> None:
        self.rows += 1
        labels = labels_of(record).said()
        if not labels or not record.text.strip():
            return
        self.compared += 1
        counts = [self.fields.setdefault(name, Count()) for name in labels if name not in UNCOMPARED]
        for count in counts:
            count.labelled += 1
        against = 0
        for name, label, said, verdict in compared(record.text, labels):
            count = self.fields[name]
            count.said += 1
            setattr(count, verdict, getattr(count, verdict) + 1)
            if verdict == CONFLICTS:
                against += 1
                if len(self.conflicts) < listed:
                    self.conflicts.append(Conflict(name, worded(label), worded(said), record.file_name))
        self.disagreeing += bool(against)

    def to_dict(self) -> dict[str, Any]:
        plain = asdict(self)
        for name, count in self.fields.items():
            plain["fields"][name]["share"] = count.share
        return plain

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """A heading and a row for each field, the worst first, as text."""
        heading = ("field", "labelled", "said", "agrees", "near", "conflicts", "share")
        worst = sorted(self.fields.items(), key=lambda one: (-(one[1].share or 0), -one[1].said, one[0]))
        return heading, [
            (
                name.replace("_", " "), str(c.labelled), str(c.said), str(c.agrees), str(c.near), str(c.conflicts),
                "" if c.share is None else f"{c.share:.1%}",
            )
            for name, c in worst
        ]  # fmt: skip


def measure(
    folder: str | Path,
    limit: int | None = None,
    listed: int = LISTED,
    tell: Tell | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Agreement:
    """Compare every caption of a folder's table, or the first `limit` rows, with its labels. Streams the table.

    Raises `UsageError` without a table, and for a bad row unless `tell` hears of it.
    """
    result = Agreement(str(folder))
    for record in Manifest(folder).records(tell):
        if limit is not None and result.rows >= limit:
            break
        result.add(record, listed)
        progress(result.rows)
    order = {name: place for place, name in enumerate(("age", *FIELDS))}
    result.fields = dict(sorted(result.fields.items(), key=lambda one: order[one[0]]))
    return result


def conflicts(text: str, labels: Attributes | None, file_name: str = "") -> list[Conflict]:
    """Where a caption contradicts the labels."""
    said = labels.said() if labels else {}
    return [
        Conflict(name, worded(label), worded(value), file_name)
        for name, label, value, verdict in compared(text, said)
        if verdict == CONFLICTS
    ]


def labels_of(record: FaceRecord) -> Attributes:
    """The row's own attributes, without those that a captioner filled in."""
    filled = (record.caption or {}).get("filled")
    known = record.attributes or Attributes()
    names = filled if isinstance(filled, list) else []
    return Attributes(**{name: value for name, value in known.said().items() if name not in names})


def compared(text: str, labels: dict[str, Any]) -> Iterator[tuple[str, Any, Any, str]]:
    """(field, label, said, verdict) wherever both speak."""
    said = grammar.parse(text).attributes.said() if labels and text.strip() else {}
    for name, label in labels.items():
        if name in said and name not in UNCOMPARED:
            yield name, label, said[name], verdict(name, label, said[name])


def verdict(name: str, label: Any, said: Any) -> str:
    """How two values of one field go together."""
    if isinstance(label, Age):
        return _ages(label, said)
    ours, theirs = _values(label), _values(said)
    if any(_same(name, a, b) for a in ours for b in theirs):
        return AGREES
    if any(_near(name, a, b) for a in ours for b in theirs):
        return NEAR
    several = FIELDS[name].many and name not in EXCLUSIVE and "none" not in (*ours, *theirs)
    if several and not any(_opposite(a, b) for a in ours for b in theirs):
        return BESIDE
    return CONFLICTS


def worded(value: Any) -> str:
    """A value as a person would write it."""
    return str(value) if isinstance(value, Age) else " and ".join(_values(value))


def _ages(label: Age, said: Age) -> str:
    gap = max(label.low - said.high, said.low - label.high)  # years between the two ranges; negative: they overlap
    return AGREES if gap <= 0 else NEAR if gap <= YEARS else CONFLICTS


def _values(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _same(name: str, a: str, b: str) -> bool:
    return a == b or b in COVERS.get((name, a), ()) or a in COVERS.get((name, b), ())


def _near(name: str, a: str, b: str) -> bool:
    pairs = (pair for scale in SCALES.get(name, ()) for pair in zip(scale, scale[1:], strict=False))
    return any({a, b} == set(pair) for pair in pairs)


def _opposite(a: str, b: str) -> bool:
    return any({a, b} == set(pair) for pair in OPPOSITES)
