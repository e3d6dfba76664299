"""The page itself: `python -m streamlit run page.py`, as `likeness ui` does; four stations and a line on what it is."""

from __future__ import annotations

import streamlit as st

from likeness.ui import desk as desks
from likeness.ui.compare import compare
from likeness.ui.describe import describe
from likeness.ui.faces import arrived, faces
from likeness.ui.history import history
from likeness.ui.look import CSS, CSS_DARK
from likeness.ui.told import KEY_ASKED, told

STATIONS = dict(zip(desks.STATIONS, (describe, faces, compare, history), strict=True))
ETHICS = "Every face here is invented by a model. It shows nobody, and it is no evidence of anything."


def main() -> None:
    st.set_page_config(page_title="likeness", page_icon="🙂", layout="wide", initial_sidebar_state="collapsed")
    st.html(CSS)
    if st.context.theme.type == "dark":
        st.html(CSS_DARK)
    with told():
        desk = desks.desk()
        for batch in desk.batches:
            if batch.over:
                arrived(desk, batch)
        if desk.go:
            st.session_state[desks.STATION], desk.go = desk.go, ""
        st.session_state.setdefault(desks.STATION, desks.DESCRIBE)
        st.title("likeness", anchor=False)
        st.caption(ETHICS)
        station = st.segmented_control(
            "Station", desks.STATIONS, required=True, key=desks.STATION,
            label_visibility="collapsed", persist_state="session",
        )  # fmt: skip
        with told():
            STATIONS[station or desks.DESCRIBE](desk)
        _connection(desk)


def _connection(desk: desks.Desk) -> None:
    with st.expander("Connection", expanded=bool(st.session_state.get(KEY_ASKED)), key="connection"):
        st.caption(f"This page asks the service at {desk.client.url}.")
        st.text_input(
            "Key", type="password", key="key", persist_state="session", help="Needed where the service asks for one.",
            placeholder="the page has its own" if desks.own_key() else "none",
            on_change=lambda: st.session_state.pop(KEY_ASKED, None),
        )  # fmt: skip


if __name__ == "__main__":
    main()
