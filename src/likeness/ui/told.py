"""Errors on the page: a sentence in a box, never a traceback."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import streamlit as st

from .look import plain
from .problems import Problem

LOG = logging.getLogger(__name__)
OWN = "Something in this page went wrong; it is written down where the page was started. Reload the page to go on."
KEY_ASKED = "ask_for_key"


def tell(problem: Problem) -> None:
    if problem.status in {401, 403}:
        st.session_state[KEY_ASKED] = True
    st.error(plain(str(problem)), icon=":material/error:")


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Shows what goes wrong inside, and lets the rest of the page stand."""
    try:
        yield
    except Problem as problem:
        tell(problem)
    except Exception:
        LOG.exception("the page failed")
        st.error(OWN, icon=":material/error:")
