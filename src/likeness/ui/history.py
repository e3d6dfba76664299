"""The fourth station: everything that was drawn with this key; search, favourites, pages, delete."""

from __future__ import annotations

import streamlit as st

from .desk import FACES, Desk
from .details import details
from .face import Face, of_entry
from .gallery import gallery
from .told import told

PAGE = 12


def history(desk: Desk) -> None:
    st.subheader("What was drawn before", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search in descriptions", key="history.q", on_change=_first, args=(desk,), persist_state="session",
            placeholder="for example: beard", width=320,
        )  # fmt: skip
        only = st.toggle("Favourites only", key="history.f", on_change=_first, args=(desk,), persist_state="session")
    with told():
        answer = desk.client.history(text.strip(), only, desk.pages[-1], PAGE)
        found = [of_entry(e) for e in answer.get("entries", ()) if e.get("digest") and e.get("kind") != "caption"]
        if not found:
            st.info("Nothing fits this search." if text or only else "Nothing has been drawn yet.")
        if pressed := gallery(desk, found, "history"):
            desk.choose(pressed)
            st.rerun()
        _pages(desk, answer.get("next"))
        if desk.chosen is not None and desk.chosen.key in {face.key for face in found}:
            details(desk, desk.chosen)
            _actions(desk, desk.chosen)


def _first(desk: Desk) -> None:
    desk.pages = [None]


def _pages(desk: Desk, following: str | None) -> None:
    if len(desk.pages) == 1 and not following:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        newer = st.button("Newer", disabled=len(desk.pages) == 1, icon=":material/arrow_back:")
        st.caption(f"Page {len(desk.pages)}", width="content")
        older = st.button("Older", disabled=not following, icon=":material/arrow_forward:", icon_position="right")
    if newer:
        desk.pages.pop()
    if older:
        desk.pages.append(following)
    if newer or older:
        st.rerun()


def _actions(desk: Desk, face: Face) -> None:
    with st.container(horizontal=True):
        if st.button("Change this face", icon=":material/tune:", type="primary"):
            desk.go = FACES
            st.rerun()
        if desk.doubt != face.id:
            if st.button("Delete", icon=":material/delete:"):
                desk.doubt = face.id
                st.rerun()
            return
        if st.button("Delete for good", icon=":material/delete_forever:"):
            desk.client.delete(face.id)
            desk.known.pop(face.key, None)
            desk.choose(None)
            st.rerun()
        if st.button("Keep it", type="tertiary"):
            desk.doubt = ""
            st.rerun()
