"""Change the chosen face: what should be different, how far it may move, and the button that draws it."""

from __future__ import annotations

import base64
from typing import Any

import streamlit as st

from .changes import CHANGES, changed
from .description import LONGEST
from .desk import Desk, picture
from .draft import Draft
from .face import Face
from .look import quote
from .marking import marking

SEED, PICTURE, PART = "The same seed", "From this picture", "Only a part of it"
WAYS = {
    SEED: "Drawn again from the new words: large changes, and the face may move a little.",
    PICTURE: "Starts from the picture: stays close to it, small changes.",
    PART: "Everything outside a part that you mark stays as it is.",
}
FREEDOM = {PICTURE: 0.5, PART: 0.8}


def refine(desk: Desk, face: Face) -> None:
    """Raises `Problem`."""
    with st.container(border=True, key="refine"):
        st.subheader("Change this face", anchor=False)
        key = f"change.{face.key}"
        words, ways = st.columns(2, gap="medium")
        with words:
            names = st.pills(
                "What should be different?", list(CHANGES), selection_mode="multi", key=f"{key}.what", wrap=True
            )
            free = st.text_input(
                "Or in your own words", key=f"{key}.free", max_chars=300, placeholder="for example: blond, with a scar"
            )
            attributes = _follow(desk, face, names, free.strip())
            text = _text(desk, f"{key}.text")
        body = face.again() | {"prompt": text, "parent": face.id}
        body |= {"attributes": attributes} if attributes and not desk.change.edited else {}
        with ways:
            way = st.radio("How", list(WAYS), captions=list(WAYS.values()), key=f"{key}.way")
            body |= _start(desk, face, way, key) if way != SEED else {}
        ready = bool(text) and (way != SEED or text != face.prompt) and (way != PART or "mask" in body)
        if not st.button("Draw the change", type="primary", icon=":material/draw:"):
            return
        if not ready:
            st.info("Mark a part first." if way == PART and text else "Say first what should be different.")
        else:
            desk.submit(text, [("", {k: v for k, v in body.items() if v not in (None, "")})], parent=face)


def _start(desk: Desk, face: Face, way: str, key: str) -> dict[str, Any]:
    """The part of a request that starts from the face's picture."""
    png = picture(desk, face.digest)
    body: dict[str, Any] = {"image": face.id or base64.b64encode(png).decode()}
    if way == PART and (mask := marking(png, key)):
        body["mask"] = base64.b64encode(mask).decode()
    body["strength"] = st.slider(
        "How freely", 0.1, 1.0, FREEDOM[way], 0.05, key=f"{key}.strength.{way}",
        help="0.1 hardly changes anything, 1 forgets the picture.",
    )  # fmt: skip
    return body


def _text(desk: Desk, key: str) -> str:
    """The new description in a field of its own; the changes write it until somebody edits it."""
    draft = desk.change.typed(st.session_state.get(key, desk.change.text))
    if desk.incoming_change is not None:
        draft, desk.incoming_change = draft.follow(desk.incoming_change), None
    st.session_state[key] = draft.text
    desk.change = draft
    st.text_area("New description", key=key, height=140, max_chars=LONGEST)
    if draft.offer:
        st.info("You have edited this text, so it was left alone. The changes would write:")
        st.html(quote(draft.offer))
        if st.button("Use the new one", key=f"{key}.take"):
            desk.change, desk.incoming_change = Draft(), draft.offer
            st.session_state.pop(key)
            st.rerun()
    return draft.text.strip()


def _follow(desk: Desk, face: Face, names: list[str], free: str) -> dict[str, Any] | None:
    """Let the new description follow what was asked for; the attributes that it was written from."""
    asked = (face.key, tuple(names), free)
    if asked != desk.asked:
        if names or free:
            said, fresh = reworded(desk, face, names, free)
        else:
            said, fresh = dict(face.attributes or {}), face.prompt
        desk.asked, desk.asked_attributes, desk.incoming_change = asked, said, fresh
    return desk.asked_attributes or None


def reworded(desk: Desk, face: Face, names: list[str], free: str) -> tuple[dict[str, Any], str]:
    """Attributes and description of the face with the changes. Raises `Problem`."""
    spoken = (desk.client.describe(text=free).get("attributes") or {}) if free else {}
    known = attributes_of(desk, face)
    said = changed(known, names, spoken)
    text = desk.client.describe(said)["caption"] if said else ""
    if not known:  # a description that could not be read stays as it is, and the changes are said after it
        text = f"{face.prompt} {text}".strip()
    if free and not spoken:
        text = f"{text or face.prompt} {free[0].upper()}{free[1:].rstrip('.')}."
    return said, text


def attributes_of(desk: Desk, face: Face) -> dict[str, Any]:
    """What the face's description says: its attributes, unless somebody wrote the words by hand; then what they say."""
    if face.attributes and desk.client.describe(dict(face.attributes))["caption"] == face.prompt:
        return dict(face.attributes)
    return dict(desk.client.describe(text=face.prompt).get("attributes") or {})
