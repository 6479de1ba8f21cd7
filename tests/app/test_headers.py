"""The headers that a server sends: what a page may load, who may frame it, and how its cookies travel."""

import asyncio
import http.client
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError
from starlette.responses import PlainTextResponse

from echo_app.web.security import NOBODY_ELSE, Guard, content_policy, sorry
from echo_core.settings import PROJECT_ROOT, Settings
from tests.helpers.server import Server, serve

COURSE = "https://course.example.org"
COOKIE = "_streamlit_xsrf=2|aa|bb|1; Path=/; SameSite=Lax"


async def page(scope: Any, receive: Any, send: Any) -> None:
    """An app whose every answer sets Streamlit's cookie."""
    await PlainTextResponse("a page", headers={"Set-Cookie": COOKIE})(scope, receive, send)


def answer(path: str = "/", scheme: str = "http", frame_ancestors: str = NOBODY_ELSE) -> tuple[int, dict[str, str]]:
    """The status and the headers of the app behind the middleware."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "scheme": scheme, "headers": []}
    asyncio.run(Guard(page, frame_ancestors)(scope, None, send))
    return sent[0]["status"], {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize("path", ["/", "/history", "/_stcore/health", "/static/js/index.js", "/media/file"])
def test_every_answer_says_what_a_page_may_load_and_do(path: str):
    _, headers = answer(path)
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["connect-src"] == policy["frame-ancestors"] == "'self'"
    assert policy["object-src"] == policy["frame-src"] == "'none'"
    assert not re.search(r"unsafe|https?:|\*|data:", policy["script-src"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


@pytest.mark.parametrize(("frame_ancestors", "old_header"), [
    ("'self'", "SAMEORIGIN"), ("'none'", "DENY"), (COURSE, None), (f"'self' {COURSE}", None)])
def test_a_page_is_framed_by_those_sites_alone_that_the_host_names(frame_ancestors: str, old_header: str | None):
    _, headers = answer(frame_ancestors=frame_ancestors)
    assert headers["content-security-policy"].endswith(f"; frame-ancestors {frame_ancestors}")
    assert headers.get("x-frame-options") == old_header


@pytest.mark.parametrize("value", ["https://a.org; script-src *", "https://a.org\r\nX: y", "a, b", "<x>", " "])
def test_a_host_cannot_name_a_site_that_would_end_the_policy(value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ECHO_FRAME_ANCESTORS", value)
    with pytest.raises(ValidationError, match="frame_ancestors"):
        Settings()


@pytest.mark.parametrize(("scheme", "frame_ancestors", "cookie"), [
    ("http", "'self'", COOKIE), ("http", COURSE, COOKIE), ("https", "'self'", f"{COOKIE}; Secure"),
    ("https", COURSE, COOKIE.replace("Lax", "None") + "; Partitioned; Secure")])
def test_cookies_are_for_https_alone_where_the_page_came_by_it(scheme: str, frame_ancestors: str, cookie: str):
    _, headers = answer(scheme=scheme, frame_ancestors=frame_ancestors)
    assert headers["set-cookie"] == cookie
    assert ("strict-transport-security" in headers) == ("cross-origin-opener-policy" in headers) == (scheme == "https")


def test_streamlits_own_figures_are_nobodys_business():
    assert answer("/_stcore/metrics")[0] == answer("/base/_stcore/metrics")[0] == 404


def test_the_page_about_hosting_gives_a_proxy_the_same_policy():
    said = (PROJECT_ROOT / "docs" / "hosting.md").read_text()
    [policy] = re.findall(r'^add_header Content-Security-Policy "(.+)" always;$', said, re.MULTILINE)
    assert policy == content_policy(NOBODY_ELSE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app itself, behind a proxy on this machine."""
    with serve(tmp_path_factory.mktemp("headers"), ECHO_WORKERS="1", ECHO_COMPILE_AHEAD="false") as running:
        yield running


def ask(server: Server, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    found = connection.getresponse()
    found.read()
    connection.close()
    return found


@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/no/such.file", "/media/none", "/_stcore/metrics"])
def test_a_real_server_sends_the_headers_with_pages_and_errors(server: Server, path: str):
    found = ask(server, path)
    assert found.headers["Content-Security-Policy"] == content_policy(NOBODY_ELSE)
    assert len(found.headers.get_all("X-Content-Type-Options")) == 1


def test_https_is_what_a_proxy_of_this_machine_says(server: Server):
    assert ask(server, "/_stcore/health").headers["Set-Cookie"].endswith("SameSite=Lax")
    found = ask(server, "/_stcore/health", X_Forwarded_Proto="https")
    assert found.headers["Set-Cookie"].endswith("SameSite=Lax; Secure")
    assert found.headers["Strict-Transport-Security"]


def test_https_is_not_what_anybody_else_says(tmp_path: Path):
    with serve(tmp_path, ECHO_WORKERS="1", ECHO_COMPILE_AHEAD="false", FORWARDED_ALLOW_IPS="192.0.2.7") as server:
        found = ask(server, "/_stcore/health", X_Forwarded_Proto="https", X_Forwarded_For="192.0.2.7")
        assert found.headers["Set-Cookie"].endswith("SameSite=Lax")
        assert "Strict-Transport-Security" not in found.headers
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0  # it has closed its engine


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/no/such.file"), ("GET", "/media/none"), ("GET", "/component/none/x.js"), ("GET", "/static/none.js"),
    ("GET", "/_stcore/bidi-components/none/x.js"), ("GET", "/..%2f..%2fetc%2fpasswd"), ("GET", "//elsewhere/x"),
    ("PUT", "/_stcore/upload_file/none/none"), ("DELETE", "/_stcore/upload_file/none/none"), ("POST", "/"),
    ("GET", "/_stcore/agent/openapi.json"), ("POST", "/_stcore/agent/interact"), ("GET", "/_stcore/host-config")])
def test_no_answer_of_the_server_itself_says_a_path_or_an_exception(server: Server, method: str, path: str):
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request(method, path, "x")
    found = connection.getresponse()
    said = found.read().decode(errors="replace")
    connection.close()
    assert found.status < 500
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    for secret in ("site-packages", "Traceback", "Error:", "root:", str(PROJECT_ROOT), str(server.log.parent)):
        assert secret not in said


def test_an_answer_that_failed_says_so_in_words():
    found = asyncio.run(sorry(None, ValueError("/a/path")))
    assert (found.status_code, found.body) == (500, b"Something went wrong on this server. Try again in a moment.")
    assert found.headers["X-Content-Type-Options"] == "nosniff"
