"""Who is on the other side: a name for the browser, from the one cookie that Streamlit gives it.

The only place that reads a detail which Streamlit does not document.
"""

import hashlib

import streamlit as st

_COOKIE = "_streamlit_xsrf"


def browser_name() -> str | None:
    """A name that a browser keeps over reloads and tabs; None where it has no cookie.

    The cookie holds a random token under a mask that changes; see `server.enableXsrfProtection`.
    """
    parts = (st.context.cookies.get(_COOKIE) or "").strip('"').split("|")
    try:
        mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    except (IndexError, ValueError):
        return None
    token = bytes(byte ^ mask[i % len(mask)] for i, byte in enumerate(masked)) if mask else masked
    return hashlib.sha256(token).hexdigest()[:16]
