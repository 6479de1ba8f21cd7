"""Between browsers and Streamlit's server, as ASGI middleware: headers, cookies, and who may open a websocket.

`streamlit run streamlit_app.py` starts a server without it; docs/hosting.md says what a proxy sends then.
"""

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from echo_app.web import page_scripts
from echo_app.web.browser import name_of

#: Who may frame a page that is not embedded anywhere.
NOBODY_ELSE = "'self'"
#: Seconds for which a browser asks for nothing but HTTPS.
_HSTS_SECONDS = 31_536_000
#: A header that this middleware sets for Streamlit, and drops where a client sends it.
BROWSER_HEADER = "X-Echo-Browser"
#: Streamlit's own figures: whoever hosts a copy asks for Echo Lab's on an address of their own.
_METRICS = "/_stcore/metrics"
_NO_DEVICES = ", ".join(f"{name}=()" for name in (
    "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "hid", "magnetometer", "microphone",
    "midi", "payment", "serial", "usb", "xr-spatial-tracking"))


def content_policy(frame_ancestors: str) -> str:
    """The content security policy: everything from this server, and no script but Streamlit's and ours.

    Components are modules that Streamlit loads from `blob:` addresses of its own, and it styles elements inline. Charts
    run Vega's interpreter, so nothing needs `unsafe-eval`.
    """
    scripts = " ".join(f"'sha256-{_digest(text)}'" for text in (*_scripts_of_streamlit(), *page_scripts.ALL))
    return "; ".join((
        "default-src 'self'", f"script-src 'self' blob: {scripts}", "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:", "font-src 'self' data:", "connect-src 'self'", "worker-src 'self' blob:",
        "frame-src 'none'", "object-src 'none'", "base-uri 'self'", "form-action 'self'",
        f"frame-ancestors {frame_ancestors}"))


class Guard:
    """Adds headers to every answer, keeps cookies to HTTPS where the page came by it, and websockets to our own pages.

    Whether it did is the `scheme` that uvicorn found: it believes `X-Forwarded-Proto` only from the proxies that
    `FORWARDED_ALLOW_IPS` names, by default those on this machine.

    Args:
        frame_ancestors: Sources of the policy's `frame-ancestors`. Other sites than this one get cookies that work in
            their frames, each site's apart from those of other sites.
    """

    def __init__(self, app: ASGIApp, frame_ancestors: str = NOBODY_ELSE) -> None:
        self._app = app
        self._is_embedded = frame_ancestors not in (NOBODY_ELSE, "'none'")
        framing = {} if self._is_embedded else {
            "X-Frame-Options": "SAMEORIGIN" if frame_ancestors == NOBODY_ELSE else "DENY"}
        self._always = {
            "Content-Security-Policy": content_policy(frame_ancestors), "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin", "Permissions-Policy": _NO_DEVICES,
            "Cross-Origin-Resource-Policy": "same-origin", "X-Permitted-Cross-Domain-Policies": "none", **framing}
        # Browsers ignore both on a plain HTTP page, some with an error in their console.
        self._over_tls = {"Strict-Transport-Security": f"max-age={_HSTS_SECONDS}",
                          "Cross-Origin-Opener-Policy": "same-origin"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "websocket":
            if _is_of_another_site(HTTPConnection(scope)):
                return await WebSocketClose(1008)(scope, receive, send)
            scope = {**scope, "headers": _with_browser(scope)}
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        is_tls = scope["scheme"] == "https"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (self._always | self._over_tls if is_tls else self._always).items():
                    headers[name] = value
                if is_tls:
                    message["headers"] = [(name, self._secured(value) if name.lower() == b"set-cookie" else value)
                                          for name, value in message["headers"]]
            await send(message)

        if scope["path"].endswith(_METRICS):
            return await PlainTextResponse("Not Found", 404)(scope, receive, send_with_headers)
        await self._app(scope, receive, send_with_headers)

    def _secured(self, cookie: bytes) -> bytes:
        """A cookie that is sent over HTTPS alone, and in frames of other sites where those are allowed."""
        parts = [part for part in cookie.split(b"; ") if part.lower() != b"secure"]
        if self._is_embedded:
            parts = [part for part in parts if not part.lower().startswith(b"samesite=")]
            parts += [b"SameSite=None", b"Partitioned"]
        return b"; ".join([*parts, b"Secure"])


def _is_of_another_site(request: HTTPConnection) -> bool:
    """Whether a page of another site opens this websocket, which would act for its visitor.

    Streamlit refuses most of them, but first asks a server on the internet for the address of this one. Ports do not
    count: a browser shares cookies among them, and some proxies leave them out.
    """
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    if origin is None or st.get_option("server.corsAllowedOrigins") or not st.get_option("server.enableCORS"):
        return False
    try:
        return urlsplit(origin).hostname != urlsplit(f"//{host}").hostname
    except ValueError:  # neither of a site
        return True


def _with_browser(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers of a websocket with the name of its browser, to which Streamlit binds the session."""
    name, header = name_of(HTTPConnection(scope).cookies) or "", BROWSER_HEADER.lower().encode()
    return [*((key, value) for key, value in scope["headers"] if key.lower() != header), (header, name.encode())]


async def sorry(_request: Request, _error: Exception) -> Response:
    """The answer to a request on which the server failed; its log has the exception."""
    return PlainTextResponse("Something went wrong on this server. Try again in a moment.", 500,
                             {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'"})


def _scripts_of_streamlit() -> list[str]:
    """The inline scripts of Streamlit's own page."""
    page = Path(st.__file__).with_name("static").joinpath("index.html").read_text("utf-8")
    return re.findall(r"<script>(.*?)</script>", page, re.DOTALL)


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
