"""The second station: faces as they are drawn, the one that is chosen, and what can be done with it."""

from __future__ import annotations

import streamlit as st

from .desk import DESCRIBE, Batch, Desk
from .details import details
from .drawing import Drawing
from .gallery import WIDTH, gallery
from .look import plain, quote
from .refine import refine
from .told import tell, told

EVERY = 0.7  # seconds between two looks at a drawing
EARLIER = 6  # batches that are shown below the newest


def faces(desk: Desk) -> None:
    if not desk.batches and desk.chosen is None:
        st.info("No faces yet. Describe somebody first, and press “Draw faces”; earlier faces are in the history.")
        if st.button("Describe somebody", type="primary"):
            desk.go = DESCRIBE
            st.rerun()
        return
    newest, earlier = desk.batches[:1], desk.batches[1:]
    for batch in newest:
        _batch(desk, batch, f"b{len(earlier)}")
    if desk.chosen is not None:
        with told():
            details(desk, desk.chosen)
        with told():
            refine(desk, desk.chosen)
    if earlier:
        with st.expander("Earlier faces of this visit", key="earlier"):
            for back, batch in enumerate(earlier[:EARLIER], start=1):
                _batch(desk, batch, f"b{len(earlier) - back}")


def _batch(desk: Desk, batch: Batch, place: str) -> None:
    st.html(quote(batch.title))
    if not batch.over:
        _watch(desk, batch, place)
        return
    for number, (drawing, label, found) in enumerate(zip(batch.drawings, batch.labels, batch.faces(), strict=True)):
        if label:
            st.markdown(f"**{label}**")
        if drawing.now.problem is not None:
            tell(drawing.now.problem)
        elif drawing.now.status == "cancelled":
            st.info("Cancelled." if not found else "Cancelled; these were finished before.")
        for note in drawing.now.notes:
            st.caption(plain(str(note)))
        shown = [batch.parent, *found] if batch.parent is not None and found else found
        if batch.parent is not None and found:
            st.caption("Before and after")
        if pressed := gallery(desk, shown, f"{place}-{number}"):
            desk.choose(pressed)
            st.rerun()
    if desk.chosen is None and len([f for found in batch.faces() for f in found]) > 1:
        st.caption("Choose a face to save it, to compare it or to change it.")


@st.fragment(run_every=EVERY)
def _watch(desk: Desk, batch: Batch, place: str) -> None:
    """Progress with previews; reruns the whole page once all is drawn."""
    if batch.over:
        arrived(desk, batch)
        st.rerun(scope="app")
    for drawing, label in zip(batch.drawings, batch.labels, strict=True):
        _progress(drawing, label)
    if st.button("Cancel", icon=":material/stop_circle:", key=f"cancel-{place}"):
        with told():
            for drawing in batch.drawings:
                if not drawing.now.over:
                    drawing.cancel()


def arrived(desk: Desk, batch: Batch) -> None:
    """Put a finished batch on the desk: for the comparison, and chosen at once where there is no choice."""
    if batch.settled:
        return
    batch.settled = True
    found = [face for row in batch.faces() for face in row]
    desk.learn(([batch.parent] if batch.parent else []) + found)
    if len(batch.drawings) > 1 and all(batch.faces()):
        desk.pair = tuple(row[0].key for row in batch.faces()[:2])
    elif batch.parent is not None and found:
        desk.pair = (batch.parent.key, found[0].key)
    if len(found) == 1:
        desk.choose(found[0])


def _progress(drawing: Drawing, label: str) -> None:
    now = drawing.now
    st.progress(now.share, text=f"{label}: {now.words}" if label else now.words)
    if now.previews:
        with st.container(horizontal=True):
            for index in sorted(now.previews):
                st.image(now.previews[index], width=WIDTH, alt=f"Face {index + 1}, not finished")
