"""The description beside the form: it follows the answers until somebody edits it, and can be rewritten."""

from __future__ import annotations

from typing import Any

import streamlit as st

from .desk import Desk
from .look import quote

TEXT = "description"
LONGEST = 2000  # the service's default limit
EMPTY = "Answer a question, or write here in your own words who you saw."


def description(desk: Desk, said: dict[str, Any]) -> str:
    """Draw the field; the text in it. Raises `Problem` after the field is drawn."""
    if desk.incoming is not None:  # a text of another place can be put into the field only before it is drawn
        st.session_state[TEXT], desk.incoming = desk.incoming, None
    desk.draft = desk.draft.typed(st.session_state.get(TEXT, ""))
    error = None
    if said != desk.attributes:
        try:
            fresh = desk.client.describe(said)["caption"] if said else ""
            desk.draft, desk.attributes = desk.draft.follow(fresh), said
        except Exception as caught:  # the field must stay usable, with what is in it
            error = caught
    st.session_state[TEXT] = desk.draft.text
    st.text_area("Description", key=TEXT, height=220, max_chars=LONGEST, placeholder=EMPTY, persist_state="session")
    if error is not None:
        raise error
    _offer(desk)
    return desk.draft.text.strip()


def rewriting(desk: Desk) -> None:
    """The buttons that let the service rewrite the text, and take that back."""
    with st.container(horizontal=True):
        rewrite = st.button(
            "Rewrite in more detail", icon=":material/edit_note:",
            help="The service writes a fuller description from this one. You can take it back.",
        )  # fmt: skip
        if desk.undo:
            st.button("Undo", on_click=_undo, args=(desk,), icon=":material/undo:", type="tertiary")
    if rewrite and desk.draft.text.strip():
        with st.spinner("Rewriting…"):
            caption = desk.client.describe(text=desk.draft.text, rewrite=True)["caption"]
        put(desk, caption)
        st.rerun()


def put(desk: Desk, text: str) -> None:
    """Set the description to a text of another place; it counts as edited, and what stood there can be had back."""
    desk.undo, desk.incoming = desk.draft.text, text


def _offer(desk: Desk) -> None:
    if offer := desk.draft.offer:
        st.info("You have edited the description, so it was left alone. Your answers now say:")
        st.html(quote(offer))
        with st.container(horizontal=True):
            st.button("Use the new one", on_click=_take, args=(desk,))
            st.button("Keep mine", on_click=_keep, args=(desk,), type="tertiary")
    elif desk.draft.fresh and desk.draft.text.strip() != desk.draft.fresh:
        st.button("Back to what the answers say", on_click=_take, args=(desk,), type="tertiary", icon=":material/undo:")


def _take(desk: Desk) -> None:
    desk.draft = desk.draft.take()
    desk.incoming = desk.draft.text


def _keep(desk: Desk) -> None:
    desk.draft = desk.draft.keep()


def _undo(desk: Desk) -> None:
    desk.incoming, desk.undo = desk.undo, ""
