"""What several people said about one picture, as one row: the first says what it says, the others fill the gaps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..records import Attributes, FaceRecord

HELD_OUT = ("test", "eval", "val", "validation", "valid", "dev")  # the strictest first; others come after these
FILLED = ("source", "license", "sha256", "box", "landmarks", "caption")
OTHERS = {"text": "other_texts", "source": "other_sources", "license": "other_licenses"}


def joined(
    records: Sequence[FaceRecord], captions: str = "first", tell: Callable[[str], None] = lambda kind: None
) -> FaceRecord:
    """One row of several rows about the same picture. Nothing is lost: differing texts, sources and licences are kept
    in `extra` as `other_texts`, `other_sources`, `other_licenses`.

    `captions`: which text is the row's own, "first" (that is not empty) or "longest". A picture that anybody held out
    stays held out. `tell` hears of each kind of difference: "captions differ", "attributes differ", ...
    """
    base = records[0]
    if len(records) == 1:
        return base
    texts = [r for r in records if r.text.strip()]
    if texts:
        told = max(texts, key=lambda r: len(r.text)) if captions == "longest" else texts[0]
        base = replace(base, text=told.text, caption=told.caption)
    values: dict[str, Any] = {}
    for name in FILLED:
        if getattr(base, name) is None and (name != "caption" or not texts):
            values[name] = next((v for r in records if (v := getattr(r, name)) is not None), None)
    attributes, differ = fill([r.attributes for r in records if r.attributes is not None])
    if differ:
        tell("attributes differ")
    splits = [r.split for r in records if r.split is not None]
    if len(set(splits)) > 1:
        tell("splits differ")
    split = min(splits, key=strictness) if splits else None
    extra: dict[str, Any] = {}
    for record in records:
        extra = record.extra | extra
    base = replace(base, **values, attributes=attributes, split=split)
    for name, key in OTHERS.items():
        kept = [v for r in records for v in (*_listed(r.extra.get(key)), getattr(r, name)) if v]
        others = [v for v in dict.fromkeys(kept) if v != getattr(base, name)]
        if others:
            extra[key] = others
            if any(getattr(r, name) not in (getattr(base, name), None, "") for r in records):
                tell({"text": "captions differ", "source": "sources differ", "license": "licences differ"}[name])
    return replace(base, extra=extra)


def strictness(split: str) -> int:
    """Where a split stands in the order of holding out: 0 is the most held out."""
    return HELD_OUT.index(split) if split in HELD_OUT else len(HELD_OUT)


def fill(said: Sequence[Attributes]) -> tuple[Attributes | None, bool]:
    """Attributes of all, the first to speak of a field being right; and whether any two contradict each other."""
    values: dict[str, Any] = {}
    differ = False
    for attributes in said:
        for name, value in attributes.said().items():
            differ |= values.setdefault(name, value) != value
    return (Attributes(**values) if said else None), differ


def as_texts(row: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """The row with the values at these paths (`a`, `a.b`; a list's inside counts as the list) turned into text."""
    row = dict(row)
    for path in paths:
        *parents, last = path.partition("[]")[0].split(".")
        place: Any = row
        for key in parents:
            inner = place.get(key)
            if not isinstance(inner, dict):
                break
            place[key] = place = dict(inner)
        else:
            if place.get(last) is not None and not isinstance(place[last], str):
                place[last] = json.dumps(place[last], ensure_ascii=False)
    return row


def _listed(value: Any) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []
