"""One real Chromium for all browser tests; each test gets pages of its own."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.helpers import provide
from tests.helpers.page import QUIET, WAIT, settled
from tests.helpers.server import Server, serve_quick

#: Records each place that appears twice on the page, even for a moment, because it flickers; and each exception on the
#: page, which no visitor may see.
DOUBLES = """() => { window.doubles = new Set();
  const look = () => { for (const key of ['windows', 'progress', 'loss_chart', 'train'])
    if (document.querySelectorAll(`.st-key-${key}`).length > 1) window.doubles.add(key);
    if (document.querySelectorAll('.st-key-run [data-testid=stVegaLiteChart]').length > 2) window.doubles.add('curves');
    if (['pause', 'go_on'].every(key => document.querySelector(`.st-key-study_${key}`)?.checkVisibility()))
      window.doubles.add('Pause and Go on');
    if (document.querySelector('[data-testid=stException]')) window.doubles.add('an exception that was shown'); };
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true}); }"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium that connects to this machine only."""
    path = provide.find_browser()
    if path is None:
        (pytest.fail if provide.in_ci() else pytest.skip)("no Chromium: run `make browser`")
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that do not change it."""
    with serve_quick(tmp_path_factory.mktemp("app")) as running:
        yield running
        assert running.trouble() == []


@pytest.fixture
def visit(visit_at: Callable[..., Page], server: Server) -> Callable[..., Page]:
    """Open the page of the module's server as a visitor."""
    return partial(visit_at, server)


@pytest.fixture
def visit_at(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a server's page as a visitor with a browser of their own; no test leaves an error in its console."""
    errors: list[str] = []
    contexts = []

    def open_page(server: Server, query: str = "", width: int = 1280, height: int = 900, dark: bool = False,
                  shown: str = ".st-key-train button") -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height},
                                       color_scheme="dark" if dark else "light")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{server.url}/{query}")
        page.wait_for_selector(shown)
        settled(page)
        page.evaluate(DOUBLES)
        return page

    yield open_page
    doubles = [page.evaluate("() => [...(window.doubles ?? [])]") for context in contexts for page in context.pages]
    for context in contexts:
        context.close()
    assert errors == []
    assert [found for found in doubles if found] == []
