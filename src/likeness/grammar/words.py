"""Every word that the grammar can write or read, for training a tokenizer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from . import (
    ages,
    ages_reading,
    lexicon,
    lexicon_people,
    lexicon_phrases,
    lexicon_reading,
    lexicon_reading_phrases,
)

WORD = re.compile(r"[a-z]+")
PLACE = re.compile(r"\{\w*\}")
# Words that the code itself puts between the tables' words.
GLUE = (
    "a an and are descent ethnicity has have having heritage her his in is little looking mixed no of or origin partly "
    "slightly something their wearing with without"
)
TABLES = (
    ages,
    ages_reading,
    lexicon,
    lexicon_people,
    lexicon_phrases,
    lexicon_reading,
    lexicon_reading_phrases,
)


def _strings(table: Any) -> Iterator[str]:
    if isinstance(table, str):
        yield table
    elif isinstance(table, dict):
        for key, value in table.items():
            yield from _strings(key)
            yield from _strings(value)
    elif isinstance(table, (tuple, list, frozenset)):
        for value in table:
            yield from _strings(value)


@cache
def vocabulary() -> tuple[str, ...]:
    """All words in lower case, sorted; hyphens and apostrophes split a word, as tokenizers do."""
    tables = [value for module in TABLES for name, value in vars(module).items() if name.isupper()]
    text = " ".join(PLACE.sub(" ", words) for words in _strings([*tables, GLUE]))
    return tuple(sorted(set(WORD.findall(text.lower()))))
