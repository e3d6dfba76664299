"""The first station: what was seen, the description of it, and the button that draws."""

from __future__ import annotations

from typing import Any

import streamlit as st

from . import questions
from .description import description, rewriting
from .desk import Desk
from .form import form, missing
from .options import count, options
from .told import told


def describe(desk: Desk) -> None:
    said = desk.attributes  # what was said last, should the form not come
    left, right = st.columns([3, 2], gap="large")
    with left, told():
        st.subheader("What did the person look like?", anchor=False)
        said = form(desk)
    with right, st.container(border=True, key="card"):
        with told():
            description(desk, said)
        with told():
            rewriting(desk)
        _draw(desk, said)


def _draw(desk: Desk, said: dict[str, Any]) -> None:
    text = desk.draft.text.strip()
    number = count()
    button = st.container()
    if text and (still := missing(desk, said)) and not desk.draft.edited:
        open_ones = " and ".join(questions.label(name).lower() for name in still)
        st.caption(f"Still open: {open_ones}. You can draw without; the model then chooses.")
    chosen = options(desk, number)
    with button, told():
        # never greyed out: a press right after typing comes before the text is known to be there
        if st.button("Draw faces", type="primary", width="stretch", icon=":material/draw:"):
            if not text:
                st.info("Answer a question first, or write a description.")
                return
            own = said if said and not desk.draft.edited else None
            desk.submit(text, chosen.bodies(text, own))
