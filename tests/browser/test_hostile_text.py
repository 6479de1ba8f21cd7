"""Whatever a stranger has typed or linked, pages show it as text: no picture is fetched and no link can be clicked."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode, urlparse

import pytest
from playwright.sync_api import Page, expect

from echo_core.config import RunConfig
from echo_core.store import Store
from tests.helpers.hostile import HOSTILE, HOSTILE_WORD, PAIRS, PLANTED, UNBROKEN, keep_run
from tests.helpers.page import settled
from tests.helpers.server import Server
from tests.helpers.steps import history, tick

pytestmark = [pytest.mark.slow, pytest.mark.browser]

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def planted(server: Server) -> Iterator[Store]:
    """The server's store with two runs of hostile text, one of which has a hostile name."""
    store = Store(f"sqlite:///{server.log.parent / 'runs.db'}")
    for seed in (0, 1):
        keep_run(store, PAIRS.model_copy(update={"seed": seed}))
    store.runs.rename(PAIRS.run_id, HOSTILE_WORD)
    yield store
    store.close()


@pytest.fixture
def visit_watched(visit: Visit) -> Iterator[Visit]:
    """Open a page, and note the addresses of its requests."""
    hosts: set[str] = set()

    def open_page(query: str, **more: object) -> Page:
        page = visit(query, **more)
        page.on("request", lambda request: hosts.add(urlparse(request.url).netloc or "127.0.0.1:"))
        page.reload()  # with the listener in place
        page.wait_for_selector(".st-key-train button")
        settled(page)
        return page

    yield open_page
    assert not [host for host in hosts if host == PLANTED or not host.startswith("127.0.0.1:")]


def is_harmless(page: Page) -> None:
    """The planted markup is on the page as text alone."""
    settled(page)
    made = page.evaluate("""planted => [...document.querySelectorAll('[data-testid=stApp] :is(a, img, .katex, b)')]
        .filter(element => element.matches('.katex, b') || /planted|mailto/.test(element.getAttribute('href') ?? '')
                           || (element.getAttribute('href') ?? element.src ?? '').includes(planted))
        .map(element => element.outerHTML.slice(0, 200))""", PLANTED)
    assert made == []


def test_a_run_of_hostile_words_is_shown_as_text_wherever_it_is_shown(visit_watched: Visit, planted: Store):
    page = visit_watched(f"?run={PAIRS.run_id}")
    expect(page.locator(".st-key-windows")).to_contain_text(HOSTILE_WORD)
    is_harmless(page)
    page.get_by_role("combobox", name="Start from").click()
    page.get_by_role("option").filter(has_text="Whole").first.click()
    said = page.locator(".st-key-banner")
    expect(said).to_contain_text("words ![x](http")
    is_harmless(page)
    for tab in ("The data", "The code"):
        page.get_by_role("tab", name=tab).click()
        settled(page)
        is_harmless(page)


def test_history_shows_hostile_names_and_searches_as_text(visit_watched: Visit, planted: Store):
    page = visit_watched("")
    history(page)
    tick(page, 0)
    expect(page.get_by_text("1 picked")).to_be_visible()
    tick(page, 1)
    expect(page.locator(".echo-differences")).to_contain_text(HOSTILE_WORD[:20])
    chart = page.locator(".st-key-comparison_chart canvas, .st-key-comparison_chart svg").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    is_harmless(page)
    page.locator(".st-key-runs_text input").fill(HOSTILE)
    page.keyboard.press("Enter")
    expect(page.get_by_text("No run is like that")).to_be_visible()
    is_harmless(page)


def test_links_and_files_with_hostile_values_are_named_as_text(visit_watched: Visit, planted: Store, tmp_path: Path):
    fields = dict.fromkeys(RunConfig.model_fields, HOSTILE)
    page = visit_watched("?" + urlencode({**fields, HOSTILE_WORD: HOSTILE, "preset": HOSTILE, "run": HOSTILE_WORD}))
    expect(page.get_by_text("vocab_size must be a whole number").first).to_contain_text(HOSTILE_WORD[:20])
    is_harmless(page)
    page.goto(page.url.split("?")[0] + "?preset=pairs")
    settled(page)
    for name, content in ((f"![x]({PLANTED}).csv", f"{HOSTILE}\n{UNBROKEN}"), ("b.txt", f"{HOSTILE}\na => {UNBROKEN}")):
        file = tmp_path / name
        file.write_text(content)
        page.locator(".st-key-upload input[type=file]").set_input_files(file)
        expect(page.locator(".st-key-upload")).to_contain_text(name[-5:])  # long names are shortened
        is_harmless(page)
    page.locator(".st-key-text textarea").fill(HOSTILE)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("text must have a pair a line").first).to_be_visible()
    is_harmless(page)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"units": HOSTILE_WORD, HOSTILE_WORD: 1}))
    page.locator(".st-key-share button").click()
    page.locator(".st-key-import_config input[type=file]").set_input_files(settings)
    expect(page.get_by_text("is not a setting").first).to_be_visible()
    is_harmless(page)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
