"""The form: sections that fold, one question a row, every answer may be taken back."""

from __future__ import annotations

from typing import Any

import streamlit as st

from . import questions
from .desk import Desk
from .questions import Question

PREFIX = "said."
EXACT = "said_exact_age"
INTRO = (
    "Two answers are needed for a good face; leave the rest open where you are not sure. "
    "Press an answer again to take it back."
)


def form(desk: Desk) -> dict[str, Any]:
    """Draw the form; the answers as `Attributes` in JSON, silent fields left out. Raises `Problem`."""
    if desk.schema is None:
        desk.schema = desk.client.attributes()
    asked = questions.sections(desk.schema)
    st.caption(INTRO)
    for place, (title, rows) in enumerate(asked.items()):
        with st.expander(title, expanded=place == 0, key=f"section {title}"):
            for row in rows:
                _row(desk, row)
                if row.name == "age":
                    _exact_age()
    rows = [row for section in asked.values() for row in section]
    said = {row.name: answer for row in rows if (answer := _answer(row.name))}
    if said:
        st.button("Clear all answers", on_click=_clear, args=(desk,), type="tertiary", icon=":material/backspace:")
    return said


def missing(desk: Desk, said: dict[str, Any]) -> list[str]:
    """Names of the mandatory questions that are still open."""
    asked = questions.sections(desk.schema or {})
    return [row.name for rows in asked.values() for row in rows if row.mandatory and row.name not in said]


def _row(desk: Desk, row: Question) -> None:
    key = PREFIX + row.name
    st.pills(
        row.asked + (" (needed)" if row.mandatory else ""), row.values, format_func=questions.label, key=key, wrap=True,
        selection_mode="multi" if row.many else "single", persist_state="session",
        on_change=_one_none if row.many else None, args=(desk, key) if row.many else None,
    )  # fmt: skip


def _exact_age() -> None:
    st.number_input(
        "Or an exact age, if you know it", questions.ADULT, questions.OLDEST, value=None, step=1, key=EXACT,
        placeholder="not said", persist_state="session",
    )  # fmt: skip


def _answer(name: str) -> Any:
    if name == "age" and (exact := st.session_state.get(EXACT)) is not None:
        return str(exact)
    return st.session_state.get(PREFIX + name)


def _one_none(desk: Desk, key: str) -> None:
    st.session_state[key] = questions.single_none(desk.before.get(key, []), st.session_state[key])
    desk.before[key] = st.session_state[key]


def _clear(desk: Desk) -> None:
    for key in [k for k in st.session_state if str(k).startswith(PREFIX)]:
        st.session_state[key] = [] if isinstance(st.session_state[key], list) else None
    st.session_state[EXACT] = None
    desk.before = {}
