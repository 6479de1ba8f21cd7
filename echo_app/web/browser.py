"""A name for the visitor's browser, from the one cookie that Streamlit sets. The cookie's form is undocumented."""

import hashlib

import streamlit as st

_COOKIE = "_streamlit_xsrf"


def browser_name() -> str | None:
    """A name that stays the same over reloads and tabs of a browser; None without the cookie.

    The cookie holds a random token XORed with a mask that changes; see `server.enableXsrfProtection`.
    """
    parts = (st.context.cookies.get(_COOKIE) or "").strip('"').split("|")
    try:
        mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    except (IndexError, ValueError):
        return None
    token = bytes(byte ^ mask[i % len(mask)] for i, byte in enumerate(masked)) if mask else masked
    return hashlib.sha256(token).hexdigest()[:16]
