"""The content security policy in a real Chromium: every page works within it, and it keeps out what is not ours."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect

from echo_app.pages.inside import VIEWS
from tests.helpers.page import WAIT, press, settled, small
from tests.helpers.server import Server, serve_quick

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: A site that may embed the app, and another: the same server by two names.
COURSE, ELSEWHERE = "localhost", "127.0.0.1"


def test_every_page_and_view_and_download_works_within_the_policy(visit: Callable[..., Page]):
    """`visit` fails the test if the console has an error, which a violation is."""
    page = visit(small(seed=71, epochs=300))
    press(page, "train")
    expect(page.locator(".st-key-progress")).to_contain_text("Finished")
    for tab in ("The data", "The code", "What a reset does"):
        page.get_by_role("tab", name=tab).click()
        settled(page)
    for popover, button in (("share", "download_settings"), ("take_home", "export_all")):
        page.locator(f".st-key-{popover} button").first.click()
        with page.expect_download() as download:
            press(page, button)
        assert Path(download.value.path()).stat().st_size > 100
        page.keyboard.press("Escape")
    page.get_by_role("link", name="Inside").click()
    for view in VIEWS:
        page.get_by_role("tab", name=view, exact=True).click()
        settled(page)
    for name, shown in {"History": ".st-key-runs_filters", "Studies": ".st-key-study_start",
                        "Findings": "text=answered with many runs"}.items():
        page.get_by_role("link", name=name).click()
        expect(page.locator(shown).first).to_be_visible()
        settled(page)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve_quick(tmp_path_factory.mktemp("embedded"), ECHO_FRAME_ANCESTORS=f"'self' http://{COURSE}:*") as server:
        yield server


def test_a_script_that_is_not_ours_does_not_run(chromium: Browser, embedded: Server):
    page = chromium.new_context().new_page()
    page.goto(embedded.url)
    violated = page.evaluate("""() => new Promise(done => {
        addEventListener("securitypolicyviolation", event => done(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "window.planted = true";
        script.type = "text/javascript";
        document.body.append(script);
        setTimeout(() => done("none"), 2000); })""")
    assert (violated, page.evaluate("window.planted")) == ("script-src-elem", None)
    page.context.close()


@pytest.fixture
def lesson(embedded: Server) -> Iterator[int]:
    """The port of a server whose only page embeds the app."""
    class Lesson(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f'<iframe src="{embedded.url}" width="1200" height="800"></iframe>'.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Lesson) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("site", "is_shown"), [(COURSE, True), (ELSEWHERE, False)])
def test_a_page_of_a_named_site_alone_shows_it_in_a_frame(chromium: Browser, lesson: int, site: str, is_shown: bool):
    page = chromium.new_context().new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"http://{site}:{lesson}")
    train = page.frame_locator("iframe").locator(".st-key-train button")
    if is_shown:
        expect(train).to_be_enabled()
    else:
        page.wait_for_timeout(3000)
        expect(train).to_have_count(0)
    page.context.close()
