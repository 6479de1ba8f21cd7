"""Keeps the keyboard's focus when a pressed button disappears or is disabled.

A browser drops the focus of an element that is removed or disabled, so keyboard users would start again at the top of
the page. A callback names the widgets that replace the button, and the page moves the focus to the first that exists.

Key of `st.session_state`: `_REQUEST`.
"""

import time

import streamlit as st

from echo_app.web import page_scripts

__all__ = ["draw", "move_to"]

_REQUEST = "focus_request"
_SECONDS = 10.0


def move_to(*keys: str) -> None:
    """Called in a callback: once the focus is lost, move it to the first of these widgets that exists."""
    st.session_state[_REQUEST] = keys, time.monotonic()


def draw() -> None:
    """Called at the end of a page and of a fragment: send the script that `move_to` has asked for.

    It is sent with every rerun of the next `_SECONDS`, because a browser may never receive a page that the next rerun
    replaces at once. A browser runs the same script only once.
    """
    keys, since = st.session_state.get(_REQUEST, ((), 0.0))
    if keys and time.monotonic() - since < _SECONDS:
        page_scripts.run(page_scripts.MOVE_FOCUS, keys=keys, since=since)  # the time makes each request a new one
