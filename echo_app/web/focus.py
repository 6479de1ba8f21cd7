"""Keeps the keyboard's focus when a pressed button disappears or is disabled.

A browser gives up the focus of an element that is removed or disabled: whoever works with the keyboard would begin
again at the top of the page. A callback names what takes the button's place, and the page moves the focus there.

Key of `st.session_state`: `_WISH`.
"""

import json
import time

import streamlit as st

__all__ = ["draw", "follow"]

_WISH = "focus_wish"
_SECONDS = 10.0

#: Milliseconds to wait for the pressed button to lose the focus, and then for its replacement to be drawn.
_SCRIPT = """<script>(() => {
  const first = document.activeElement, began = Date.now();
  const timer = setInterval(() => {
    const now = document.activeElement, isLost = !now || now === document.body || now.disabled;
    if ((!isLost && now !== first) || Date.now() - began > (isLost ? 60000 : 5000)) return clearInterval(timer);
    const next = isLost && KEYS.map(key => document.querySelector(`.st-key-${key} :is(button, input):not(:disabled)`))
      .find(element => element);
    if (next) { next.focus({preventScroll: true}); clearInterval(timer); }
  }, 50);
})() /* NOW */</script>"""


def follow(*keys: str) -> None:
    """Called in a callback: when the focus is lost, move it to the first of these widgets that exists."""
    st.session_state[_WISH] = keys, time.monotonic()


def draw() -> None:
    """Called at the end of a page and of a fragment: move the focus as `follow` has asked.

    For some seconds each of them has the same script, which a browser runs once: what a page draws and at once leaves
    out again may never come to a browser.
    """
    keys, since = st.session_state.get(_WISH, ((), 0.0))
    if keys and time.monotonic() - since < _SECONDS:
        # The time makes each script new, as a browser does not run the same script twice.
        script = _SCRIPT.replace("KEYS", json.dumps(keys)).replace("NOW", str(since))
        st.html(script, unsafe_allow_javascript=True)
