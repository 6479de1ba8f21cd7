"""Short scripts that a page runs in the browser.

The texts are fixed, because the content security policy names them by their hashes. What differs is data in attributes
of an element before the script.
"""

import json
from typing import Any

import streamlit as st

#: Moves the focus: waits until the pressed button has lost it (5 s), and then until its replacement is drawn (60 s).
MOVE_FOCUS = """(() => {
  const keys = JSON.parse(document.currentScript.previousElementSibling.dataset.echo).keys;
  const first = document.activeElement, began = Date.now();
  const timer = setInterval(() => {
    const now = document.activeElement, isLost = !now || now === document.body || now.disabled;
    if ((!isLost && now !== first) || Date.now() - began > (isLost ? 60000 : 5000)) return clearInterval(timer);
    const next = isLost && keys.map(key => document.querySelector(`.st-key-${key} :is(button, input):not(:disabled)`))
      .find(element => element);
    if (next) { next.focus({preventScroll: true}); clearInterval(timer); }
  }, 50);
})()"""

#: Scrolls to the first of some widgets that exists, on a telephone.
SCROLL = """(() => {
  const keys = JSON.parse(document.currentScript.previousElementSibling.dataset.echo).keys;
  const found = keys.map(key => document.querySelector(`.st-key-${key}`)).find(element => element);
  if (innerWidth < 640) found?.scrollIntoView({behavior: 'smooth', block: 'start'});
})()"""

ALL = (MOVE_FOCUS, SCROLL)


def run(script: str, **data: Any) -> None:
    """Run one of `ALL` with some data. A browser runs the same script with the same data once, while it is drawn."""
    attribute = json.dumps(data).replace("&", "&amp;").replace('"', "&quot;")
    st.html(f'<span hidden data-echo="{attribute}"></span><script>{script}</script>', unsafe_allow_javascript=True)


def scroll_to(*keys: str) -> None:
    """On a telephone, scroll to the first of these widgets that exists."""
    run(SCROLL, keys=keys)
