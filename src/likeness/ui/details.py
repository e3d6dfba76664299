"""The chosen face: large, with its facts; save it, keep it, compare it, take its words."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from .description import put
from .desk import COMPARE, DESCRIBE, Desk, picture
from .face import Face
from .gallery import alt
from .look import plain, quote

LARGE = 320


def details(desk: Desk, face: Face) -> None:
    """Raises `Problem` if its picture does not come."""
    png = picture(desk, face.digest)
    st.subheader("The chosen face", anchor=False)
    with st.container(horizontal=True, gap="medium"):
        st.image(png, width=LARGE, alt=alt(face))
        with st.container(width=440):
            _facts(face)
            _save(face, png)
            _actions(desk, face)


def _actions(desk: Desk, face: Face) -> None:
    with st.container(horizontal=True, key="face-actions"):
        kept = face.favourite
        if st.button(
            "No longer a favourite" if kept else "Add to favourites", disabled=not face.id,
            icon=":material/heart_minus:" if kept else ":material/favorite:",
        ):  # fmt: skip
            desk.client.favourite(face.id, not kept)
            desk.chosen = replace(face, favourite=not kept)
            st.rerun()
        if st.button("Compare", icon=":material/compare:"):
            other = next((d for d in reversed(desk.known) if d != face.key), face.key)
            desk.pair, desk.go = (face.key, other), COMPARE
            st.rerun()
        if st.button("Use its description", icon=":material/description:"):
            put(desk, face.prompt)
            desk.go = DESCRIBE
            st.rerun()


def _facts(face: Face) -> None:
    facts = face.facts()
    text = facts.pop("Description", "")
    st.html(quote(text))
    st.caption(plain(" · ".join(f"{word} {value}" for word, value in facts.items())))


def _save(face: Face, png: bytes) -> None:
    name = f"face-{face.seed}"
    st.download_button(
        "Save the picture", png, f"{name}.png", "image/png", on_click="ignore", type="primary", width="stretch",
        icon=":material/download:", help="A PNG that says inside how it was drawn, and that a model drew it.",
    )  # fmt: skip
    st.download_button(
        "Save its recipe", face.recipe_json(), f"{name}.json", "application/json", on_click="ignore", width="stretch",
        icon=":material/receipt_long:", help="The settings as JSON, to draw the same face again.",
    )  # fmt: skip
