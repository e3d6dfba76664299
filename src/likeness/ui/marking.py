"""Mark the part of a face that is drawn anew: parts by name, an oval by sliders (both by keyboard), or a brush."""

from __future__ import annotations

import io

import streamlit as st
from PIL import Image

from . import mask
from .mask import PLACES, Oval

NAMED, OWN, BRUSH = "By name", "An oval", "Paint it"
SIDE = 300  # pixels of the canvas and of the preview: fits a phone
INK = "rgba(46, 108, 196, 0.55)"


def marking(png: bytes, key: str) -> bytes | None:
    """Draw the controls; the mask as PNG (white: drawn anew), `None` while nothing is marked."""
    how = st.segmented_control(
        "Which part?", [NAMED, OWN, BRUSH], default=NAMED, required=True, key=f"{key}.marking", wrap=True
    )
    with Image.open(io.BytesIO(png)) as opened:
        size = opened.size
    found = {NAMED: _named, OWN: _own, BRUSH: _brush}[how or NAMED](png, size, key)
    if found is None:
        st.caption("Nothing is marked yet.")
        return None
    if how != BRUSH:
        st.image(mask.shown(png, found), width=SIDE, alt="The chosen face; what will be drawn anew is tinted blue")
    return mask.png(found)


def _named(png: bytes, size: tuple[int, int], key: str) -> Image.Image | None:
    places = st.pills(
        "Parts", list(PLACES), selection_mode="multi", key=f"{key}.places", label_visibility="collapsed", wrap=True
    )
    return mask.united([mask.from_oval(PLACES[place], size) for place in places]) if places else None


def _own(png: bytes, size: tuple[int, int], key: str) -> Image.Image:
    across, down = st.columns(2)
    with across:
        x = st.slider("From left to right, %", 0, 100, 50, key=f"{key}.x")
        width = st.slider("Width, %", 5, 100, 50, key=f"{key}.w")
    with down:
        y = st.slider("From top to bottom, %", 0, 100, 50, key=f"{key}.y")
        height = st.slider("Height, %", 5, 100, 30, key=f"{key}.h")
    return mask.from_oval(Oval(x / 100, y / 100, width / 200, height / 200), size)


def _brush(png: bytes, size: tuple[int, int], key: str) -> Image.Image | None:
    from streamlit_drawable_canvas import st_canvas

    wiped = f"{key}.wiped"  # how often: another canvas is an empty one
    brush = st.slider("Width of the brush", 4, 60, 24, key=f"{key}.brush")
    drawn = st_canvas(
        stroke_width=brush, stroke_color=INK, background_image=png, width=SIDE, height=round(SIDE * size[1] / size[0]),
        drawing_mode="freedraw", return_image_data=True, key=f"{key}.canvas.{st.session_state.get(wiped, 0)}",
    )  # fmt: skip
    st.button("Wipe the paint", on_click=_wipe, args=(wiped,), icon=":material/ink_eraser:", key=f"{key}.wipe")
    return mask.from_strokes(drawn.image_bytes, size) if drawn.image_bytes else None


def _wipe(wiped: str) -> None:
    st.session_state[wiped] = st.session_state.get(wiped, 0) + 1
