"""A name for the visitor's browser, from the one cookie that Streamlit sets. The cookie's form is undocumented.

The cookie holds a random token of 16 bytes, XORed with a mask of 4 that changes; see `server.enableXsrfProtection`. Who
does not know another's token cannot have their name, and a name does not give the token away.
"""

import hashlib
import re
from collections.abc import Mapping

import streamlit as st

_COOKIE = "_streamlit_xsrf"
#: The only form that Streamlit writes. It would take over a shorter token from a client, and many may forge the same.
_FORM = re.compile(r"2\|([0-9a-f]{8})\|([0-9a-f]{32})\|[0-9]{1,12}")


def browser_name() -> str | None:
    """A name that stays the same over reloads and tabs of a browser; None without the cookie."""
    return name_of(st.context.cookies)


def name_of(cookies: Mapping[str, str]) -> str | None:
    """The name of the browser that has these cookies; None without Streamlit's, or if that has another form."""
    found = _FORM.fullmatch(cookies.get(_COOKIE) or "")
    if found is None:
        return None
    mask, masked = bytes.fromhex(found[1]), bytes.fromhex(found[2])
    token = bytes(byte ^ mask[place % len(mask)] for place, byte in enumerate(masked))
    return hashlib.sha256(token).hexdigest()[:16]
