"""Faces in rows that fold on a narrow screen; each with the button that chooses it."""

from __future__ import annotations

import streamlit as st

from .desk import Desk, picture
from .face import Face
from .told import told

WIDTH = 164  # two beside each other on a phone


def gallery(desk: Desk, faces: list[Face], place: str) -> Face | None:
    """Draw the faces; the one that was just chosen. `place` tells the rows of one page apart."""
    pressed = None
    with st.container(horizontal=True, key=f"gallery-{place}"):
        for number, face in enumerate(faces, start=1):
            mine = desk.chosen is not None and desk.chosen.key == face.key
            with (
                st.container(width=WIDTH, gap="xsmall", key=f"{'chosen' if mine else 'face'}-{place}-{number}"),
                told(),
            ):
                st.image(picture(desk, face.digest), width="stretch", alt=alt(face, number))
                star = " ★" if face.favourite else ""
                if st.button(
                    f"Face {number}{star}" if not mine else f"Face {number}{star} ✓", key=f"choose-{place}-{number}",
                    width="stretch", type="primary" if mine else "secondary",
                ):  # fmt: skip
                    pressed = face
    return pressed


def alt(face: Face, number: int | None = None) -> str:
    """What a screen reader says of it."""
    return f"Invented face{f' {number}' if number else ''}: {face.prompt[:200]}"
