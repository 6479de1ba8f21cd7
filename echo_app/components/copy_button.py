"""A button that copies a text to the visitor's clipboard."""

from pathlib import Path

import streamlit as st

HTML = """<button type="button"><svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><path
fill="currentColor" d="M16 1H4a2 2 0 0 0-2 2v14h2V3h12zm3 4H8a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h11a2 2 0 0 0 2-2V7a2 2 0 0
0-2-2zm0 16H8V7h11z"/></svg><span aria-live="polite"></span></button><textarea readonly rows="3" hidden
aria-label="The text to copy"></textarea>"""

CSS = """
button { display: inline-flex; gap: 0.5rem; align-items: center; min-height: 2.5rem; padding: 0.25rem 0.75rem;
  font: 400 0.875rem/1.6 var(--st-font); color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); cursor: pointer;
  white-space: nowrap; }
button:hover, button:focus-visible { border-color: var(--st-primary-color); color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
button:disabled { opacity: 0.4; cursor: not-allowed; }
textarea { display: block; width: 100%; box-sizing: border-box; margin-top: 0.5rem; font: 0.8rem var(--st-code-font);
  color: var(--st-text-color); background: var(--st-secondary-background-color); border: 1px solid
  var(--st-border-color); border-radius: var(--st-base-radius); }
textarea[hidden] { display: none; }
"""

_component = st.components.v2.component(
    "echo_copy_button", html=HTML, css=CSS, js=Path(__file__).with_name("copy_button.js").read_text("utf-8"))


def copy_button(label: str, text: str, key: str) -> None:
    """Draw a button with a label that copies a text, which may be what visitors typed."""
    _component(data={"label": label, "text": text}, key=key, width="content")
