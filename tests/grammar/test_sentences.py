"""How much of what people write is read? Sentences by hand, none made by the grammar, with their true attributes.

`sentences.jsonl` was looked at while the reader was built; `sentences_heldout.jsonl` was written before it and never
used for it, so its bound is the honest one.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from likeness.grammar import parse
from likeness.records import FIELDS, Attributes

HERE = Path(__file__).parent
NAMES = ("age", *FIELDS)
MINIMUM = 5


def load(name: str) -> list[tuple[str, Attributes]]:
    rows = [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]
    return [(row["text"], Attributes.from_dict(row["attributes"])) for row in rows]


def scores(rows: list[tuple[str, Attributes]]) -> dict[str, tuple[float, float, int]]:
    """Recall, precision (micro over values) and number of true values for each field, and for all together."""
    right, read, true = Counter[str](), Counter[str](), Counter[str]()
    for text, attributes in rows:
        got = parse(text).attributes
        for name in NAMES:
            expected, found = _values(attributes, name), _values(got, name)
            for key in (name, "all"):
                right[key] += len(expected & found)
                read[key] += len(found)
                true[key] += len(expected)
    return {
        name: (right[name] / (true[name] or 1), right[name] / (read[name] or 1), true[name]) for name in (*NAMES, "all")
    }


def _values(attributes: Attributes, name: str) -> set[str]:
    value = getattr(attributes, name)
    return set(value) if isinstance(value, tuple) else {str(value)} if value is not None else set()


def test_the_sentences_are_many_and_cover_every_field() -> None:
    rows = load("sentences.jsonl")
    assert len(rows) >= 160 and len({text for text, _ in rows}) == len(rows)
    counts = {name: count for name, (_, _, count) in scores(rows).items()}
    assert all(counts[name] >= MINIMUM for name in NAMES), counts


@pytest.mark.parametrize("name", NAMES)
def test_nine_tenths_of_each_field_are_read(name: str) -> None:
    recall, precision, count = scores(load("sentences.jsonl"))[name]
    assert recall >= 0.9 and precision >= 0.9, f"{name}: recall {recall:.3f}, precision {precision:.3f} of {count}"


def test_the_first_seven_are_read_exactly() -> None:
    """The examples that the project was asked for."""
    for text, attributes in load("sentences.jsonl")[:7]:
        parsed = parse(text)
        assert parsed.attributes == attributes, text
        assert parsed.unknown == (), text


def test_unseen_sentences_are_read_too() -> None:
    rows = load("sentences_heldout.jsonl")
    assert len(rows) >= 40
    recall, precision, count = scores(rows)["all"]
    assert recall >= 0.9 and precision >= 0.9, f"recall {recall:.3f}, precision {precision:.3f} of {count}"
