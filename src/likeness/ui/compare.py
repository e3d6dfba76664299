"""The third station: two faces side by side, and what they differ in."""

from __future__ import annotations

import streamlit as st

from .desk import Desk, picture
from .face import Face, differences
from .gallery import alt
from .look import table
from .told import told

SIDES = ("Left", "Right")


def compare(desk: Desk) -> None:
    st.subheader("Two faces side by side", anchor=False)
    if len(desk.known) < 2:
        st.info("Draw or open at least two faces first; then they can be compared here.")
        return
    keys = list(reversed(desk.known))
    for side, key in zip(SIDES, desk.pair or keys, strict=False):
        if desk.pair or st.session_state.get(_key(side)) not in desk.known:
            st.session_state[_key(side)] = key
    desk.pair = ()
    pair = []
    with st.container(horizontal=True, key="pair"):
        for side in SIDES:
            with st.container(width="stretch", key=f"side-{side}"), told():
                pair.append(_side(desk, side, keys))
    if len(pair) == len(SIDES):
        _differences(*pair)


def _side(desk: Desk, side: str, keys: list[str]) -> Face:
    key = st.selectbox(side, keys, key=_key(side), format_func=lambda k: desk.known[k].title, persist_state="session")
    face = desk.known[key]
    st.image(picture(desk, face.digest), width="stretch", alt=alt(face))
    return face


def _differences(left: Face, right: Face) -> None:
    rows = differences(left, right)
    if not rows:
        st.caption("Both were drawn with the same settings.")
        return
    st.html(table([("Differs", *SIDES), *rows]))


def _key(side: str) -> str:
    return f"compare.{side}"
