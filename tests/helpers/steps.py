"""What visitors do on the History page, for tests in Chromium."""

from urllib.parse import parse_qs, urlparse

from playwright.sync_api import Page, expect

from tests.helpers.page import settled


def history(page: Page) -> None:
    """Go to the History page by its link."""
    page.get_by_role("link", name="History").click()
    expect(page.locator(".st-key-runs_filters")).to_be_visible()
    settled(page)


def tick(page: Page, row: int) -> None:
    """Pick a row of the list. Its cells are drawn on a canvas, so the click goes to a position."""
    settled(page)
    page.wait_for_function("least => document.querySelector('.st-key-runs_table canvas')?.clientHeight >= least",
                           arg=35 + 35 * (row + 1))  # a row that was brought back has been drawn
    box = page.locator(".st-key-runs_table canvas").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 14, box["y"] + 52 + 35 * row)


def press_as_a_timer_is_late(page: Page, key: str) -> None:
    """Press a button in a busy browser whose timer for a fragment fires before the press is sent."""
    page.eval_on_selector(f".st-key-{key} button", """button => {
      for (const began = performance.now(); performance.now() - began < 1000;);
      setTimeout(() => button.click()); }""")


def run_of(page: Page) -> str:
    """The run_id in the address of a page."""
    return parse_qs(urlparse(page.url).query)["run"][0]
