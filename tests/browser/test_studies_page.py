"""A study in a real Chromium, from its form to its link: trained by a worker, on a screen and on a telephone."""

import re
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Page, expect

from echo_core.store import Store
from tests.helpers.page import press, settled, small
from tests.helpers.server import Server

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
#: Of the browser's window: a screen and a telephone.
SIZES = pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)], ids=["screen", "telephone"])


def open_studies(page: Page) -> None:
    """Go to the Studies page by its link."""
    page.get_by_role("link", name="Studies").click()
    expect(page.locator(".st-key-study_start button")).to_be_visible()
    settled(page)


def from_the_train_page(page: Page) -> None:
    """Begin with the settings of the Train page."""
    page.locator(".st-key-study_base input").click()
    page.get_by_role("option", name=re.compile("^Train page")).click()
    settled(page)


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@SIZES
def test_a_study_goes_from_its_form_to_its_answer_a_run_and_a_link(visit: Visit, server: Server, width: int,
                                                                   height: int):
    page = visit(small(epochs=40, seed=width))
    open_studies(page)
    page.set_viewport_size({"width": width, "height": height})  # a telephone has the links behind a button
    from_the_train_page(page)
    page.locator(".st-key-study_values_1 input").fill("4, 8")
    page.locator(".st-key-study_seeds input").fill("2")
    page.locator(".st-key-study_seeds input").press("Enter")
    expect(page.get_by_text("4 runs: 2 settings × 2 seeds")).to_be_visible()
    assert overflow(page) <= 0
    press(page, "study_start")
    expect(page.locator(".st-key-study_bar")).to_contain_text("All 4 runs have ended")
    expect(page.locator(".st-key-study_chart canvas, .st-key-study_chart svg").first).to_be_visible()
    expect(page.locator(".echo-study tbody tr")).to_have_count(2)
    expect(page.get_by_text("Partial:")).to_be_hidden()
    assert overflow(page) <= 0

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    press(page, "study_copy_link")
    expect(page.locator(".st-key-study_copy_link")).to_contain_text("Copied")
    link = str(page.evaluate("navigator.clipboard.readText()"))
    assert "look_at=windows" in link
    page.locator(".st-key-study_measure input").click()
    page.get_by_role("option", name="Numbers right").click()
    page.wait_for_url("**look_at=numbers**")
    settled(page)
    press(page, "study_copy_link")
    expect(page.locator(".st-key-study_copy_link")).to_contain_text("Copied")
    link = str(page.evaluate("navigator.clipboard.readText()"))
    assert "look_at=numbers" in link
    other = visit("?" + urlparse(link).query, width=width, height=height, shown=".st-key-study_bar")
    expect(other.locator(".st-key-study_bar")).to_contain_text("All 4 runs have ended")
    expect(other.locator(".echo-study tbody tr")).to_have_count(2)

    with page.expect_download() as download:
        press(page, "study_csv")
    assert download.value.path().read_text().startswith("units,n,failures,")
    seed, dot = ".st-key-study_runs button:visible", ".st-key-study_chart .mark-symbol path"
    page.locator(seed if width < 640 else dot).first.click()
    expect(page.locator(".st-key-progress")).to_contain_text("Finished")
    with closing(Store(f"sqlite:///{server.log.parent / 'runs.db'}")) as store:
        run = store.runs.get(urlparse(page.url).query.split("run=")[1].split("&")[0])
    assert run is not None
    assert run.config.units == 4


def test_a_study_is_paused_goes_on_and_is_cancelled_with_an_undo(visit: Visit):
    page = visit(small(epochs=20_000, seed=77))
    open_studies(page)
    from_the_train_page(page)
    press(page, "study_start")
    expect(page.locator(".st-key-study_bar")).to_contain_text("1 under way")
    press(page, "study_pause")
    expect(page.locator(".st-key-study_bar")).to_contain_text("Paused: ")
    press(page, "study_go_on")
    expect(page.locator(".st-key-study_bar")).to_contain_text("under way")
    press(page, "study_cancel")
    expect(page.get_by_text("One run is an anecdote")).to_be_visible()
    press(page, "study_undo")
    expect(page.locator(".st-key-study_bar")).to_contain_text("under way")
    press(page, "study_cancel")
    expect(page.locator(".st-key-study_undo")).to_be_visible()
