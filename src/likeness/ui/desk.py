"""What the page remembers while somebody sits at it: the description, the faces, what is chosen and compared."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from .client import Client
from .draft import Draft
from .drawing import Drawing
from .face import Face, of_picture

URL = "http://127.0.0.1:8000"
DESCRIBE, FACES, COMPARE, HISTORY = STATIONS = ("Describe", "Faces", "Compare", "History")
STATION = "station"
KNOWN = 64  # faces that can be compared without opening the history


@dataclass
class Batch:
    """One press of a button: its drawings (two for base against LoRA), and the face that it refines."""

    title: str
    drawings: list[Drawing]
    labels: list[str]
    parent: Face | None = None
    settled: bool = False  # its faces are on the desk

    @property
    def over(self) -> bool:
        return all(drawing.now.over for drawing in self.drawings)

    def faces(self) -> list[list[Face]]:
        """The finished faces of each drawing."""
        return [[of_picture(p, d.body) for p in d.now.pictures] for d in self.drawings]


@dataclass
class Desk:
    """One per browser session. `attributes` are the form's answers that `draft` was last written from."""

    client: Client
    draft: Draft = field(default_factory=Draft)
    change: Draft = field(default_factory=Draft)  # the description of the face that is being changed
    incoming_change: str | None = None
    asked: tuple[Any, ...] = ()  # face and changes that `change` was last written from, and the attributes they make
    asked_attributes: dict[str, Any] = field(default_factory=dict)
    incoming: str | None = None  # a text that is to stand in the description's field
    undo: str = ""  # the description before another one was put in its place
    attributes: dict[str, Any] = field(default_factory=dict)
    before: dict[str, list[str]] = field(default_factory=dict)  # answers of fields that take several
    batches: list[Batch] = field(default_factory=list)
    chosen: Face | None = None
    known: dict[str, Face] = field(default_factory=dict)
    schema: dict[str, Any] | None = None
    models: list[dict[str, Any]] | None = None
    loras: list[str] = field(default_factory=list)
    pair: tuple[str, ...] = ()  # keys of the two faces to be compared next
    go: str = ""  # the station to be shown next
    pages: list[str | None] = field(default_factory=lambda: [None])  # cursors of the history pages gone through
    doubt: str = ""  # the entry that waits for "delete for good"

    def learn(self, faces: list[Face]) -> None:
        """Put faces where the comparison finds them."""
        for face in faces:
            self.known.pop(face.key, None)
            self.known[face.key] = face
        while len(self.known) > KNOWN:
            self.known.pop(next(iter(self.known)))

    def choose(self, face: Face | None) -> None:
        self.chosen, self.change, self.doubt, self.asked = face, Draft(), "", ()
        if face is not None:
            self.learn([face])

    def submit(self, title: str, bodies: list[tuple[str, dict[str, Any]]], parent: Face | None = None) -> None:
        """Send off (label, request) pairs as one batch, and go where the faces appear. Raises `Problem`."""
        batch = Batch(title, [], [], parent)
        try:
            for label, body in bodies:
                batch.drawings.append(Drawing(self.client, body))
                batch.labels.append(label)
        finally:  # what the service took is shown, also when it refused the second of two
            if batch.drawings:
                self.batches.insert(0, batch)
        self.choose(None)
        self.go = FACES
        st.rerun()


def own_key() -> str:
    """The key that the page was started with; it is never sent to a browser."""
    return os.environ.get("LIKENESS_API_KEY", "")


def desk() -> Desk:
    """This session's desk, with a client for the address and key in force."""
    key = st.session_state.get("key") or own_key()
    url = os.environ.get("LIKENESS_API_URL") or URL
    if "desk" not in st.session_state:
        st.session_state["desk"] = Desk(Client(url, key))
    found: Desk = st.session_state["desk"]
    if (found.client.url, found.client.key) != (url.rstrip("/"), key):
        found.client = Client(url, key)
        found.schema = found.models = None
    return found


@st.cache_data(max_entries=256, show_spinner=False)
def _picture(digest: str, url: str, key: str, _client: Client) -> bytes:
    return _client.picture(digest)


def picture(found: Desk, digest: str) -> bytes:
    """The PNG of a face; its name is its content's hash, so it never changes."""
    return _picture(digest, found.client.url, found.client.key, found.client)
